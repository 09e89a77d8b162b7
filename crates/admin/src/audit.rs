//! The record of every act: who, what, when, from where, before, after.
//!
//! JSON lines in `state_dir`, only ever appended to, synced before the caller has its answer, rotated by size.
//! An act is never refused because its record cannot be written: in the middle of a night's migration that would
//! be the greater harm. It is then in the log, at level `error`, whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use api::audit::{Page, Record};
use observe::{Accounts, Escaped};

mod read;
mod time;

/// The audit log. A clone is the same log.
#[derive(Clone, Debug)]
pub struct Audit {
    inner: Arc<Inner>,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with the token.
    Token {
        /// From where.
        address: IpAddr,
        /// Who they say they are.
        name: Option<String>,
    },
    /// Whoever may send this process a signal.
    Signal,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Act {
    what: &'static str,
    subject: String,
    /// Whether the subject names an account: logs show those in their own way.
    names_account: bool,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Debug)]
struct Inner {
    accounts: Arc<Accounts>,
    path: PathBuf,
    max_bytes: u64,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    next: u64,
}

/// The file's name in `state_dir`; older ones have `.1`, `.2` and so on behind it.
pub const FILE: &str = "audit.jsonl";

/// Bytes of one file, and how many older ones are kept: more than a hundred thousand acts each.
const MAX_BYTES: u64 = 32 << 20;
const OLDER_FILES: usize = 9;
/// Bytes of one member of a record. Identifiers and destinations are shorter.
const MAX_TEXT: usize = 1024;

// === impl Audit ===

impl Audit {
    /// Opens the log in `folder`, which is made if need be. `accounts` tells how logs show them; in the audit log
    /// they are in full. Blocks.
    ///
    /// # Errors
    /// What the system says; the file is [`FILE`] in that folder.
    pub fn open(folder: &Path, accounts: &Arc<Accounts>) -> io::Result<Self> {
        Self::with_size(folder, accounts, MAX_BYTES)
    }

    fn with_size(folder: &Path, accounts: &Arc<Accounts>, max_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(FILE);
        let mut file = append_to(&path)?;
        let mut bytes = file.seek(SeekFrom::End(0))?;
        // A line that a crash cut short stays as it is, and the next one begins on a line of its own.
        if !read::ends_whole(&path)? {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        let next = read::last_seq(&path, OLDER_FILES)? + 1;
        let open = Mutex::new(Open { file, bytes, next });
        Ok(Self { inner: Arc::new(Inner { accounts: Arc::clone(accounts), path, max_bytes, open }) })
    }

    /// Where the log is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Records an act and what came of it (`ok`, or a status), here and in the log. Returns when it would survive
    /// a crash.
    pub async fn record(&self, actor: &Actor, act: Act, result: &str) {
        let shown = self.shown(&act);
        let record = record(actor, act, result);
        tracing::info!(
            who = record.who,
            name = %Escaped(record.name.as_deref().unwrap_or("-").as_bytes()),
            from = record.from.as_deref().unwrap_or("-"),
            act = record.act,
            subject = shown,
            result = record.result,
            "administrative act"
        );
        let audit = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            if let Err(error) = audit.inner.append(&record) {
                let record = serde_json::to_string(&Record { subject: shown, ..record }).unwrap_or_default();
                tracing::error!(file = %audit.path().display(), %error, record, "the audit log cannot be written");
            }
        });
        // Only a runtime that ends drops the task; the act is in the log then.
        let _ = task.await;
    }

    /// The subject as logs show it.
    fn shown(&self, act: &Act) -> String {
        if act.names_account {
            self.inner.accounts.show(&act.subject).into_owned()
        } else {
            Escaped(act.subject.as_bytes()).to_string()
        }
    }

    /// At most `limit` records, the newest first, from `from` on.
    ///
    /// # Errors
    /// What the system says.
    pub async fn page(&self, from: Option<u64>, limit: usize) -> io::Result<Page> {
        let path = self.inner.path.clone();
        let read = move || read::page(&path, OLDER_FILES, from, limit);
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }
}

// === impl Act ===

impl Act {
    /// Something was done to an account, or to several that are named.
    #[must_use]
    pub fn to_account(what: &'static str, subject: impl Into<String>) -> Self {
        Self { names_account: true, ..Self::to(what, subject) }
    }

    /// Something was done; see [`Record::act`] for the names.
    #[must_use]
    pub fn to(what: &'static str, subject: impl Into<String>) -> Self {
        Self { what, subject: subject.into(), names_account: false, before: None, after: None }
    }

    /// How it was.
    #[must_use]
    pub fn before(self, before: impl Into<String>) -> Self {
        Self { before: Some(before.into()), ..self }
    }

    /// How it is.
    #[must_use]
    pub fn after(self, after: impl Into<String>) -> Self {
        Self { after: Some(after.into()), ..self }
    }
}

// === impl Inner ===

impl Inner {
    fn append(&self, record: &Record) -> io::Result<()> {
        // A panic under the lock leaves a line that is cut short, which readers pass over.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = Record { seq: open.next, ..record.clone() };
        let mut line = serde_json::to_vec(&numbered)?;
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if open.bytes > 0 && open.bytes.saturating_add(length) > self.max_bytes {
            self.rotate()?;
            (open.file, open.bytes) = (append_to(&self.path)?, 0);
        }
        open.file.write_all(&line)?;
        open.file.sync_data()?;
        open.bytes += length;
        open.next += 1;
        Ok(())
    }

    /// Makes room for a new file; the oldest goes.
    fn rotate(&self) -> io::Result<()> {
        for number in (1..OLDER_FILES).rev() {
            rename_if_there(&read::older(&self.path, number), &read::older(&self.path, number + 1))?;
        }
        std::fs::rename(&self.path, read::older(&self.path, 1))?;
        // The names must survive what the lines survive.
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn record(actor: &Actor, act: Act, result: &str) -> Record {
    let (who, from, name) = match actor {
        Actor::Token { address, name } => ("token", Some(address.to_canonical().to_string()), name.clone()),
        Actor::Signal => ("signal", None, None),
    };
    Record {
        seq: 0,
        time: time::rfc3339(SystemTime::now()),
        who: who.to_owned(),
        name: name.map(cut),
        from,
        act: act.what.to_owned(),
        subject: cut(act.subject),
        before: act.before.map(cut),
        after: act.after.map(cut),
        result: result.to_owned(),
    }
}

fn cut(mut text: String) -> String {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests;
