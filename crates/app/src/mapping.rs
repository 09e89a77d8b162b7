//! The mapping store that a plan asks for, and the channel on which proxies that share it tell each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use admin::diagnostics;
use api::Diagnostic;
use cluster::{Bus, Channel, ChannelKey};
use control::Control;
use mapping::file::Watch;
use mapping::sql::Statements;
use mapping::store::{LoadError, StoreError};
use mapping::{FileStore, RedisStore, Rules, SqlStore, Store};
use plan::{Admin, Plan, Source};
use tokio::time::timeout;

/// The store in use.
pub(crate) enum Mapping {
    File(File),
    /// One that other proxies may share.
    Shared {
        store: Arc<dyn Store>,
        /// `None`: it has no way to tell others.
        channel: Option<Arc<dyn Channel>>,
        /// What it was opened with.
        plan: Arc<Plan>,
    },
}

/// A file, and the watch over it.
pub(crate) struct File {
    store: FileStore,
    path: PathBuf,
    /// Ends when it is dropped.
    watch: Option<Watch>,
}

/// What a plan asks for, ready to be put in the place of what is there.
pub(crate) enum Prepared {
    /// Everything stays.
    Nothing,
    /// The same file by other rules.
    Table(mapping::file::Prepared),
    Another(Mapping),
}

/// What a reload leaves behind.
#[must_use = "to be settled where nobody waits"]
pub(crate) enum Left {
    Nothing,
    Table(mapping::file::Taken),
    Mapping(Mapping),
}

/// An identifier that no account has: what is asked to see whether a store answers.
const NOBODY: &str = "nobody@pointsman.invalid";

/// What is wrong with the mapping file of `plan`, line by line, without using it. Other stores are judged when they
/// are opened.
#[must_use]
pub fn check(plan: &Plan) -> Vec<Diagnostic> {
    match &plan.mapping.source {
        Source::File { path, .. } => FileStore::check(path, &Rules::of(plan))
            .err()
            .as_ref()
            .map(diagnostics::of_mapping)
            .unwrap_or_default(),
        Source::Redis { .. } | Source::Sql { .. } => Vec::new(),
    }
}

/// Opens the store of `plan` and asks it, as a start would; `None` for a file, which [`check`] judges.
///
/// # Errors
/// Why a start would fail.
pub async fn probe(plan: &Arc<Plan>) -> Option<Result<(), LoadError>> {
    match &plan.mapping.source {
        Source::File { .. } => None,
        Source::Redis { .. } | Source::Sql { .. } => Some(Mapping::open(plan).await.map(|_| ())),
    }
}

// === impl Mapping ===

impl Mapping {
    /// Opens what `plan` asks for.
    ///
    /// A store that does not answer stops the start: nothing is cached yet, so every account that has moved
    /// would be sent to its old server, and what it writes there would be lost to it.
    pub(crate) async fn open(plan: &Arc<Plan>) -> Result<Self, LoadError> {
        let unusable = |error: StoreError| LoadError::Unusable(error.to_string().into());
        let (store, channel): (Arc<dyn Store>, Option<Arc<dyn Channel>>) = match &plan.mapping.source {
            Source::File { path, watch } => return File::open(plan, path, *watch).await.map(Self::File),
            Source::Redis { url, key_prefix, pool_size, channel } => {
                let store = RedisStore::open(url, key_prefix, *pool_size, channel).map_err(unusable)?;
                let store = Arc::new(store);
                (Arc::clone(&store) as _, Some(store as _))
            }
            Source::Sql { url, query, upsert_query, delete_query, list_query, pool_size, channel } => {
                let statements = Statements {
                    query: query.clone(),
                    upsert: upsert_query.clone(),
                    delete: delete_query.clone(),
                    list: list_query.clone(),
                };
                let store = SqlStore::open(url, statements, *pool_size, channel).map_err(unusable)?;
                let store = Arc::new(store);
                let channel = store.has_channel().then(|| Arc::clone(&store) as _);
                (store as _, channel)
            }
        };
        let limit = plan.mapping.lookup_timeout;
        let asked = timeout(limit, store.lookup(NOBODY)).await;
        asked.unwrap_or(Err(StoreError::TimedOut(limit))).map_err(unusable)?;
        tracing::info!("the mapping store answers");
        Ok(Self::Shared { store, channel, plan: Arc::clone(plan) })
    }

