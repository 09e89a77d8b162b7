//! Who is connected; sending them home; making them wait.

use std::cell::RefCell;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use api::act::{Delayed, Kicked};
use api::parameters::{CLIENT, DESTINATION, FROM, IDENTIFIER, LIMIT, MAX_DELAY_SECONDS, PROTOCOL, SECONDS};
use api::state::{Connection, Connections};
use axum::Json;
use axum::extract::State;
use cluster::Event;
use sessions::{Registry, SessionInfo};
use tokio::time::timeout;

use super::filter::Filter;
use crate::audit::Act;
use crate::failure::{Answer, Failure};
use crate::parameters::Parameters;
use crate::shared::{Caller, Shared};

/// How long a kick waits for what it has kicked: a session ends at the end of a line, within two seconds, and its
/// client has five to hear why.
const KICK_WAIT: Duration = Duration::from_secs(8);

/// `GET /connections`.
pub(crate) async fn list(State(shared): State<Shared>, parameters: Parameters) -> Answer<Json<Connections>> {
    let parameters = parameters.only(&[IDENTIFIER, DESTINATION, CLIENT, PROTOCOL, FROM, LIMIT])?;
    let filter = Filter::of(&shared, &parameters)?;
    let (from, limit) = parameters.page()?;
    Ok(Json(page(&shared.registry(), from.unwrap_or(0), limit, |info| filter.matches(info))))
}

/// `POST /connections/kick`: from the answer on, no session that was meant is on its old destination (or
/// `ending` says how many still say goodbye), and no login that was under way lands there.
pub(crate) async fn kick(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> Answer<Json<Kicked>> {
    let parameters = parameters.only(&[IDENTIFIER, DESTINATION, CLIENT])?;
    let filter = Filter::of(&shared, &parameters)?;
    if filter.is_empty() {
        let detail = "name whom to kick: identifier (one account, or *@example.org), destination, client";
        return Err(Failure::bad_request(detail));
    }
    // Here and at the other proxies at once.
    let others = async {
        match filter.everywhere() {
            Some(filter) => shared.control().publish(Event::Kick(filter)).await,
            None => tracing::warn!("a kick by network concerns this proxy's own sessions only"),
        }
    };
    let registry = shared.registry();
    let (told, ()) = tokio::join!(send_home(&registry, &filter), others);
    let act =
        Act::to_account("connections.kick", subject(&parameters)).after(format!("{} kicked", told.kicked));
    let outcome = Ok(Json(told));
    shared.record(&caller, act, &outcome).await;
    outcome
}

/// Tells those who are meant, and waits for them to leave.
async fn send_home(registry: &Registry, filter: &Filter) -> Kicked {
    let kicked = match filter.only_account() {
        Some(account) => registry.kick(account),
        None => registry.kick_where(|info| filter.matches(info)),
    };
    let ending = registry.ending(|info| filter.matches(info));
    // Whether they have all left is told by the count.
    let _ = timeout(KICK_WAIT, ending.gone()).await;
    Kicked { kicked: kicked.sessions, logins: kicked.logins, ending: ending.count() }
}

/// `POST /connections/delay`.
pub(crate) async fn delay(
    State(shared): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> Answer<Json<Delayed>> {
    let parameters = parameters.only(&[IDENTIFIER, SECONDS])?;
    let identifier = parameters.required(IDENTIFIER)?;
    let seconds = clamped(parameters.required(SECONDS)?)?;
    let normalized = shared.account(identifier)?;
    let (control, delay) = (shared.control(), Duration::from_secs(seconds));
    control.delay(&normalized, delay);
    control.publish(Event::Delay { account: normalized.as_str().into(), delay }).await;
    let act = Act::to_account("connections.delay", normalized.as_str()).after(format!("{seconds} seconds"));
    let outcome = Ok(Json(Delayed { identifier: identifier.to_owned(), normalized, seconds }));
    shared.record(&caller, act, &outcome).await;
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

/// Any integer, whatever its size, as a delay that has an effect.
fn clamped(text: &str) -> Answer<u64> {
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

/// What was asked for, for the record.
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
