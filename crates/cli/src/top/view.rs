//! What `top` draws.

use std::io;

use api::state::{Destination, Leg};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row as Cells, Table};
use ratatui::{DefaultTerminal, Frame as Canvas};

use super::frame::{Frame, Order, Place, Row};
use crate::print::escaped;
use crate::run::colours_are_wanted;
use crate::sessions::{clock, span};
use crate::status::{health, state};

/// What is on the screen.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) authority: String,
    pub(super) frame: Option<Frame>,
    /// Why the last look came to nothing.
    pub(super) trouble: Option<String>,
    pub(super) order: Order,
    pub(super) is_held: bool,
}

/// The terminal, which is as it was before once this is dropped.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    has_colours: bool,
}

// === impl Screen ===

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // A panic restores the terminal too.
        Ok(Self { terminal: ratatui::try_init()?, has_colours: colours_are_wanted() })
    }

    pub(super) fn draw(&mut self, shown: &Shown) -> io::Result<()> {
        let has_colours = self.has_colours;
        self.terminal.draw(|canvas| draw(canvas, shown, has_colours)).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn draw(canvas: &mut Canvas<'_>, shown: &Shown, has_colours: bool) {
    let bad = if has_colours {
        Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
    } else {
        Style::new().add_modifier(Modifier::BOLD)
    };
    let Some(frame) = &shown.frame else { return };
    let places = destinations(frame, bad);
    let height = |rows: usize| u16::try_from(rows).unwrap_or(u16::MAX);
    let [head, above, sessions, foot] = Layout::vertical([
        Constraint::Length(4),
        // Never so many destinations that no session is seen.
        Constraint::Max(height(places.len() + 2).min(canvas.area().height / 2)),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(canvas.area());
    canvas.render_widget(ratatui::text::Text::from(summary(shown, frame, bad)), head);
    canvas.render_widget(
        table(["DESTINATION", "STATE", "LATENCY", "MAPPED", "SESSIONS", "FROM/S", "TO/S"], places, PLACES),
        above,
    );
    let rows = frame.sessions.iter().take(usize::from(sessions.height)).map(session).collect();
    canvas.render_widget(
        table(["ACCOUNT", "PROTOCOL", "CLIENT", "DESTINATION", "FOR", "FROM/S", "TO/S"], rows, SESSIONS),
        sessions,
    );
    footer(canvas, foot, shown, frame);
}

const PLACES: [Constraint; 7] = [
    Constraint::Fill(2),
    Constraint::Fill(3),
    Constraint::Length(8),
    Constraint::Length(9),
    Constraint::Length(8),
    Constraint::Length(10),
    Constraint::Length(10),
];
const SESSIONS: [Constraint; 7] = [
    Constraint::Fill(3),
    Constraint::Length(11),
    Constraint::Fill(2),
    Constraint::Fill(1),
    Constraint::Length(8),
    Constraint::Length(10),
    Constraint::Length(10),
];

fn table<'a, const N: usize>(
    head: [&'static str; N],
    rows: Vec<Cells<'a>>,
    widths: [Constraint; N],
) -> Table<'a> {
    let head = Cells::new(head).style(Style::new().add_modifier(Modifier::BOLD));
    Table::new(rows, widths).header(head)
}

fn summary<'a>(shown: &'a Shown, frame: &'a Frame, bad: Style) -> Vec<Line<'a>> {
    let stats = &frame.stats;
    let state = state(stats, frame.ready);
    let is_well = frame.ready && !stats.draining;
    let logins = &frame.logins_per_second;
    let logins = [(logins.accepted, "accepted"), (logins.rejected, "rejected"), (logins.other, "other")];
    let logins = logins.map(|(count, how)| format!("{}/s {how}", number(count))).join(", ");
    vec![
        Line::from(vec![
            Span::raw(format!("pointsman {} at {}: ", escaped(&stats.version), escaped(&shown.authority))),
            Span::styled(state, if is_well { Style::new() } else { bad }),
            Span::raw(format!(", up {}", span(stats.uptime_seconds))),
        ]),
        Line::raw(format!(
            "{} connections, {} sessions, {} logins under way; logins: {logins}",
            stats.active_connections, stats.sessions, stats.logins
        )),
        match &shown.trouble {
            Some(why) => Line::styled(format!("as of {} ago: {}", span(age(frame)), escaped(why)), bad),
            None => Line::raw(format!(
                "mapping: {:.1} % of lookups from memory, {} errors of the store",
                stats.hit_rate_pct, stats.store_errors
            )),
        },
    ]
}

/// Seconds since it was taken.
fn age(frame: &Frame) -> u64 {
    clock().saturating_sub(frame.time)
}

/// A line for each destination.
fn destinations(frame: &Frame, bad: Style) -> Vec<Cells<'_>> {
    let mapped = |name: &str| match &frame.stats.mapped {
        Some(mapped) => mapped.get(name).copied().unwrap_or(0).to_string(),
        None => "-".to_owned(),
    };
    let row = |Place { destination, to_backend_per_second, to_client_per_second }: &Place| {
        let name = escaped(&destination.destination);
        let name = if destination.is_default { format!("{name} (default)") } else { name };
        let latency = destination.protocols.values().filter_map(|leg| leg.latency_ms).max();
        Cells::new([
            Cell::from(name),
            Cell::from(escaped(&condition(destination))).style(if destination.down {
                bad
            } else {
                Style::new()
            }),
            Cell::from(latency.map_or_else(|| "-".to_owned(), |latency| format!("{latency} ms"))),
            Cell::from(mapped(&destination.destination)),
            Cell::from(destination.sessions.to_string()),
            Cell::from(bytes(*to_client_per_second)),
            Cell::from(bytes(*to_backend_per_second)),
        ])
    };
    frame.destinations.iter().map(row).collect()
}

/// The legs that something is wrong with, else how all of them are.
fn condition(destination: &Destination) -> String {
    let wrong = |leg: &Leg| leg.down || leg.consecutive_failures > 0;
    let legs = destination.protocols.iter();
    let wrong: Vec<String> = legs
        .filter(|(_, leg)| wrong(leg))
        .map(|(protocol, leg)| format!("{protocol} {}", health(leg)))
        .collect();
    let is_used = destination.protocols.values().any(|leg| leg.last_success.is_some());
    match (wrong.is_empty(), is_used) {
        (false, _) => wrong.join(", "),
        (true, true) => "up".to_owned(),
        (true, false) => "not used yet".to_owned(),
    }
}

fn session(row: &Row) -> Cells<'_> {
    let connection = &row.connection;
    Cells::new([
        connection.account.as_deref().map_or_else(|| "-".to_owned(), escaped),
        escaped(&connection.protocol),
        escaped(&connection.client),
        escaped(&connection.destination),
        span(clock().saturating_sub(connection.since)),
        bytes(row.to_client_per_second),
        bytes(row.to_backend_per_second),
    ])
}

