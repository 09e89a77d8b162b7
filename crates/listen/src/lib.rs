//! room listen
