//! `pointsman sessions`.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use api::act::Kicked;
use api::parameters::{CLIENT, DESTINATION, FROM, IDENTIFIER, LIMIT, MAX_LIMIT, PROTOCOL};
use api::paths;
use api::state::{Connection, Connections};
use hyper::Method;

use crate::arguments::{SessionsCommand, Whose};
use crate::client::{Call, Client, Failure};
use crate::print::{Table, json, line};
use crate::progress::{telling, waiting};

/// Carries `command` out.
pub(crate) async fn sessions(
    client: &Client,
    command: SessionsCommand,
    is_json: bool,
) -> Result<ExitCode, Failure> {
    match command {
        SessionsCommand::List { whose, protocol, limit } => {
            list(client, &whose, protocol.as_deref(), limit, is_json).await?;
            Ok(ExitCode::SUCCESS)
        }
        SessionsCommand::Kick { whose } => kick(client, &whose, is_json).await,
    }
}

async fn list(
    client: &Client,
    whose: &Whose,
    protocol: Option<&str>,
    limit: usize,
    is_json: bool,
) -> Result<(), Failure> {
    let mut listed = Connections::default();
    loop {
        let wanted = (limit - listed.connections.len()).min(MAX_LIMIT);
        if wanted == 0 {
            break;
        }
        let from = listed.next.map(|next| next.to_string());
        let call = named(Call::new(Method::GET, paths::CONNECTIONS), whose)
            .with_some(PROTOCOL, protocol)
            .with(LIMIT, &wanted.to_string())
            .with_some(FROM, from.as_deref());
        let page: Connections = client.ask(call).await?;
        // A server that answers nothing and promises more would be asked for ever.
        let is_last = page.next.is_none() || page.connections.is_empty();
        listed.connections.extend(page.connections);
        listed.connections.truncate(limit);
        listed.next = page.next;
        if is_last {
            break;
        }
    }
    if is_json {
        return json(&listed);
    }
    let now = clock();
    let mut table =
        Table::new(&["ID", "ACCOUNT", "PROTOCOL", "CLIENT", "DESTINATION", "FOR", "SENT", "RECEIVED"]);
    for connection in listed.connections {
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
            account.unwrap_or_else(|| "-".to_owned()),
            protocol,
            client,
            destination,
            span(now.saturating_sub(since)),
            bytes_to_backend.to_string(),
            bytes_to_client.to_string(),
        ]);
    }
    table.print()?;
    if listed.next.is_some() {
        eprintln!(
            "there are more: raise --limit, or ask for fewer with --user, --destination, --client, --protocol"
        );
    }
    Ok(())
}

async fn kick(client: &Client, whose: &Whose, is_json: bool) -> Result<ExitCode, Failure> {
    if whose.user.is_none() && whose.destination.is_none() && whose.client.is_none() {
        let why = "whom to kick? Give --user (one account, or *@example.org), --destination or --client";
        return Err(Failure::Usage(why.to_owned()));
    }
    let call = named(Call::new(Method::POST, paths::CONNECTIONS_KICK), whose);
    let kicked: Kicked = telling(waiting("sessions say goodbye"), client.ask(call)).await?;
    if is_json {
        json(&kicked)?;
    } else {
        let Kicked { kicked, logins, ending } = kicked;
        line(&format!(
            "{kicked} sessions kicked, {logins} logins under way routed afresh, {ending} still ending"
        ))?;
    }
    Ok(if kicked.ending == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `call`, with the conditions of `whose`.
pub(crate) fn named<'a>(call: Call<'a>, whose: &Whose) -> Call<'a> {
    call.with_some(IDENTIFIER, whose.user.as_deref())
        .with_some(DESTINATION, whose.destination.as_deref())
        .with_some(CLIENT, whose.client.as_deref())
}

/// Seconds since 1970.
pub(crate) fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds, in the two largest units.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (90_061, "1d01h")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
