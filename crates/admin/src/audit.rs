//! The audit log: a record of every action, with its time, requester, address, and the values before and after.
//!
//! JSON lines in `state_dir`, appended and synced before the client has its response, and rotated by size. An action is
//! never refused because its record cannot be written, which would do more harm in the middle of a migration. The whole
//! record is then in the program's log, at level `error`.

use std::fs::DirBuilder;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use api::audit::{AuditPage, AuditRecord};
use observe::{Accounts, Escaped};

mod file;
mod read;
mod time;

use file::{AuditFile, OLDER_FILES};

/// The audit log. Clones share it.
#[derive(Clone, Debug)]
pub struct Audit {
    inner: Arc<Inner>,
}

/// The requester of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client of the API with the token.
    Token {
        /// The client's address.
        address: IpAddr,
        /// The name that it gives, which is not verified.
        name: Option<String>,
    },
    /// A process that may send this one a signal.
    Signal,
}

/// An action.
#[derive(Clone, Debug)]
pub struct Action {
    name: &'static str,
    subject: String,
    /// Whether the subject is an account, which logs show as configured.
    names_account: bool,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Debug)]
struct Inner {
    accounts: Arc<Accounts>,
    path: PathBuf,
    file: Mutex<AuditFile>,
}

/// The file's name in `state_dir`; older ones end in `.1`, `.2` and so on.
pub const FILE: &str = "audit.jsonl";

/// The most bytes of one file: room for more than a hundred thousand records.
const MAX_BYTES: u64 = 32 << 20;
/// The most bytes of one member of a record. Identifiers and destinations are shorter.
const MAX_TEXT: usize = 1024;

// === impl Audit ===

impl Audit {
    /// Opens the log in `folder`, which is made if it does not exist. `accounts` says how the program's log shows accounts;
    /// the audit log has them in full. Blocks.
    ///
    /// # Errors
    /// The error of the operating system about [`FILE`] in that folder.
    pub fn open(folder: &Path, accounts: &Arc<Accounts>) -> io::Result<Self> {
        Self::with_size(folder, accounts, MAX_BYTES)
    }

    fn with_size(folder: &Path, accounts: &Arc<Accounts>, max_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(FILE);
        let file = Mutex::new(AuditFile::open(path.clone(), max_bytes)?);
        Ok(Self { inner: Arc::new(Inner { accounts: Arc::clone(accounts), path, file }) })
    }

    /// Returns the path of the log.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Records an action and its result (`ok`, or a status), here and in the program's log. Returns when the record would
    /// survive a crash.
    pub async fn record(&self, actor: &Actor, action: Action, result: &str) {
        let shown = self.shown(&action);
        let record = record(actor, action, result);
        tracing::info!(
            who = record.who,
            name = %Escaped(record.name.as_deref().unwrap_or("-").as_bytes()),
            from = record.from.as_deref().unwrap_or("-"),
            act = record.act,
            subject = shown,
            result = record.result,
            "administrative action"
        );
        let audit = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            if let Err(error) = audit.inner.append(&record) {
                let record =
                    serde_json::to_string(&AuditRecord { subject: shown, ..record }).unwrap_or_default();
                tracing::error!(file = %audit.path().display(), %error, record, "the audit log cannot be written");
            }
        });
        // Only a runtime that ends drops the task; the action is in the program's log then.
        let _ = task.await;
    }

    /// Returns the subject as the program's log shows it.
    fn shown(&self, action: &Action) -> String {
        if action.names_account {
            self.inner.accounts.show(&action.subject).into_owned()
        } else {
            Escaped(action.subject.as_bytes()).to_string()
        }
    }

    /// Returns at most `limit` records, the newest first, from `from` on.
    ///
    /// # Errors
    /// The error of the operating system.
    pub async fn page(&self, from: Option<u64>, limit: usize) -> io::Result<AuditPage> {
        let path = self.inner.path.clone();
        let read = move || read::page(&path, OLDER_FILES, from, limit);
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }
}

// === impl Action ===

impl Action {
    /// An action on an account, or on several accounts.
    #[must_use]
    pub fn to_account(name: &'static str, subject: impl Into<String>) -> Self {
        Self { names_account: true, ..Self::to(name, subject) }
    }

    /// An action on something else; see [`AuditRecord::act`] for the names.
    #[must_use]
    pub fn to(name: &'static str, subject: impl Into<String>) -> Self {
        Self { name, subject: subject.into(), names_account: false, before: None, after: None }
    }

    /// Adds the value before the action.
    #[must_use]
    pub fn before(self, before: impl Into<String>) -> Self {
        Self { before: Some(before.into()), ..self }
    }

    /// Adds the value after it.
    #[must_use]
    pub fn after(self, after: impl Into<String>) -> Self {
        Self { after: Some(after.into()), ..self }
    }
}

// === impl Inner ===

impl Inner {
    fn append(&self, record: &AuditRecord) -> io::Result<()> {
        // A panic under the lock may leave an incomplete line; `AuditFile` removes it before the next record.
        self.file.lock().unwrap_or_else(PoisonError::into_inner).append(record)
    }
}

fn record(actor: &Actor, action: Action, result: &str) -> AuditRecord {
    let (who, from, name) = match actor {
        Actor::Token { address, name } => ("token", Some(address.to_canonical().to_string()), name.clone()),
        Actor::Signal => ("signal", None, None),
    };
    AuditRecord {
        seq: 0,
        time: time::rfc3339(SystemTime::now()),
        who: who.to_owned(),
        name: name.map(truncated),
        from,
        act: action.name.to_owned(),
        subject: truncated(action.subject),
        before: action.before.map(truncated),
        after: action.after.map(truncated),
        result: result.to_owned(),
    }
}

/// Shortens a member to [`MAX_TEXT`].
fn truncated(mut text: String) -> String {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests;
