//! The screen of `top`.

use std::io;

use api::status::{Destination, Leg};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row, Table};
use ratatui::{DefaultTerminal, Frame};

use super::rate::{bytes_text, rate_text};
use super::snapshot::{DestinationRow, SessionOrder, SessionRow, Snapshot};
use crate::format::{duration, escaped, or_dash, unix_time};
use crate::run::colours_are_wanted;
use crate::status::{activity, leg_state, proxy_state, store_errors};

/// What is on the screen.
#[derive(Default)]
pub(super) struct View {
    pub(super) authority: String,
    pub(super) snapshot: Option<Snapshot>,
    /// Why the last reading failed.
    pub(super) error: Option<String>,
    pub(super) order: SessionOrder,
    pub(super) is_paused: bool,
}

/// The terminal; restored when this is dropped.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    has_colours: bool,
}

/// Lines above the tables, the empty one included.
const SUMMARY_HEIGHT: u16 = 5;
const DESTINATION_WIDTHS: [Constraint; 7] = [
    Constraint::Fill(2),
    Constraint::Fill(3),
    Constraint::Length(8),
    Constraint::Length(9),
    Constraint::Length(8),
    Constraint::Length(11),
    Constraint::Length(12),
];
const SESSION_WIDTHS: [Constraint; 7] = [
    Constraint::Fill(3),
    Constraint::Length(11),
    Constraint::Fill(2),
    Constraint::Fill(1),
    Constraint::Length(8),
    Constraint::Length(11),
    Constraint::Length(12),
];

// === impl View ===

impl View {
    /// Shows the sessions in the next order.
    pub(super) fn next_order(&mut self) {
        self.order = self.order.next();
        if let Some(snapshot) = &mut self.snapshot {
            self.order.sort(&mut snapshot.sessions);
        }
    }
}

