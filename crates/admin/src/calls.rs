//! The calls, one file for each subject. Each is thin: parameters in, one call into a room, an answer out.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod destinations;
pub(crate) mod events;
pub(crate) mod life;
pub(crate) mod mappings;
pub(crate) mod stats;
pub(crate) mod transfer;

mod census;
mod filter;
