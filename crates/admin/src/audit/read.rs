//! Reading the audit log, the newest record first.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use api::audit::{AuditPage, AuditRecord};

/// Returns at most `limit` records with a number up to `from`.
pub(super) fn page(
    path: &Path,
    older_files: usize,
    from: Option<u64>,
    limit: usize,
) -> io::Result<AuditPage> {
    let mut page = AuditPage::default();
    for file in files(path, older_files) {
        let Some(text) = content(&file)? else { continue };
        for record in records(&text).filter(|record| from.is_none_or(|from| record.seq <= from)) {
            if page.records.len() == limit {
                page.next = Some(record.seq);
                return Ok(page);
            }
            page.records.push(record);
        }
    }
    Ok(page)
}

/// Returns the number of the newest record; 0 for an empty log.
pub(super) fn last_seq(path: &Path, older_files: usize) -> io::Result<u64> {
    Ok(page(path, older_files, None, 1)?.records.first().map_or(0, |record| record.seq))
}

/// Returns the length of the file up to the end of its last whole line.
pub(super) fn end_of_last_line(path: &Path) -> io::Result<u64> {
    const CHUNK: u64 = 64 * 1024;
    let mut file = File::open(path)?;
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = Vec::new();
        file.by_ref().take(end - start).read_to_end(&mut chunk)?;
        if let Some(position) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + position as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Returns the path of the `number`th older file.
pub(super) fn older(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn files(path: &Path, older_files: usize) -> impl Iterator<Item = PathBuf> {
    let older = (1..=older_files).map(move |number| older(path, number));
    std::iter::once(path.to_owned()).chain(older)
}

/// Returns the content of a file, whose size the writer bounds; `None` if there is no file.
fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the records in `text`, the last first. Incomplete lines are skipped.
fn records(text: &[u8]) -> impl Iterator<Item = AuditRecord> {
    text.rsplit(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}