// === impl Screen ===

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // ratatui's panic hook restores the terminal too.
        Ok(Self { terminal: ratatui::try_init()?, has_colours: colours_are_wanted() })
    }

    pub(super) fn draw(&mut self, view: &View) -> io::Result<()> {
        let has_colours = self.has_colours;
        self.terminal.draw(|canvas| draw(canvas, view, has_colours)).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn draw(canvas: &mut Frame<'_>, view: &View, has_colours: bool) {
    let Some(snapshot) = &view.snapshot else { return };
    let mut alarm = Style::new().add_modifier(Modifier::BOLD);
    if has_colours {
        alarm = alarm.fg(Color::Red);
    }
    let destinations: Vec<Row<'_>> =
        snapshot.destinations.iter().map(|row| destination_row(row, snapshot, alarm)).collect();
    let destinations_height = u16::try_from(destinations.len() + 2).unwrap_or(u16::MAX);
    let [summary_area, destination_area, session_area, footer_area] = Layout::vertical([
        Constraint::Length(SUMMARY_HEIGHT),
        // However many destinations there are, half of the screen is left for sessions.
        Constraint::Max(destinations_height.min(canvas.area().height / 2)),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(canvas.area());
    canvas.render_widget(Text::from(summary(view, snapshot, alarm)), summary_area);
    let header = ["DESTINATION", "STATE", "LATENCY", "MAPPED", "SESSIONS", "TO CLIENT/S", "TO BACKEND/S"];
    canvas.render_widget(table(header, destinations, DESTINATION_WIDTHS), destination_area);
    let rows = snapshot.sessions.iter().take(usize::from(session_area.height)).map(session_row).collect();
    let header = ["ACCOUNT", "PROTOCOL", "CLIENT", "DESTINATION", "AGE", "TO CLIENT/S", "TO BACKEND/S"];
    canvas.render_widget(table(header, rows, SESSION_WIDTHS), session_area);
    draw_footer(canvas, footer_area, view, snapshot);
}

fn table<'a, const N: usize>(
    header: [&'static str; N],
    rows: Vec<Row<'a>>,
    widths: [Constraint; N],
) -> Table<'a> {
    let header = Row::new(header).style(Style::new().add_modifier(Modifier::BOLD));
    Table::new(rows, widths).header(header)
}

fn summary<'a>(view: &View, snapshot: &Snapshot, alarm: Style) -> Vec<Line<'a>> {
    let stats = &snapshot.stats;
    let is_well = snapshot.ready && !stats.draining;
    let logins = &snapshot.logins_per_second;
    vec![
        Line::from(vec![
            Span::raw(format!("pointsman {} at {}: ", escaped(&stats.version), escaped(&view.authority))),
            Span::styled(proxy_state(stats, snapshot.ready), if is_well { Style::new() } else { alarm }),
            Span::raw(format!(", up {}", duration(stats.uptime_seconds))),
        ]),
        Line::raw(activity(stats)),
        Line::raw(format!(
            "logins per second: {} accepted, {} rejected, {} other",
            rate_text(logins.accepted),
            rate_text(logins.rejected),
            rate_text(logins.other)
        )),
        match &view.error {
            Some(error) => {
                let age = duration(unix_time().saturating_sub(snapshot.time));
                Line::styled(format!("last update {age} ago: {}", escaped(error)), alarm)
            }
            None => Line::raw(format!(
                "mapping lookups: {:.1} % answered from the cache, {}",
                stats.hit_rate_pct,
                store_errors(stats)
            )),
        },
    ]
}

fn destination_row<'a>(row: &DestinationRow, snapshot: &Snapshot, alarm: Style) -> Row<'a> {
    let destination = &row.destination;
    let mut name = escaped(&destination.destination);
    if destination.is_default {
        name.push_str(" (default)");
    }
    // Absent if the store cannot count its entries; a destination that is not listed has none.
    let mapped = snapshot
        .stats
        .mapped
        .as_ref()
        .map(|mapped| mapped.get(&destination.destination).copied().unwrap_or(0).to_string());
    let latency = destination.protocols.values().filter_map(|leg| leg.latency_ms).max();
    let state_style = if destination.down { alarm } else { Style::new() };
    Row::new([
        Cell::from(name),
        Cell::from(escaped(&destination_state(destination))).style(state_style),
        Cell::from(or_dash(latency.map(|latency| format!("{latency} ms")))),
        Cell::from(or_dash(mapped)),
        Cell::from(destination.sessions.to_string()),
        Cell::from(bytes_text(row.to_client_per_second)),
        Cell::from(bytes_text(row.to_backend_per_second)),
    ])
}

/// Returns the state of every leg that has a problem or, without problems, of the whole destination.
fn destination_state(destination: &Destination) -> String {
    let has_problem = |leg: &Leg| leg.down || leg.consecutive_failures > 0;
    let problems: Vec<String> = destination
        .protocols
        .iter()
        .filter(|(_, leg)| has_problem(leg))
        .map(|(protocol, leg)| format!("{protocol} {}", leg_state(leg)))
        .collect();
    if !problems.is_empty() {
        return problems.join(", ");
    }
    let is_used = destination.protocols.values().any(|leg| leg.last_success.is_some());
    if is_used { "up".to_owned() } else { "not used yet".to_owned() }
}

fn session_row<'a>(row: &SessionRow) -> Row<'a> {
    let connection = &row.connection;
    Row::new([
        or_dash(connection.account.as_deref().map(escaped)),
        escaped(&connection.protocol),
        escaped(&connection.client),
        escaped(&connection.destination),
        duration(unix_time().saturating_sub(connection.since)),
        bytes_text(row.to_client_per_second),
        bytes_text(row.to_backend_per_second),
    ])
}

fn draw_footer(canvas: &mut Frame<'_>, area: Rect, view: &View, snapshot: &Snapshot) {
    let more = if snapshot.has_more { " (only the oldest 10000)" } else { "" };
    let paused = if view.is_paused { " PAUSED" } else { "" };
    let text = format!("sessions {}{more}{paused} | s: order  p: pause  q: quit", view.order.name());
    canvas.render_widget(Line::styled(text, Style::new().add_modifier(Modifier::REVERSED)), area);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::top::snapshot::tests::{connection, reading};

    fn picture(view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(100, 14)).unwrap();
        terminal.draw(|canvas| draw(canvas, view, true)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(100);
        rows.map(|row| {
            row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned() + "\n"
        })
        .collect()
    }

    fn view() -> View {
        let connections =
            vec![connection(1, Some("alice@example.org"), 9), connection(2, Some("b\u{1b}[2Jb"), 9)];
        let mut reading = reading(Instant::now(), connections, "");
        let leg =
            |down| Leg { port: 993, down, last_error: down.then(|| "refused".to_owned()), ..Leg::default() };
        reading.destinations.destinations[0].protocols =
            [("imap".to_owned(), leg(true)), ("pop3".to_owned(), leg(false))].into();
        let snapshot = Snapshot::new(&reading, None, SessionOrder::Account);
        View {
            authority: "127.0.0.1:9443".to_owned(),
            snapshot: Some(snapshot),
            order: SessionOrder::Account,
            ..View::default()
        }
    }

    #[test]
    fn everything_is_drawn() {
        let picture = picture(&view());
        for expected in [
            "pointsman 1.2.3 at 127.0.0.1:9443: ready, up 0s\n",
            "0 connections, 2 sessions, 0 logins in progress\n",
            "logins per second: - accepted, - rejected, - other\n",
            "old (default)",
            "imap DOWN: refused",
            "alice@example.org",
            "b\\u{1b}[2Jb",
            "sessions by account | s: order  p: pause  q: quit",
        ] {
            assert!(picture.contains(expected), "{expected:?} is not in\n{picture}");
        }
        assert!(!picture.contains('\u{1b}'));
    }

    #[test]
    fn an_error_is_shown_with_the_last_update() {
        let view = View { error: Some("no answer".to_owned()), is_paused: true, ..view() };
        let picture = picture(&view);
        assert!(picture.contains("last update 0s ago: no answer") && picture.contains("PAUSED"), "{picture}");
        assert!(picture.contains("alice@example.org"), "{picture}");
    }

    #[test]
    fn a_terminal_of_any_size_is_drawn() {
        for (width, height) in [(1, 1), (20, 3), (80, 5), (300, 100)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|canvas| draw(canvas, &view(), false)).unwrap();
        }
    }

    #[test]
    fn the_state_of_a_destination() {
        let leg =
            |failures, last_success| Leg { consecutive_failures: failures, last_success, ..Leg::default() };
        let failing = Leg { last_error: Some("dns".to_owned()), ..leg(2, Some(1)) };
        for (legs, expected) in [
            (vec![("imap", leg(0, None))], "not used yet"),
            (vec![("imap", leg(0, Some(1))), ("pop3", leg(0, None))], "up"),
            (vec![("imap", leg(0, Some(1))), ("pop3", failing)], "pop3 failing: dns"),
        ] {
            let protocols = legs.into_iter().map(|(name, leg)| (name.to_owned(), leg)).collect();
            assert_eq!(destination_state(&Destination { protocols, ..Destination::default() }), expected);
        }
    }
}
