//! room app
