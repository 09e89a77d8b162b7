//! room tls
