//! room session
