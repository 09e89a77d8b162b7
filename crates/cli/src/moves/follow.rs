//! Follows moves to their end: a line that is rewritten on a terminal, otherwise a line for each step, or JSON lines.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use api::moves::{Batch, Move};
use api::paths;
use hyper::Method;
use tokio::signal::ctrl_c;
use tokio::time::{Instant, sleep};

use super::text::{milliseconds, name};
use crate::api_client::{ApiCall, ApiClient, CommandError};
use crate::format::{count, duration, escaped};
use crate::print::{print_json_line, print_line};

/// Between two looks at a move, and at a batch.
const MOVE_INTERVAL: Duration = Duration::from_millis(200);
const BATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The progress line on a terminal.
struct ProgressLine {
    mode: Mode,
    is_shown: bool,
}

#[derive(PartialEq, Eq)]
enum Mode {
    /// One line that is rewritten.
    Terminal,
    /// A line for each change.
    Lines,
    /// Nothing: the changes are on standard output as JSON.
    Json,
}

/// Follows single moves, and prints the end of each.
pub(super) async fn follow_moves(
    client: &ApiClient,
    ids: &[i64],
    is_json: bool,
) -> Result<ExitCode, CommandError> {
    let mut progress = ProgressLine::new(is_json);
    let mut is_all_done = true;
    for id in ids {
        let record = follow_move(client, *id, is_json, &mut progress).await?;
        progress.erase();
        is_all_done &= record.outcome.as_deref() == Some("done");
        if !is_json {
            print_line(&end_text(&record))?;
        }
    }
    Ok(if is_all_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn follow_move(
    client: &ApiClient,
    id: i64,
    is_json: bool,
    progress: &mut ProgressLine,
) -> Result<Move, CommandError> {
    let began = Instant::now();
    let path = paths::one_move(id, None);
    let mut last: Option<Move> = None;
    loop {
        let record: Move = client.json(ApiCall::get(&path)).await?;
        let is_news =
            last.as_ref().is_none_or(|last| last.step != record.step || last.outcome != record.outcome);
        if is_news && is_json {
            print_json_line(&record)?;
        }
        if record.outcome.is_some() {
            return Ok(record);
        }
        let text =
            format!("{}: {}, {} so far", name(&record), record.step, duration(began.elapsed().as_secs()));
        progress.show(&text, is_news);
        last = Some(record);
        sleep(MOVE_INTERVAL).await;
    }
}

fn end_text(record: &Move) -> String {
    let account = name(record);
    let held = milliseconds(record.held_ms);
    match record.outcome.as_deref() {
        Some("done") => format!(
            "{account} is at {}: logins were held for {held}, {} ended, {} waited (move {})",
            record.to,
            count(record.sessions_ended, "session", "sessions"),
            count(record.logins_waited, "login", "logins"),
            record.id
        ),
        outcome => {
            let place = if outcome == Some("unverified") { &record.to } else { &record.from };
            let reason = record.message.as_deref().unwrap_or("no reason is recorded");
            format!(
                "{account} is at {place}, {}: {reason} (move {})",
                outcome.unwrap_or("not moved"),
                record.id
            )
        }
    }
}

/// Follows a batch until it has ended or is paused. Ctrl-C pauses it.
pub(super) async fn follow_batch(
    client: &ApiClient,
    name: &str,
    is_json: bool,
) -> Result<ExitCode, CommandError> {
    let mut progress = ProgressLine::new(is_json);
    let mut pace = Pace::default();
    let mut last: Option<Batch> = None;
    let path = paths::move_batch(name, None);
    let state = loop {
        let state: Batch = client.json(ApiCall::get(&path)).await?;
        let is_news = last.as_ref() != Some(&state);
        if is_news && is_json {
            print_json_line(&state)?;
        }
        let is_over = state.queued == 0 || state.paused;
        if is_over && state.running == 0 {
            break state;
        }
        progress.show(&batch_text(&state, &mut pace), is_news);
        last = Some(state);
        tokio::select! {
            () = sleep(BATCH_INTERVAL) => {}
            _ = ctrl_c() => {
                let path = paths::move_batch(name, Some("pause"));
                let _: Batch = client.json(ApiCall::new(Method::POST, &path)).await?;
            }
        }
    };
    progress.erase();
    if !is_json {
        print_line(&format!(
            "batch {name}: {} moved, {} not",
            count(state.done, "account", "accounts"),
            state.not_done
        ))?;
        if state.not_done > 0 {
            print_line(&format!("`pointsman move list --batch {name}` shows which, and why"))?;
        }
        if state.paused && state.queued > 0 {
            print_line(&format!(
                "paused with {} to go: `pointsman move resume {name}` goes on",
                count(state.queued, "move", "moves")
            ))?;
        }
    }
    let is_done = state.not_done == 0 && state.queued == 0;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How fast a batch goes.
#[derive(Default)]
struct Pace {
    begin: Option<Begin>,
}

/// Where the measurement began.
struct Begin {
    time: Instant,
    /// The moves that had ended.
    ended: usize,
}

// === impl Pace ===

impl Pace {
    /// Returns the time that is left, once there is something to judge by.
    fn left(&mut self, ended: usize, to_go: usize) -> Option<Duration> {
        let begin = self.begin.get_or_insert_with(|| Begin { time: Instant::now(), ended });
        let since = u32::try_from(ended.saturating_sub(begin.ended)).ok().filter(|since| *since > 0)?;
        Some(begin.time.elapsed() / since * u32::try_from(to_go).ok()?)
    }
}

fn batch_text(state: &Batch, pace: &mut Pace) -> String {
    let ended = state.done + state.not_done;
    let to_go = state.queued + state.running;
    let mut text = format!(
        "{} of {} moved, {} in progress, {} failed",
        state.done,
        ended + to_go,
        state.running,
        state.not_done
    );
    if let Some(left) = pace.left(ended, to_go) {
        text.push_str(&format!(", {} left", duration(left.as_secs())));
    }
    if state.paused {
        text.push_str("; paused: waiting for the moves in progress");
    }
    text
}

// === impl ProgressLine ===

impl ProgressLine {
    fn new(is_json: bool) -> Self {
        let mode = match is_json {
            true => Mode::Json,
            false if io::stderr().is_terminal() => Mode::Terminal,
            false => Mode::Lines,
        };
        Self { mode, is_shown: false }
    }

    /// Rewrites the line on a terminal; elsewhere prints it when it has news.
    fn show(&mut self, text: &str, is_news: bool) {
        match self.mode {
            Mode::Terminal => {
                eprint!("\r{}\x1b[K", escaped(text));
                let _ = io::stderr().flush();
                self.is_shown = true;
            }
            Mode::Lines if is_news => eprintln!("{}", escaped(text)),
            Mode::Lines | Mode::Json => {}
        }
    }

    fn erase(&mut self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
            self.is_shown = false;
        }
    }
}
