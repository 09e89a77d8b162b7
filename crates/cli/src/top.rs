//! `pointsman top`: the proxy at work, looked at every few seconds.
//!
//! What must never happen here: a terminal that is left in a state in which nothing can be typed; a stranger's
//! text that moves the cursor; a proxy that is slowed down because somebody watches it.

mod counters;
mod frame;
mod keys;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use api::parameters::{LIMIT, MAX_LIMIT, PROTOCOL};
use api::paths;
use hyper::Method;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::arguments::Watch;
use crate::client::{Call, Client, Failure};
use crate::print::out;
use crate::sessions::named;
use counters::Counters;
use frame::{Frame, Look, Order};
use keys::{Key, Keys};
use view::{Screen, Shown};

/// Sessions of a line of JSON; a screen shows as many as it has lines.
const JSON_SESSIONS: usize = 20;

/// Looks until it is told to end.
pub(crate) async fn top(client: &Client, arguments: &Watch, is_json: bool) -> Result<ExitCode, Failure> {
    if is_json {
        lines(client, arguments).await?;
    } else if io::stdout().is_terminal() && io::stdin().is_terminal() {
        watch(client, arguments).await?;
    } else {
        let why = "top draws on a terminal, and there is none: give --json, or see `pointsman status`";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of JSON for each look.
async fn lines(client: &Client, arguments: &Watch) -> Result<(), Failure> {
    let mut looks = interval(Duration::from_secs(arguments.interval));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut left) = (None, arguments.count);
    while left != Some(0) {
        looks.tick().await;
        let now = look(client, arguments).await?;
        let (mut frame, now) = Frame::of(now, before.as_ref(), Order::Traffic);
        frame.has_more |= frame.sessions.len() > JSON_SESSIONS;
        frame.sessions.truncate(JSON_SESSIONS);
        let text = serde_json::to_string(&frame)
            .map_err(|error| Failure::File("standard output".to_owned(), io::Error::other(error)))?;
        out(format!("{text}\n").as_bytes())?;
        before = Some(now);
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// Draws until a key or a signal ends it. A proxy that cannot be asked at first is an error; later it is shown
/// beside what was seen last, and asked again.
async fn watch(client: &Client, arguments: &Watch) -> Result<(), Failure> {
    let mut before = None;
    let first = look(client, arguments).await?;
    let broken = |error| Failure::File("the terminal".to_owned(), error);
    let (mut interrupt, mut terminate, mut hangup) = (
        signal(SignalKind::interrupt()).map_err(broken)?,
        signal(SignalKind::terminate()).map_err(broken)?,
        signal(SignalKind::hangup()).map_err(broken)?,
    );
    let mut screen = Screen::open().map_err(broken)?;
    let mut keys = Keys::listen();
    let mut shown = Shown { authority: client.authority(), ..Shown::default() };
    let mut next = Some(first);
    let mut looks = interval(Duration::from_secs(arguments.interval));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first look has been taken.
    looks.tick().await;
    let mut left = arguments.count;
    loop {
        if let Some(now) = next.take() {
            let (frame, now) = Frame::of(now, before.as_ref(), shown.order);
            (shown.frame, shown.trouble, before) = (Some(frame), None, Some(now));
            left = left.map(|left| left - 1);
        }
        screen.draw(&shown).map_err(broken)?;
        if left == Some(0) {
            return Ok(());
        }
        let key = tokio::select! {
            key = keys.next() => key,
            _ = interrupt.recv() => Key::End,
            _ = terminate.recv() => Key::End,
            _ = hangup.recv() => Key::End,
            _ = looks.tick(), if !shown.is_held => {
                // A key ends the wait for an answer that does not come.
                tokio::select! {
                    looked = look(client, arguments) => {
                        match looked {
                            Ok(now) => next = Some(now),
                            Err(failure) => shown.trouble = Some(failure.to_string()),
                        }
                        continue;
                    }
                    key = keys.next() => key,
                }
            }
        };
        match key {
            Key::End => return Ok(()),
            Key::Order => {
                shown.order = shown.order.next();
                shown.frame.iter_mut().for_each(|frame| shown.order.sort(&mut frame.sessions));
            }
            Key::Hold => shown.is_held = !shown.is_held,
            Key::Redraw => {}
        }
    }
}

/// Asks for all that is shown.
async fn look(client: &Client, arguments: &Watch) -> Result<Look, Failure> {
    let get = |path| Call::new(Method::GET, path);
    let connections = named(get(paths::CONNECTIONS), &arguments.whose)
        .with_some(PROTOCOL, arguments.protocol.as_deref())
        .with(LIMIT, &MAX_LIMIT.to_string());
    let metrics = client.body(get(paths::METRICS).accepting("text/plain")).await?;
    let connections = client.ask(connections).await?;
    let taken = Instant::now();
    Ok(Look {
        taken,
        is_ready: client.status(get(paths::READYZ)).await?.is_success(),
        stats: client.ask(get(paths::STATS)).await?,
        destinations: client.ask(get(paths::DESTINATIONS)).await?,
        connections,
        counters: Counters::of(&String::from_utf8_lossy(&metrics)),
    })
}
