//! `GET /events`: server-sent events for a dashboard.
//!
//! Each stream checks once a second and sends what has changed: the number of sessions, which legs are down, and the moves
//! that have begun a step or ended. What must never happen here: an event that names an account, or a slow reader that makes a queue grow. It misses intermediate
//! states instead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::event::{LegHealth, MoveProgress, SessionCounts, StatusEvent};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use moves::{MoveId, MoveRecord};
use runtime::ActivePlan;
use sessions::Registry;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use types::protocol::Protocol;

use super::session_totals::SessionTotals;
use crate::failure::{CallResult, Failure};
use crate::parameters::Parameters;
use crate::shared::Shared;

/// The state that a reader has been sent.
#[derive(Debug, Default)]
struct Sent {
    sessions: Option<SessionCounts>,
    /// Legs that are down, with their last failure.
    down: BTreeMap<(String, &'static str), Option<String>>,
}

/// The interval between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// After this time without an event a comment is sent, so that a closed connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /events`.
pub(crate) async fn stream(State(shared): State<Shared>, parameters: Parameters) -> CallResult<Response> {
    parameters.only(&[])?;
    let permit = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        let detail = "the limit of concurrent streams of events is reached; close one";
        Failure::later(StatusCode::SERVICE_UNAVAILABLE, 5, detail)
    })?;
    let (sender, body) = Channel::<Bytes>::new(1);
    // The permit is returned as soon as the reader disconnects, not only at the next event.
    let gone = CancellationToken::new();
    let reader = gone.clone().drop_guard();
    let body = body.map_frame(move |frame| {
        let _reading = &reader;
        frame
    });
    tokio::spawn(async move { gone.run_until_cancelled(publish(shared, sender, permit)).await });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::new(body)).into_response())
}

/// Sends events until the reader disconnects.
async fn publish(shared: Shared, mut sender: Sender<Bytes>, permit: OwnedSemaphorePermit) {
    let mut sent = Sent::default();
    let mut moves = shared.app_handle.moves().map(|moves| moves.subscribe());
    let mut checks = interval(CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_sent_at = Instant::now();
    loop {
        checks.tick().await;
        let mut text = String::new();
        let mut events = sent.update(&shared.plan(), &shared.registry());
        if let Some(moves) = &mut moves {
            events.extend(progress(moves));
        }
        for event in events {
            // Serializing plain data cannot fail, and JSON has no line breaks.
            let data = serde_json::to_string(&event).unwrap_or_default();
            text.extend(["event: ", event.name(), "\ndata: ", &data, "\n\n"]);
        }
        if text.is_empty() && last_sent_at.elapsed() >= KEEP_ALIVE {
            text.push_str(":\n\n");
        }
        if !text.is_empty() {
            last_sent_at = Instant::now();
            if sender.send_data(Bytes::from(text)).await.is_err() {
                break;
            }
        }
    }
    drop(permit);
}

// === impl Sent ===

impl Sent {
    /// Returns the changes since the last call.
    fn update(&mut self, active: &ActivePlan, registry: &Registry) -> Vec<StatusEvent> {
        let mut changes = Vec::new();
        let SessionTotals { sessions, by_protocol, by_destination } = SessionTotals::count(registry);
        let sessions =
            SessionCounts { sessions, logins: registry.counts().logins, by_protocol, by_destination };
        if self.sessions.as_ref() != Some(&sessions) {
            self.sessions = Some(sessions.clone());
            changes.push(StatusEvent::Sessions(sessions));
        }
        let down = down(active);
        let event = |(destination, protocol): &(String, &str), down, last_error: Option<&String>| {
            let destination = destination.clone();
            let protocol = (*protocol).to_owned();
            StatusEvent::Health(LegHealth { destination, protocol, down, last_error: last_error.cloned() })
        };
        changes.extend(
            down.iter()
                .filter(|(leg, _)| !self.down.contains_key(leg))
                .map(|(leg, error)| event(leg, true, error.as_ref())),
        );
        changes.extend(
            self.down.keys().filter(|leg| !down.contains_key(leg)).map(|leg| event(leg, false, None)),
        );
        self.down = down;
        changes
    }
}

/// Returns the last change of each move since the last call. A reader that is too slow misses some.
fn progress(changes: &mut Receiver<Arc<MoveRecord>>) -> impl Iterator<Item = StatusEvent> + use<> {
    let mut last: BTreeMap<MoveId, Arc<MoveRecord>> = BTreeMap::new();
    loop {
        match changes.try_recv() {
            Ok(record) => drop(last.insert(record.id, record)),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    last.into_values().map(|record| {
        StatusEvent::Move(MoveProgress {
            id: record.id.0,
            batch: record.batch.as_deref().map(str::to_owned),
            step: record.step.label().to_owned(),
            outcome: record.outcome.map(|outcome| outcome.label().to_owned()),
        })
    })
}

fn down(active: &ActivePlan) -> BTreeMap<(String, &'static str), Option<String>> {
    let mut down = BTreeMap::new();
    for (name, backend) in active.backends.iter() {
        for protocol in Protocol::ALL {
            let health = backend.health(protocol).snapshot();
            if health.down {
                let error = health.last_fault.map(|fault| fault.label().to_owned());
                down.insert((name.to_string(), protocol.name()), error);
            }
        }
    }
    down
}
