//! room demo
