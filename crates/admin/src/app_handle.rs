//! The parts of the program that the API uses.
//!
//! A trait, since the program is built in a crate above this one, and so that tests can provide something smaller.

use futures_core::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;

use api::Diagnostic;
use control::Control;
use mapping::Router;
use mapping::store::LoadError;
use moves::Moves;
use plan::Name;
use runtime::ActivePlan;
use sessions::Registry;
use tls::Acceptor;

/// The running program.
pub trait AppHandle: Send + Sync + 'static {
    /// Returns the plan in force, with what was built from it.
    fn plan(&self) -> Arc<ActivePlan>;

    /// Returns the live state of accounts.
    fn registry(&self) -> Registry;

    /// Returns the mapping.
    fn router(&self) -> Arc<Router>;

    /// Returns the TLS settings of the API itself.
    fn acceptor(&self) -> Acceptor;

    /// Returns the number of connections of each listener.
    fn listeners(&self) -> Vec<(Name, usize)>;

    /// Returns the control through which every change is made.
    fn control(&self) -> Control;

    /// Returns the moves; `None` if their journal could not be opened.
    fn moves(&self) -> Option<Moves>;

    /// Returns whether the proxy drains.
    fn is_draining(&self) -> bool;

    /// Reads the configuration and the mapping again and puts them in force, if both are valid.
    fn reload(&self) -> BoxFuture<'_, Result<Reload, ReloadError>>;

    /// Returns the media type and the text of the metrics for Prometheus; `None` for a program without metrics.
    fn metrics(&self) -> Option<(&'static str, String)>;
}

/// The result of a reload.
#[derive(Debug)]
pub struct Reload {
    /// Keys whose new values need a restart.
    pub restart_required: Vec<String>,
    /// Warnings about the file.
    pub warnings: Vec<Diagnostic>,
}

/// Why a reload was refused; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is not valid.
    #[error("{} has {errors} error{}", path.display(), if *errors == 1 { "" } else { "s" })]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// How many of `problems` are errors.
        errors: usize,
        /// Every error and warning.
        problems: Vec<Diagnostic>,
    },
    /// The mapping is not valid under the new configuration, or cannot be read.
    #[error("mapping: {0}")]
    Mapping(#[from] LoadError),
    /// Something else that the new configuration needs is missing.
    #[error("{0}")]
    Other(String),
}
