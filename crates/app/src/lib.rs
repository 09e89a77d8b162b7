//! The whole program: builds everything from a plan, opens the listeners, reloads, drains.
//!
//! What must never happen: a start or a reload that is half done. Everything that can fail is built first, and then
//! put in force in one moment.

mod api_tls;
mod health_checks;
mod listeners;
mod management;
mod mapping;
mod metrics;
mod process;
mod reload;
mod reload_history;
mod report;
mod restart;
mod run;
mod service_manager;
mod start;
mod state;

pub use mapping::{check as check_mapping, probe as probe_mapping};
pub use run::{Ended, Options, run};
pub use start::{App, StartError};
