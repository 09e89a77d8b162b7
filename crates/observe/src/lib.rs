//! room observe