    /// The store, for the router.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::File(file) => Arc::new(file.store.clone()),
            Self::Shared { store, .. } => Arc::clone(store),
        }
    }

    /// Has `control` hear of edits by hand, and of other proxies, whose messages are signed with the token of `admin`.
    pub(crate) fn publish(&self, plan: &Plan, admin: Option<&Admin>, control: &Control) {
        match self {
            Self::File(file) => {
                control.follow(&file.store);
                control.bus().stay_alone("a mapping file has no channel");
            }
            Self::Shared { channel, .. } => join(plan, admin, channel.as_ref(), control.bus()),
        }
    }

    /// Makes ready what another plan asks for.
    pub(crate) async fn prepare(&self, plan: &Arc<Plan>) -> Result<Prepared, LoadError> {
        match (self, &plan.mapping.source) {
            (Self::File(file), Source::File { path, .. }) if *path == file.path => {
                file.store.prepare(Rules::of(plan)).await.map(Prepared::Table)
            }
            (Self::Shared { plan: before, .. }, source) if is_same(&before.mapping.source, source) => {
                Ok(Prepared::Nothing)
            }
            _ => Self::open(plan).await.map(Prepared::Another),
        }
    }

    /// Goes over to it, without a wait.
    pub(crate) fn adopt(&mut self, prepared: Prepared) -> Left {
        match prepared {
            Prepared::Nothing => Left::Nothing,
            Prepared::Table(table) => Left::Table(table.take_over()),
            Prepared::Another(mapping) => Left::Mapping(std::mem::replace(self, mapping)),
        }
    }

    /// Follows edits by hand, or no longer, as `plan` has it.
    pub(crate) fn watch(&mut self, plan: &Plan) {
        let (Self::File(file), Source::File { watch, .. }) = (self, &plan.mapping.source) else { return };
        if *watch != file.watch.is_some() {
            file.watch = watch.then(|| file.store.watch());
        }
    }
}

// === impl Left ===

impl Left {
    /// Gives it back. Blocks: a table of a million entries takes milliseconds.
    pub(crate) fn settle(self) {
        match self {
            Self::Nothing => {}
            Self::Table(taken) => {
                taken.settle();
            }
            Self::Mapping(mapping) => drop(mapping),
        }
    }
}

// === impl File ===

impl File {
    async fn open(plan: &Plan, path: &Path, watches: bool) -> Result<Self, LoadError> {
        let path = path.to_owned();
        let rules = Rules::of(plan);
        let opened = path.clone();
        let task = tokio::task::spawn_blocking(move || FileStore::open(opened, rules));
        let store = match task.await {
            Ok(opened) => opened?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let loaded = store.loaded();
        if loaded.domains > 0 && !plan.mapping.domains {
            tracing::warn!(
                "the mapping has entries for whole domains, which do nothing without mapping.domains = true"
            );
        }
        let watch = watches.then(|| store.watch());
        Ok(Self { store, path, watch })
    }
}

/// Joins the channel, where there is one and messages on it can be signed.
fn join(plan: &Plan, admin: Option<&Admin>, channel: Option<&Arc<dyn Channel>>, bus: &Bus) {
    let Some(channel) = channel else {
        return bus.stay_alone(
            "this kind of store has no channel: other proxies learn of changes when their cached answers end",
        );
    };
    let Some(admin) = admin else {
        return bus.stay_alone("there is no [admin], and messages are signed with its token");
    };
    let name = match &plan.mapping.source {
        Source::Redis { channel, .. } | Source::Sql { channel, .. } => channel.as_str(),
        Source::File { .. } => "",
    };
    match ChannelKey::derive(&admin.token, name) {
        Ok(key) => bus.join(Arc::clone(channel), key),
        Err(error) => bus.stay_alone(&error.to_string()),
    }
}

/// Whether two plans ask for the same store, opened in the same way.
fn is_same(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (
            Source::Redis { url, key_prefix, pool_size, channel },
            Source::Redis { url: url2, key_prefix: prefix2, pool_size: size2, channel: channel2 },
        ) => url.expose() == url2.expose() && (key_prefix, pool_size, channel) == (prefix2, size2, channel2),
        (
            Source::Sql { url, query, upsert_query, delete_query, list_query, pool_size, channel },
            Source::Sql {
                url: url2,
                query: query2,
                upsert_query: upsert2,
                delete_query: delete2,
                list_query: list2,
                pool_size: size2,
                channel: channel2,
            },
        ) => {
            url.expose() == url2.expose()
                && (query, upsert_query, delete_query, list_query) == (query2, upsert2, delete2, list2)
                && (pool_size, channel) == (size2, channel2)
        }
        _ => false,
    }
}
