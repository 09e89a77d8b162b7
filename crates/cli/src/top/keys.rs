//! Keys, read on a thread of their own: the terminal knows no other way to wait for them.

use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use tokio::sync::mpsc::{Receiver, channel};

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// It is over.
    End,
    /// Another order of the sessions.
    Order,
    /// Hold the picture, or go on.
    Hold,
    /// The window has another size.
    Redraw,
}

/// Keys as they come.
pub(super) struct Keys(Receiver<Key>);

// === impl Keys ===

impl Keys {
    pub(super) fn listen() -> Self {
        let (sender, keys) = channel(16);
        // Ends with the process: a read of the terminal cannot be called back.
        std::thread::spawn(move || {
            while let Ok(event) = read() {
                if let Some(key) = meant(&event)
                    && sender.blocking_send(key).is_err()
                {
                    break;
                }
            }
        });
        Self(keys)
    }

    /// The next one. A terminal that has gone away is the end.
    pub(super) async fn next(&mut self) -> Key {
        self.0.recv().await.unwrap_or(Key::End)
    }
}

fn meant(event: &Event) -> Option<Key> {
    let key = match event {
        Event::Resize(..) => return Some(Key::Redraw),
        Event::Key(key) if key.kind == KeyEventKind::Press => key,
        _ => return None,
    };
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::End),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::End),
        KeyCode::Char('s') => Some(Key::Order),
        KeyCode::Char('p' | ' ') => Some(Key::Hold),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn what_keys_mean() {
        let plain = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        let control = |code| Event::Key(KeyEvent::new(code, KeyModifiers::CONTROL));
        for (event, key) in [
            (plain(KeyCode::Char('q')), Some(Key::End)),
            (plain(KeyCode::Esc), Some(Key::End)),
            (control(KeyCode::Char('c')), Some(Key::End)),
            (plain(KeyCode::Char('c')), None),
            (plain(KeyCode::Char('s')), Some(Key::Order)),
            (plain(KeyCode::Char('p')), Some(Key::Hold)),
            (Event::Resize(80, 24), Some(Key::Redraw)),
            (Event::FocusGained, None),
        ] {
            assert_eq!(meant(&event), key, "{event:?}");
        }
    }
}
