//! The mapping store that a plan asks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::plan::{Plan, Source};
use points::Points;
use route::file::Watch;
use route::store::LoadError;
use route::{FileStore, Rules, Store};

/// The store in use, and the watch over it.
pub(crate) struct Mapping {
    store: FileStore,
    path: PathBuf,
    /// Ends when it is dropped.
    watch: Option<Watch>,
}

/// Judges the mapping file of `plan` without using it.
///
/// # Errors
/// What is wrong with it, line by line.
pub fn check(plan: &Plan) -> Result<(), LoadError> {
    match path(plan) {
        Some((path, _)) => FileStore::check(path, &Rules::of(plan)).map(|_| ()),
        None => Ok(()),
    }
}

// === impl Mapping ===

impl Mapping {
    /// Opens what `plan` asks for.
    pub(crate) async fn open(plan: &Plan) -> Result<Self, LoadError> {
        // The configuration refuses every other source until it is built.
        let (path, watches) = path(plan).unwrap_or_else(|| (Path::new(""), false));
        let path = path.to_owned();
        let (rules, opened) = (Rules::of(plan), path.clone());
        let task = tokio::task::spawn_blocking(move || FileStore::open(opened, rules));
        let store = match task.await {
            Ok(opened) => opened?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let loaded = store.loaded();
        tracing::info!(file = %path.display(), entries = loaded.entries, domains = loaded.domains, "mapping read");
        if loaded.domains > 0 && !plan.mapping.domains {
            tracing::warn!(
                "the mapping has entries for whole domains, which do nothing without mapping.domains = true"
            );
        }
        let watch = watches.then(|| store.watch());
        Ok(Self { store, path, watch })
    }

    /// The store, for the router.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    /// Has `points` hear of edits by hand.
    pub(crate) fn tell(&self, points: &Points) {
        points.follow(&self.store);
    }

    /// Goes over to another plan; nothing has changed when it fails.
    pub(crate) async fn adopt(&mut self, plan: &Plan) -> Result<(), LoadError> {
        match path(plan) {
            Some((path, watches)) if path == self.path => {
                self.store.adopt(Rules::of(plan)).await?;
                if watches != self.watch.is_some() {
                    self.watch = watches.then(|| self.store.watch());
                }
            }
            _ => *self = Self::open(plan).await?,
        }
        Ok(())
    }
}

fn path(plan: &Plan) -> Option<(&Path, bool)> {
    match &plan.mapping.source {
        Source::File { path, watch } => Some((path, *watch)),
        Source::Redis { .. } | Source::Sql { .. } => None,
    }
}
