//! `pointsman top`: the proxy at work, read over the management API every few seconds.
//!
//! What must never happen here: the terminal is left without echo or with a hidden cursor; text from outside moves
//! the cursor; watching slows the proxy down.

mod counters;
mod keys;
mod rate;
mod screen;
mod snapshot;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use api::parameters::{LIMIT, MAX_LIMIT, PROTOCOL};
use api::paths;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::api_client::{ApiCall, ApiClient, CommandError};
use crate::arguments::TopOptions;
use crate::print::print_json_line;
use crate::sessions::filtered;
use counters::Counters;
use keys::{KeyCommand, KeyReader};
use screen::{Screen, View};
use snapshot::{Reading, SessionOrder, Snapshot};

/// Sessions in a line of JSON. A screen shows as many as it has lines.
const JSON_SESSIONS: usize = 20;

/// The signals that end the program; the terminal is restored first.
struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// Shows the proxy until the user, a signal or `--count` ends it.
pub(crate) async fn top(
    client: &ApiClient,
    options: &TopOptions,
    is_json: bool,
) -> Result<ExitCode, CommandError> {
    if is_json {
        print_updates(client, options).await?;
    } else if io::stdout().is_terminal() && io::stdin().is_terminal() {
        draw_updates(client, options).await?;
    } else {
        let reason = "top needs a terminal, and standard input or output is not one: use --json, or `pointsman status`";
        return Err(CommandError::Usage(reason.to_owned()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a line of JSON for each update.
async fn print_updates(client: &ApiClient, options: &TopOptions) -> Result<(), CommandError> {
    let mut ticks = update_ticks(options);
    let mut before = None;
    let mut remaining = options.count;
    while remaining != Some(0) {
        ticks.tick().await;
        let now = fetch(client, options).await?;
        let mut snapshot = Snapshot::new(&now, before.as_ref(), SessionOrder::Traffic);
        snapshot.has_more |= snapshot.sessions.len() > JSON_SESSIONS;
        snapshot.sessions.truncate(JSON_SESSIONS);
        print_json_line(&snapshot)?;
        before = Some(now);
        remaining = remaining.map(|remaining| remaining - 1);
    }
    Ok(())
}

/// Draws each update. If the proxy cannot be read at the start, that is an error; later the error is shown above the
/// last update, and the proxy is read again.
async fn draw_updates(client: &ApiClient, options: &TopOptions) -> Result<(), CommandError> {
    let terminal_error = |error| CommandError::File("the terminal".to_owned(), error);
    let first = fetch(client, options).await?;
    let mut signals = EndSignals::new().map_err(terminal_error)?;
    let mut screen = Screen::open().map_err(terminal_error)?;
    let mut keys = KeyReader::start();
    let mut view = View { authority: client.authority(), ..View::default() };
    let mut before: Option<Reading> = None;
    let mut next = Some(first);
    let mut remaining = options.count;
    let mut ticks = update_ticks(options);
    // The first tick completes at once, and the first reading has been taken.
    ticks.tick().await;
    loop {
        if let Some(now) = next.take() {
            view.snapshot = Some(Snapshot::new(&now, before.as_ref(), view.order));
            view.error = None;
            before = Some(now);
            remaining = remaining.map(|remaining| remaining - 1);
        }
        screen.draw(&view).map_err(terminal_error)?;
        if remaining == Some(0) {
            return Ok(());
        }
        let command = tokio::select! {
            command = keys.next() => command,
            () = signals.next() => KeyCommand::Quit,
            _ = ticks.tick(), if !view.is_paused => {
                // A key also ends the wait for a proxy that does not answer.
                tokio::select! {
                    reading = fetch(client, options) => {
                        match reading {
                            Ok(now) => next = Some(now),
                            Err(error) => view.error = Some(error.to_string()),
                        }
                        continue;
                    }
                    command = keys.next() => command,
                }
            }
        };
        match command {
            KeyCommand::Quit => return Ok(()),
            KeyCommand::NextOrder => view.next_order(),
            KeyCommand::Pause => view.is_paused = !view.is_paused,
            KeyCommand::Redraw => {}
        }
    }
}

/// Ticks at once, then once per interval; an update that takes longer delays the next one.
fn update_ticks(options: &TopOptions) -> Interval {
    let mut ticks = interval(Duration::from_secs(options.interval));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Reads everything that is shown.
async fn fetch(client: &ApiClient, options: &TopOptions) -> Result<Reading, CommandError> {
    let connections = filtered(ApiCall::get(paths::CONNECTIONS), &options.filter)
        .with_some(PROTOCOL, options.protocol.as_deref())
        .with(LIMIT, &MAX_LIMIT.to_string());
    let metrics = client.body(ApiCall::get(paths::METRICS).accepting("text/plain")).await?;
    let connections = client.json(connections).await?;
    // Right after what the rates are computed from.
    let taken_at = Instant::now();
    Ok(Reading {
        taken_at,
        is_ready: client.status(ApiCall::get(paths::READYZ)).await?.is_success(),
        stats: client.json(ApiCall::get(paths::STATS)).await?,
        destinations: client.json(ApiCall::get(paths::DESTINATIONS)).await?,
        connections,
        counters: Counters::of(&String::from_utf8_lossy(&metrics)),
    })
}

// === impl EndSignals ===

impl EndSignals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of the signals.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
