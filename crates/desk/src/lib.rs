//! room desk
