//! Lists and disconnects sessions; delays logins.

use std::cell::RefCell;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use api::action::{Delayed, Kicked};
use api::parameters::{CLIENT, DESTINATION, FROM, IDENTIFIER, LIMIT, MAX_DELAY_SECONDS, PROTOCOL, SECONDS};
use api::status::{Connection, Connections};
use axum::Json;
use axum::extract::State;
use control::{Control, Order, SessionFilter};
use sessions::{Registry, SessionInfo};
use tokio::time::{Instant, timeout_at};

use super::filter;
use crate::audit::Action;
use crate::failure::{CallResult, Failure};
use crate::parameters::Parameters;
use crate::shared::{Caller, Shared};

/// How long a kick waits for the sessions it ended: a session ends at the end of a line, within two seconds, and its client
/// has five seconds to read the reason.
const KICK_WAIT: Duration = Duration::from_secs(8);

/// `GET /connections`.
pub(crate) async fn list(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> CallResult<Json<Connections>> {
    let parameters = parameters.only(&[IDENTIFIER, DESTINATION, CLIENT, PROTOCOL, FROM, LIMIT])?;
    let filter = filter::session_filter(&shared, &parameters)?;
    let (from, limit) = parameters.page()?;
    Ok(Json(page(&shared.registry(), from.unwrap_or(0), limit, |session| filter.lists(session))))
}

/// `POST /connections/kick`: once it is answered, no session that matched is on its old destination (or `ending` says how
/// many are still closing), and no login that was under way ends up there.
pub(crate) async fn kick(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> CallResult<Json<Kicked>> {
    let parameters = parameters.only(&[IDENTIFIER, DESTINATION, CLIENT])?;
    let filter = filter::session_filter(&shared, &parameters)?;
    if filter.is_empty() {
        let detail = "no condition: give at least one of identifier (one account, or *@example.org), destination, client";
        return Err(Failure::bad_request(detail));
    }
    let kicked = kick_and_wait(&shared.control(), filter).await?;
    let action = Action::to_account("connections.kick", subject(&parameters))
        .after(format!("{} kicked", kicked.kicked));
    let outcome = Ok(Json(kicked));
    shared.record(&caller, action, &outcome).await;
    outcome
}

/// Kicks, and waits for the sessions to end.
async fn kick_and_wait(control: &Control, filter: SessionFilter) -> CallResult<Kicked> {
    let deadline = Instant::now() + KICK_WAIT;
    let kicked = control.execute(Order::Kick(filter)).await?.kicked();
    // `ending.count()` below reports those that have not left.
    let _ = timeout_at(deadline, kicked.ending.all_left()).await;
    Ok(Kicked { kicked: kicked.counts.sessions, logins: kicked.counts.logins, ending: kicked.ending.count() })
}

/// `POST /connections/delay`.
pub(crate) async fn delay(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> CallResult<Json<Delayed>> {
    let parameters = parameters.only(&[IDENTIFIER, SECONDS])?;
    let identifier = parameters.required(IDENTIFIER)?;
    let seconds = clamped(parameters.required(SECONDS)?)?;
    let normalized = shared.account(identifier)?;
    let delay = Duration::from_secs(seconds);
    shared.control().execute(Order::Delay { account: normalized.as_str().into(), delay }).await?;
    let action =
        Action::to_account("connections.delay", normalized.as_str()).after(format!("{seconds} seconds"));
    let outcome = Ok(Json(Delayed { identifier: identifier.to_owned(), normalized, seconds }));
    shared.record(&caller, action, &outcome).await;
    outcome
}

/// Sessions from the id `from` on. Only a page of them is copied, however many there are.
fn page(registry: &Registry, from: u64, limit: usize, matches: impl Fn(&SessionInfo) -> bool) -> Connections {
    // The smallest ids, and one more to know whether there is a next page.
    let smallest = RefCell::new(BinaryHeap::new());
    let _ = registry.sessions_where(usize::MAX, |info| {
        if info.id >= from && matches(info) {
            let mut smallest = smallest.borrow_mut();
            smallest.push(info.id);
            if smallest.len() > limit + 1 {
                smallest.pop();
            }
        }
        false
    });
    let mut ids: BTreeSet<u64> = smallest.into_inner().into_iter().collect();
    let next = (ids.len() > limit).then(|| ids.pop_last()).flatten();
    let mut found = registry.sessions_where(ids.len(), |info| ids.contains(&info.id));
    found.sort_unstable_by_key(|info| info.id);
    Connections { connections: found.iter().map(connection).collect(), next }
}

fn connection(info: &SessionInfo) -> Connection {
    Connection {
        id: info.id,
        account: info.account.as_deref().map(str::to_owned),
        protocol: info.protocol.name().to_owned(),
        client: info.client.to_canonical().to_string(),
        destination: info.destination.to_string(),
        since: info.since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        bytes_to_backend: info.traffic.to_backend.load(Ordering::Relaxed),
        bytes_to_client: info.traffic.to_client.load(Ordering::Relaxed),
    }
}

/// Parses an integer of any size, and clamps it to the delays that are possible.
fn clamped(text: &str) -> CallResult<u64> {
    let (is_negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Failure::bad_request(format!("seconds: found {text:?}, expected a whole number")));
    }
    let value = digits.iter().fold(0_u64, |value, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit - b'0')).min(MAX_DELAY_SECONDS)
    });
    Ok(if is_negative { 0 } else { value })
}

/// Returns the parameters for the audit log.
fn subject(parameters: &Parameters) -> String {
    let given = |name| parameters.optional(name).map(|value| (name, value));
    match (given(IDENTIFIER), given(DESTINATION), given(CLIENT)) {
        (Some((_, account)), None, None) => account.to_owned(),
        (account, destination, client) => {
            let given = [account, destination, client].into_iter().flatten();
            given.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        }
    }
}

#[cfg(test)]
mod race;
#[cfg(test)]
mod tests;
