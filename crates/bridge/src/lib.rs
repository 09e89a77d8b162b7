//! room bridge
