//! The file of the audit log: one record a line, appended, synced, and rotated by size.
//!
//! What must never happen here: a record after an incomplete line, which no reader could tell apart from it. A write that
//! fails in the middle, on a full disk, is undone before the next one, and the next record that can be written is preceded
//! by one that reports the loss.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use api::audit::AuditRecord;

use super::{read, time};

/// How many older files are kept.
pub(super) const OLDER_FILES: usize = 9;

/// The open file.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    max_bytes: u64,
    file: File,
    /// The number of the next record.
    next: u64,
    /// Records that were lost since the last one that was written.
    lost: u64,
    /// Where an incomplete record begins that could not be removed yet.
    incomplete_at: Option<u64>,
}

// === impl AuditFile ===

impl AuditFile {
    /// Opens the file, or makes it. An incomplete record at its end, which a crash leaves, is removed. Blocks.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn open(path: PathBuf, max_bytes: u64) -> io::Result<Self> {
        let file = append_to(&path)?;
        let whole = read::end_of_last_line(&path)?;
        let incomplete = file.metadata()?.len() - whole;
        if incomplete > 0 {
            file.set_len(whole)?;
            tracing::warn!(
                file = %path.display(),
                bytes = incomplete,
                "an incomplete record at the end of the audit log was removed"
            );
        }
        let next = read::last_seq(&path, OLDER_FILES)? + 1;
        let lost = u64::from(incomplete > 0);
        Ok(Self { path, max_bytes, file, next, lost, incomplete_at: None })
    }

    /// Appends a record under the next number. Returns when it would survive a crash.
    ///
    /// # Errors
    /// The error of the operating system; the record is lost then.
    pub(super) fn append(&mut self, record: &AuditRecord) -> io::Result<()> {
        let appended = self.try_append(record);
        if appended.is_err() {
            self.lost += 1;
            // Tried again before the next record.
            let _ = self.remove_incomplete();
        }
        appended
    }

    fn try_append(&mut self, record: &AuditRecord) -> io::Result<()> {
        self.remove_incomplete()?;
        let mut lines = Vec::new();
        let mut next = self.next;
        if self.lost > 0 {
            push_line(&mut lines, &loss(self.lost), next)?;
            next += 1;
        }
        push_line(&mut lines, record, next)?;
        let mut length = self.file.metadata()?.len();
        if length > 0 && length.saturating_add(lines.len() as u64) > self.max_bytes {
            self.rotate()?;
            length = 0;
        }
        self.incomplete_at = Some(length);
        self.file.write_all(&lines)?;
        self.file.sync_data()?;
        self.incomplete_at = None;
        self.next = next + 1;
        self.lost = 0;
        Ok(())
    }

    /// Removes what a failed write has left.
    fn remove_incomplete(&mut self) -> io::Result<()> {
        if let Some(length) = self.incomplete_at {
            // Only shortened: another program may have emptied the file.
            if self.file.metadata()?.len() > length {
                self.file.set_len(length)?;
                self.file.sync_data()?;
            }
            self.incomplete_at = None;
        }
        Ok(())
    }

    /// Renames the files and begins a new one; the oldest is replaced. After a failure the next call goes on where this
    /// one ended.
    fn rotate(&mut self) -> io::Result<()> {
        if self.path.try_exists()? {
            for number in (1..OLDER_FILES).rev() {
                rename_if_there(&read::older(&self.path, number), &read::older(&self.path, number + 1))?;
            }
            std::fs::rename(&self.path, read::older(&self.path, 1))?;
        }
        self.file = append_to(&self.path)?;
        // The renaming must survive a crash as the records do.
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// The record that reports lost ones.
fn loss(records: u64) -> AuditRecord {
    let plural = if records == 1 { "" } else { "s" };
    AuditRecord {
        time: time::rfc3339(SystemTime::now()),
        who: "proxy".to_owned(),
        act: "audit.lost".to_owned(),
        subject: format!("{records} record{plural}"),
        result: "ok".to_owned(),
        ..AuditRecord::default()
    }
}

fn push_line(lines: &mut Vec<u8>, record: &AuditRecord, seq: u64) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, &AuditRecord { seq, ..record.clone() })?;
    lines.push(b'\n');
    Ok(())
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
