//! The calls, one file for each subject. Each reads its parameters, calls another crate and returns the response.

pub(crate) mod audit;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod destinations;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod mappings;
pub(crate) mod moves;
pub(crate) mod stats;
pub(crate) mod transfer;

mod filter;
mod session_totals;
