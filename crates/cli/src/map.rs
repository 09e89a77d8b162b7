//! `pointsman map`.

mod transfer;

use std::process::ExitCode;

use api::mapping::{Mapping, MappingEntry, MappingPage, Reloaded, Removed, Stored};
use api::parameters::{DESTINATION, FROM, IDENTIFIER, LIMIT, MAX_LIMIT};
use api::paths;
use hyper::Method;

use crate::api_client::{ApiCall, ApiClient, CommandError};
use crate::arguments::MapCommand;
use crate::format::count;
use crate::print::{Table, print_json, print_line};

/// Executes `command`.
pub(crate) async fn map(
    client: &ApiClient,
    command: MapCommand,
    is_json: bool,
) -> Result<ExitCode, CommandError> {
    match command {
        MapCommand::Get { identifier } => get(client, &identifier, is_json).await?,
        MapCommand::Set { identifier, destination } => {
            set(client, &identifier, &destination, is_json).await?;
        }
        MapCommand::Rm { identifier } => return remove(client, &identifier, is_json).await,
        MapCommand::List { limit } => list(client, limit, is_json).await?,
        MapCommand::Import { file, dry_run } => transfer::import(client, &file, dry_run, is_json).await?,
        MapCommand::Export { out } => transfer::export(client, out.as_deref()).await?,
        MapCommand::Reload => reload(client, is_json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(client: &ApiClient, identifier: &str, is_json: bool) -> Result<(), CommandError> {
    let call = ApiCall::get(paths::MAPPINGS).with(IDENTIFIER, identifier);
    let found: Mapping = client.json(call).await?;
    if is_json {
        return print_json(&found);
    }
    let reason = match found.why.as_str() {
        "entry" => "its own entry",
        "domain" => "the entry of its domain",
        "default" => "no entry: default destination",
        "store_down_stale" => "mapping store down: last known answer",
        "store_down" => "mapping store down: default destination",
        "undeclared" => "its entry names an unknown destination: default destination",
        other => other,
    };
    let mut table = Table::new(&["ACCOUNT", "DESTINATION", "REASON"]);
    table.row([found.normalized, found.destination, reason.to_owned()]);
    table.print()
}

async fn set(
    client: &ApiClient,
    identifier: &str,
    destination: &str,
    is_json: bool,
) -> Result<(), CommandError> {
    let call = ApiCall::new(Method::PUT, paths::MAPPINGS)
        .with(IDENTIFIER, identifier)
        .with(DESTINATION, destination);
    let stored: Stored = client.json(call).await?;
    if is_json {
        return print_json(&stored);
    }
    let Stored { normalized, destination, previous, changed, .. } = stored;
    if changed {
        print_line(&format!("{normalized} is now at {destination} (before: {previous})"))?;
        print_line(&format!(
            "sessions that are open stay at {previous}; end them: pointsman sessions kick --user {normalized}"
        ))
    } else {
        print_line(&format!("{normalized} was already at {destination}"))
    }
}

async fn remove(client: &ApiClient, identifier: &str, is_json: bool) -> Result<ExitCode, CommandError> {
    let call = ApiCall::new(Method::DELETE, paths::MAPPINGS).with(IDENTIFIER, identifier);
    let removed: Removed = client.json(call).await?;
    if is_json {
        print_json(&removed)?;
    } else if removed.removed {
        print_line(&format!("entry removed: {} is now at {}", removed.normalized, removed.destination))?;
    } else {
        print_line(&format!("no entry to remove: {} is at {}", removed.normalized, removed.destination))?;
    }
    Ok(if removed.removed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn list(client: &ApiClient, limit: usize, is_json: bool) -> Result<(), CommandError> {
    let list = fetch(client, limit).await?;
    if is_json {
        return print_json(&list);
    }
    let mut table = Table::new(&["ACCOUNT", "DESTINATION"]);
    for MappingEntry { identifier, destination } in list.mappings {
        table.row([identifier, destination]);
    }
    table.print()?;
    if list.next.is_some() {
        eprintln!("more entries exist: raise --limit, or use `pointsman map export`");
    }
    Ok(())
}

/// Fetches pages until there are `limit` entries or no more.
async fn fetch(client: &ApiClient, limit: usize) -> Result<MappingPage, CommandError> {
    let mut list = MappingPage::default();
    while list.mappings.len() < limit {
        let page_size = (limit - list.mappings.len()).min(MAX_LIMIT);
        let from = list.next.map(|next| next.to_string());
        let call = ApiCall::get(paths::MAPPINGS)
            .with(LIMIT, &page_size.to_string())
            .with_some(FROM, from.as_deref());
        let page: MappingPage = client.json(call).await?;
        // An empty page that promises more would be requested for ever.
        let is_last = page.next.is_none() || page.mappings.is_empty();
        list.mappings.extend(page.mappings);
        list.mappings.truncate(limit);
        list.next = page.next;
        if is_last {
            break;
        }
    }
    Ok(list)
}

async fn reload(client: &ApiClient, is_json: bool) -> Result<(), CommandError> {
    let reloaded: Reloaded = client.json(ApiCall::new(Method::POST, paths::MAPPINGS_RELOAD)).await?;
    if is_json {
        return print_json(&reloaded);
    }
    match reloaded.entries {
        Some(entries) => print_line(&format!("mapping reloaded: {}", count(entries, "entry", "entries"))),
        None => print_line("cache cleared: the mapping store is queried again"),
    }
}
