//! The whole program: builds the rooms from a plan, opens the doors, reloads, drains.
//!
//! What must never happen: a start or a reload that is half done. Everything that can fail is built first,
//! and swapped in as one.

mod doors;
mod management;
mod mapping;
mod metrics;
mod process;
mod reload;
mod report;
mod restart;
mod run;
mod start;
mod state;

pub use mapping::{check as check_mapping, probe as probe_mapping};
pub use run::{Ended, Options, run};
pub use start::{App, StartError};
