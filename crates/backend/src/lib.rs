//! room backend
