//! Import and export of the whole mapping.
//!
//! What must never happen here: an incomplete export that looks complete.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use api::mapping::{Imported, TSV};
use api::parameters::DRY_RUN;
use api::paths;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use tempfile::NamedTempFile;
use tokio::time::timeout;

use crate::api_client::{ApiCall, ApiClient, BULK_TIME, CommandError};
use crate::format::count;
use crate::print::{print_bytes, print_json, print_line};
use crate::progress::{elapsed, with_progress};

/// Bytes of an import: the limit of the API.
const MAX_IMPORT: u64 = 128 << 20;

/// Sends a file, or standard input for `-`, to the proxy.
pub(super) async fn import(
    client: &ApiClient,
    file: &Path,
    is_dry_run: bool,
    is_json: bool,
) -> Result<(), CommandError> {
    let lines = read_import(file)?;
    let call = ApiCall::new(Method::POST, paths::MAPPINGS_IMPORT)
        .with_some(DRY_RUN, is_dry_run.then_some("true"))
        .sending(TSV, lines);
    let imported: Imported = with_progress(elapsed("importing"), client.json(call)).await?;
    if is_json {
        return print_json(&imported);
    }
    let entries = count(imported.entries, "entry", "entries");
    let changed = imported.changed;
    if imported.dry_run {
        print_line(&format!("dry run: {entries} read, {changed} would change; nothing was changed"))
    } else {
        print_line(&format!("{entries} imported, {changed} changed"))
    }
}

fn read_import(file: &Path) -> Result<Vec<u8>, CommandError> {
    let file_error = |error| CommandError::File(file.display().to_string(), error);
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(file_error)?)
    };
    let mut lines = Vec::new();
    source.take(MAX_IMPORT + 1).read_to_end(&mut lines).map_err(file_error)?;
    if lines.len() as u64 > MAX_IMPORT {
        let reason = format!("it is larger than {MAX_IMPORT} bytes: split it and import the parts");
        return Err(file_error(io::Error::other(reason)));
    }
    Ok(lines)
}

/// Writes every entry to `path`, or to standard output.
pub(super) async fn export(client: &ApiClient, path: Option<&Path>) -> Result<(), CommandError> {
    let exporting = async {
        match path {
            Some(path) => export_to_file(client, path).await,
            None => write_body(open_export(client).await?, print_bytes).await,
        }
    };
    match timeout(BULK_TIME, exporting).await {
        Ok(result) => result,
        Err(_) => Err(CommandError::Incomplete(format!("it took more than {} seconds", BULK_TIME.as_secs()))),
    }
}

/// Writes a temporary file beside `path` and renames it: the file at `path` is always complete.
async fn export_to_file(client: &ApiClient, path: &Path) -> Result<(), CommandError> {
    let file_error = |error| CommandError::File(path.display().to_string(), error);
    let body = open_export(client).await?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = NamedTempFile::new_in(directory).map_err(file_error)?;
    let written = Cell::new(0);
    let writing = write_body(body, |bytes| {
        written.set(written.get() + bytes.len());
        file.write_all(bytes).map_err(file_error)
    });
    with_progress(|| format!("exporting: {} MiB so far", written.get() >> 20), writing).await?;
    file.as_file().sync_all().map_err(file_error)?;
    match file.persist(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(file_error(error.error)),
    }
}

async fn open_export(client: &ApiClient) -> Result<Incoming, CommandError> {
    let response = client.open(ApiCall::get(paths::MAPPINGS).accepting(TSV)).await?;
    Ok(response.into_body())
}

/// Passes the body to `write` as it arrives.
async fn write_body(
    mut body: Incoming,
    mut write: impl FnMut(&[u8]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CommandError::Incomplete(error.to_string()))?;
        if let Some(data) = frame.data_ref() {
            write(data)?;
        }
    }
    Ok(())
}
