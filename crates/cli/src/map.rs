//! `pointsman map`.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use api::mapping::{Entry, Imported, Mapping, Page, Reloaded, Removed, Stored, TSV};
use api::parameters::{DESTINATION, DRY_RUN, FROM, IDENTIFIER, LIMIT, MAX_LIMIT};
use api::paths;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use tempfile::NamedTempFile;
use tokio::time::timeout;

use crate::arguments::MapCommand;
use crate::client::{BULK_TIME, Call, Client, Failure};
use crate::print::{Table, json, line, out};
use crate::progress::{telling, waiting};

/// Bytes of an import: what the API takes.
const MAX_IMPORT: u64 = 128 << 20;

/// Carries `command` out.
pub(crate) async fn map(client: &Client, command: MapCommand, is_json: bool) -> Result<ExitCode, Failure> {
    match command {
        MapCommand::Get { identifier } => get(client, &identifier, is_json).await?,
        MapCommand::Set { identifier, destination } => {
            set(client, &identifier, &destination, is_json).await?;
        }
        MapCommand::Rm { identifier } => return remove(client, &identifier, is_json).await,
        MapCommand::List { limit } => list(client, limit, is_json).await?,
        MapCommand::Import { file, dry_run } => import(client, &file, dry_run, is_json).await?,
        MapCommand::Export { out } => export(client, out.as_deref()).await?,
        MapCommand::Reload => reload(client, is_json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(client: &Client, identifier: &str, is_json: bool) -> Result<(), Failure> {
    let call = Call::new(Method::GET, paths::MAPPINGS).with(IDENTIFIER, identifier);
    let found: Mapping = client.ask(call).await?;
    if is_json {
        return json(&found);
    }
    let mut table = Table::new(&["ACCOUNT", "DESTINATION", "WHY"]);
    let why = match found.why.as_str() {
        "entry" => "an entry of its own",
        "domain" => "the entry of its domain",
        "default" => "no entry: the default",
        "store_down_stale" => "the store does not answer: as last known",
        "store_down" => "the store does not answer: the default",
        "undeclared" => "its entry names no declared destination: the default",
        other => other,
    };
    table.row([found.normalized, found.destination, why.to_owned()]);
    table.print()
}

async fn set(client: &Client, identifier: &str, destination: &str, is_json: bool) -> Result<(), Failure> {
    let call =
        Call::new(Method::PUT, paths::MAPPINGS).with(IDENTIFIER, identifier).with(DESTINATION, destination);
    let stored: Stored = client.ask(call).await?;
    if is_json {
        return json(&stored);
    }
    let Stored { normalized, destination, previous, changed, .. } = stored;
    line(&if changed {
        format!("{normalized} is on {destination} from now on (before: {previous})")
    } else {
        format!("{normalized} was on {destination} already")
    })
}

async fn remove(client: &Client, identifier: &str, is_json: bool) -> Result<ExitCode, Failure> {
    let call = Call::new(Method::DELETE, paths::MAPPINGS).with(IDENTIFIER, identifier);
    let removed: Removed = client.ask(call).await?;
    if is_json {
        json(&removed)?;
    } else if removed.removed {
        line(&format!("{} has no entry any more, and is on {}", removed.normalized, removed.destination))?;
    } else {
        line(&format!("{} had no entry; it is on {}", removed.normalized, removed.destination))?;
    }
    Ok(if removed.removed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn list(client: &Client, limit: usize, is_json: bool) -> Result<(), Failure> {
    let mut listed = Page::default();
    loop {
        let wanted = (limit - listed.mappings.len()).min(MAX_LIMIT);
        if wanted == 0 {
            break;
        }
        let from = listed.next.map(|next| next.to_string());
        let call = Call::new(Method::GET, paths::MAPPINGS)
            .with(LIMIT, &wanted.to_string())
            .with_some(FROM, from.as_deref());
        let page: Page = client.ask(call).await?;
        // A server that answers nothing and promises more would be asked for ever.
        let is_last = page.next.is_none() || page.mappings.is_empty();
        listed.mappings.extend(page.mappings);
        listed.mappings.truncate(limit);
        listed.next = page.next;
        if is_last {
            break;
        }
    }
    if is_json {
        return json(&listed);
    }
    let mut table = Table::new(&["ACCOUNT", "DESTINATION"]);
    for Entry { identifier, destination } in listed.mappings {
        table.row([identifier, destination]);
    }
    table.print()?;
    if listed.next.is_some() {
        eprintln!("there are more: raise --limit, or use `pointsman map export`");
    }
    Ok(())
}

async fn import(client: &Client, file: &Path, is_dry: bool, is_json: bool) -> Result<(), Failure> {
    let lines = read(file)?;
    let call = Call::new(Method::POST, paths::MAPPINGS_IMPORT)
        .with_some(DRY_RUN, is_dry.then_some("true"))
        .sending(TSV, lines);
    let imported: Imported = telling(waiting("the proxy imports"), client.ask(call)).await?;
    if is_json {
        return json(&imported);
    }
    let Imported { entries, changed, dry_run } = imported;
    line(&if dry_run {
        format!("{entries} entries, of which {changed} would change something; nothing was changed")
    } else {
        format!("{entries} entries imported, {changed} of them changed something")
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::File(file.display().to_string(), error);
    let mut lines = Vec::new();
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(failed)?)
    };
    source.take(MAX_IMPORT + 1).read_to_end(&mut lines).map_err(failed)?;
    if lines.len() as u64 > MAX_IMPORT {
        return Err(failed(io::Error::other(format!("more than {MAX_IMPORT} bytes: import it in parts"))));
    }
    Ok(lines)
}

async fn export(client: &Client, path: Option<&Path>) -> Result<(), Failure> {
    let call = Call::new(Method::GET, paths::MAPPINGS).accepting(TSV);
    let late = |_| Failure::Broken(format!("it took more than {} seconds", BULK_TIME.as_secs()));
    timeout(BULK_TIME, async {
        let body = client.open(call).await?.into_body();
        let Some(path) = path else { return pour(body, out).await };
        let failed = |error| Failure::File(path.display().to_string(), error);
        let folder =
            path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
        let written = Cell::new(0);
        let writing = pour(body, |bytes| {
            written.set(written.get() + bytes.len());
            file.write_all(bytes).map_err(failed)
        });
        telling(|| format!("exporting: {} MiB so far", written.get() >> 20), writing).await?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error)).map(drop)
    })
    .await
    .map_err(late)?
}

/// Hands the body over, piece by piece.
async fn pour(mut body: Incoming, mut to: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Broken(error.to_string()))?;
        if let Some(data) = frame.data_ref() {
            to(data)?;
        }
    }
    Ok(())
}

async fn reload(client: &Client, is_json: bool) -> Result<(), Failure> {
    let reloaded: Reloaded = client.ask(Call::new(Method::POST, paths::MAPPINGS_RELOAD)).await?;
    if is_json {
        return json(&reloaded);
    }
    line(&match reloaded.entries {
        Some(entries) => format!("read: {entries} entries"),
        None => "the store is asked afresh".to_owned(),
    })
}
