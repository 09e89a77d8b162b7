//! `GET /events`: server-sent events for a dashboard.
//!
//! Each stream looks once a second and tells what has changed: how many sessions, which legs are down. It never
//! tells of single accounts, and a reader that does not keep up misses steps, not memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::event::{Event, Health, Sessions};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use runtime::ActivePlan;
use sessions::Registry;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use types::protocol::Protocol;

use super::census::Census;
use crate::failure::{Answer, Failure};
use crate::parameters::Parameters;
use crate::shared::Shared;

/// What a reader knows so far.
#[derive(Debug, Default)]
struct Known {
    sessions: Option<Sessions>,
    /// Legs that are down, with what broke them.
    down: BTreeMap<(String, &'static str), Option<String>>,
}

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// After that long without news a comment is sent: a reader, or its balancer, that is gone shows then.
const STILL_HERE: Duration = Duration::from_secs(15);

/// See the module's comment.
pub(crate) async fn stream(State(shared): State<Shared>, parameters: Parameters) -> Answer<Response> {
    parameters.only(&[])?;
    let permit = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        let detail = "as many streams of events are open as may be at once; close one";
        Failure::later(StatusCode::SERVICE_UNAVAILABLE, 5, detail)
    })?;
    let (sender, body) = Channel::<Bytes>::new(1);
    // With its reader the stream gives its place back, and not only when there is something to tell.
    let gone = CancellationToken::new();
    let reader = gone.clone().drop_guard();
    let body = body.map_frame(move |frame| {
        let _reading = &reader;
        frame
    });
    tokio::spawn(async move { gone.run_until_cancelled(publish(shared, sender, permit)).await });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::new(body)).into_response())
}

/// Tells until the reader is gone.
async fn publish(shared: Shared, mut sender: Sender<Bytes>, permit: OwnedSemaphorePermit) {
    let mut known = Known::default();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_word = Instant::now();
    loop {
        looks.tick().await;
        let mut text = String::new();
        for event in known.news(&shared.plan(), &shared.registry()) {
            // Plain data: it cannot fail, and it has no line breaks.
            let data = serde_json::to_string(&event).unwrap_or_default();
            text.extend(["event: ", event.name(), "\ndata: ", &data, "\n\n"]);
        }
        if text.is_empty() && last_word.elapsed() >= STILL_HERE {
            text.push_str(":\n\n");
        }
        if !text.is_empty() {
            last_word = Instant::now();
            if sender.send_data(Bytes::from(text)).await.is_err() {
                break;
            }
        }
    }
    drop(permit);
}

// === impl Known ===

impl Known {
    /// What is different from what is known, which it is from then on.
    fn news(&mut self, active: &ActivePlan, registry: &Registry) -> Vec<Event> {
        let mut news = Vec::new();
        let Census { sessions, by_protocol, by_destination } = Census::take(registry);
        let sessions = Sessions { sessions, logins: registry.counts().logins, by_protocol, by_destination };
        if self.sessions.as_ref() != Some(&sessions) {
            self.sessions = Some(sessions.clone());
            news.push(Event::Sessions(sessions));
        }
        let down = down(active);
        let event = |(destination, protocol): &(String, &str), down, last_error: Option<&String>| {
            let destination = destination.clone();
            let protocol = (*protocol).to_owned();
            Event::Health(Health { destination, protocol, down, last_error: last_error.cloned() })
        };
        news.extend(
            down.iter()
                .filter(|(leg, _)| !self.down.contains_key(leg))
                .map(|(leg, error)| event(leg, true, error.as_ref())),
        );
        news.extend(
            self.down.keys().filter(|leg| !down.contains_key(leg)).map(|leg| event(leg, false, None)),
        );
        self.down = down;
        news
    }
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
