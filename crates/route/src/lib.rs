//! room route
