//! `pointsman sessions`.

use std::process::ExitCode;

use api::action::Kicked;
use api::parameters::{CLIENT, DESTINATION, FROM, IDENTIFIER, LIMIT, MAX_LIMIT, PROTOCOL};
use api::paths;
use api::status::{Connection, Connections};
use hyper::Method;

use crate::api_client::{ApiCall, ApiClient, CommandError};
use crate::arguments::{FilterOptions, SessionsCommand};
use crate::format::{count, duration, or_dash, unix_time};
use crate::print::{Table, print_json, print_line};
use crate::progress::{elapsed, with_progress};

/// Executes `command`.
pub(crate) async fn sessions(
    client: &ApiClient,
    command: SessionsCommand,
    is_json: bool,
) -> Result<ExitCode, CommandError> {
    match command {
        SessionsCommand::List { filter, protocol, limit } => {
            let list = fetch(client, &filter, protocol.as_deref(), limit).await?;
            if is_json {
                print_json(&list)?;
            } else {
                print_list(&list)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        SessionsCommand::Kick { filter } => kick(client, &filter, is_json).await,
    }
}

/// Fetches pages until there are `limit` sessions or no more.
async fn fetch(
    client: &ApiClient,
    filter: &FilterOptions,
    protocol: Option<&str>,
    limit: usize,
) -> Result<Connections, CommandError> {
    let mut list = Connections::default();
    while list.connections.len() < limit {
        let page_size = (limit - list.connections.len()).min(MAX_LIMIT);
        let from = list.next.map(|next| next.to_string());
        let call = filtered(ApiCall::get(paths::CONNECTIONS), filter)
            .with_some(PROTOCOL, protocol)
            .with(LIMIT, &page_size.to_string())
            .with_some(FROM, from.as_deref());
        let page: Connections = client.json(call).await?;
        // An empty page that promises more would be requested for ever.
        let is_last = page.next.is_none() || page.connections.is_empty();
        list.connections.extend(page.connections);
        list.connections.truncate(limit);
        list.next = page.next;
        if is_last {
            break;
        }
    }
    Ok(list)
}

fn print_list(list: &Connections) -> Result<(), CommandError> {
    let now = unix_time();
    let mut table =
        Table::new(&["ID", "ACCOUNT", "PROTOCOL", "CLIENT", "DESTINATION", "AGE", "TO BACKEND", "TO CLIENT"]);
    for connection in &list.connections {
        let Connection {
            id,
            account,
            protocol,
            client,
            destination,
            since,
            bytes_to_backend,
            bytes_to_client,
        } = connection;
        table.row([
            id.to_string(),
            or_dash(account.clone()),
            protocol.clone(),
            client.clone(),
            destination.clone(),
            duration(now.saturating_sub(*since)),
            bytes_to_backend.to_string(),
            bytes_to_client.to_string(),
        ]);
    }
    table.print()?;
    if list.next.is_some() {
        eprintln!(
            "more sessions exist: raise --limit, or select with --user, --destination, --client or --protocol"
        );
    }
    Ok(())
}

async fn kick(client: &ApiClient, filter: &FilterOptions, is_json: bool) -> Result<ExitCode, CommandError> {
    // An option that was forgotten must not disconnect every client.
    if filter.user.is_none() && filter.destination.is_none() && filter.client.is_none() {
        let reason = "nothing selects the sessions to kick: give --user ACCOUNT (or '*@example.org'), \
                      --destination NAME or --client ADDRESS";
        return Err(CommandError::Usage(reason.to_owned()));
    }
    let call = filtered(ApiCall::new(Method::POST, paths::CONNECTIONS_KICK), filter);
    let result: Kicked = with_progress(elapsed("waiting for sessions to end"), client.json(call)).await?;
    if is_json {
        print_json(&result)?;
    } else {
        print_line(&format!(
            "{} kicked, {} in progress routed again, {} still ending",
            count(result.kicked, "session", "sessions"),
            count(result.logins, "login", "logins"),
            count(result.ending, "session", "sessions")
        ))?;
    }
    Ok(if result.ending == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Adds the conditions of `filter` to `call`.
pub(crate) fn filtered<'a>(call: ApiCall<'a>, filter: &FilterOptions) -> ApiCall<'a> {
    call.with_some(IDENTIFIER, filter.user.as_deref())
        .with_some(DESTINATION, filter.destination.as_deref())
        .with_some(CLIENT, filter.client.as_deref())
}