fn footer(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown, frame: &Frame) {
    let held = if shown.is_held { "  HELD" } else { "" };
    let more = if frame.has_more { ", the oldest ten thousand of them" } else { "" };
    let text = format!("sessions {}{more}{held}   s order  p hold  q end", shown.order.name());
    canvas.render_widget(Line::styled(text, Style::new().add_modifier(Modifier::REVERSED)), area);
}

fn number(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"))
}

/// Bytes a second, in at most eight characters.
fn bytes(rate: Option<f64>) -> String {
    let Some(mut rate) = rate else { return "-".to_owned() };
    for unit in ["B", "KiB", "MiB"] {
        if rate < 1000.0 {
            return if unit == "B" { format!("{rate:.0} {unit}") } else { format!("{rate:.1} {unit}") };
        }
        rate /= 1024.0;
    }
    format!("{rate:.1} GiB")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::top::frame::tests::{connection, look};

    fn picture(shown: &Shown) -> String {
        let mut terminal = Terminal::new(TestBackend::new(100, 14)).unwrap();
        terminal.draw(|canvas| draw(canvas, shown, true)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(100);
        rows.map(|row| {
            row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned() + "\n"
        })
        .collect()
    }

    fn shown() -> Shown {
        let connections =
            vec![connection(1, Some("alice@example.org"), 9), connection(2, Some("b\u{1b}[2Jb"), 9)];
        let mut look = look(Instant::now(), connections, "");
        let leg =
            |down| Leg { port: 993, down, last_error: down.then(|| "refused".to_owned()), ..Leg::default() };
        look.destinations.destinations[0].protocols =
            [("imap".to_owned(), leg(true)), ("pop3".to_owned(), leg(false))].into();
        let (frame, _) = Frame::of(look, None, Order::Account);
        Shown {
            authority: "127.0.0.1:9443".to_owned(),
            frame: Some(frame),
            order: Order::Account,
            ..Shown::default()
        }
    }

    #[test]
    fn a_picture() {
        let picture = picture(&shown());
        for expected in [
            "pointsman 1.2.3 at 127.0.0.1:9443: ready, up 0s\n",
            "0 connections, 2 sessions, 0 logins under way; logins: -/s accepted, -/s rejected, -/s other\n",
            "old (default)",
            "imap DOWN: refused",
            "alice@example.org",
            "b\\u{1b}[2Jb",
            "sessions by account   s order  p hold  q end",
        ] {
            assert!(picture.contains(expected), "{expected:?} is not in\n{picture}");
        }
        assert!(!picture.contains('\u{1b}'));
    }

    #[test]
    fn a_proxy_that_does_not_answer_is_told_beside_what_was_seen_last() {
        let shown = Shown { trouble: Some("the proxy cannot be asked".to_owned()), is_held: true, ..shown() };
        let picture = picture(&shown);
        assert!(picture.contains("ago: the proxy cannot be asked") && picture.contains("HELD"), "{picture}");
        assert!(picture.contains("alice@example.org"), "{picture}");
    }

    #[test]
    fn a_window_of_any_size_is_drawn() {
        for (width, height) in [(1, 1), (20, 3), (80, 5), (300, 100)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|canvas| draw(canvas, &shown(), false)).unwrap();
        }
    }

    #[test]
    fn a_destination_in_a_line() {
        let leg =
            |failures, last_success| Leg { consecutive_failures: failures, last_success, ..Leg::default() };
        let failing = Leg { last_error: Some("dns".to_owned()), ..leg(2, Some(1)) };
        for (legs, expected) in [
            (vec![("imap", leg(0, None))], "not used yet"),
            (vec![("imap", leg(0, Some(1))), ("pop3", leg(0, None))], "up"),
            (vec![("imap", leg(0, Some(1))), ("pop3", failing)], "pop3 failing: dns"),
        ] {
            let protocols = legs.into_iter().map(|(name, leg)| (name.to_owned(), leg)).collect();
            assert_eq!(condition(&Destination { protocols, ..Destination::default() }), expected);
        }
    }

    #[test]
    fn rates_in_few_characters() {
        for (rate, text) in [
            (None, "-"),
            (Some(0.0), "0 B"),
            (Some(999.0), "999 B"),
            (Some(1000.0), "1.0 KiB"),
            (Some(1024.0 * 999.9), "999.9 KiB"),
            (Some(1024.0 * 1024.0 * 5.0), "5.0 MiB"),
            (Some(1024.0 * 1024.0 * 1024.0 * 5.0), "5.0 GiB"),
        ] {
            assert_eq!(bytes(rate), text);
        }
    }
}
