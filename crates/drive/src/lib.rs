//! room drive
