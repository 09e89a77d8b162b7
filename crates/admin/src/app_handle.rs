//! What the program lends to the API.
//!
//! A trait, since the program is built above this room, and so that tests can lend something smaller.

use futures_core::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;

use api::Diagnostic;
use control::Control;
use mapping::Router;
use mapping::store::LoadError;
use plan::Name;
use runtime::ActivePlan;
use sessions::Registry;
use tls::Acceptor;

/// The running program.
pub trait AppHandle: Send + Sync + 'static {
    /// The plan of the moment, what was built from it, and the live state.
    fn plan(&self) -> Arc<ActivePlan>;

    /// The live state of accounts.
    fn registry(&self) -> Registry;

    /// The mapping.
    fn router(&self) -> Arc<Router>;

    /// TLS of the API itself.
    fn acceptor(&self) -> Acceptor;

    /// Connections of each listener at this moment.
    fn listeners(&self) -> Vec<(Name, usize)>;

    /// Through which every change of the mapping goes.
    fn control(&self) -> Control;

    /// Whether the program is about to end.
    fn is_draining(&self) -> bool;

    /// Reads the configuration and the mapping again and goes over to them, if both are valid.
    fn reload(&self) -> BoxFuture<'_, Result<Reload, ReloadError>>;

    /// The metrics as text for Prometheus, and their media type; `None` where none are kept.
    fn metrics(&self) -> Option<(&'static str, String)>;
}

/// What a reload came to.
#[derive(Debug)]
pub struct Reload {
    /// Keys whose new values need a restart.
    pub restart_required: Vec<String>,
    /// What is worth knowing about the file.
    pub warnings: Vec<Diagnostic>,
}

/// Why a reload was refused; everything is as it was.
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
    /// Something else that the new configuration needs cannot be had.
    #[error("{0}")]
    Other(String),
}
