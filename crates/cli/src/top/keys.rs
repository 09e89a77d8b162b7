//! The keys of `top`, read on a thread of their own, because reading a terminal blocks.

use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use tokio::sync::mpsc::{Receiver, channel};

/// The command that a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyCommand {
    /// End the program.
    Quit,
    /// Show the sessions in the next order.
    NextOrder,
    /// Stop updating, or go on.
    Pause,
    /// Draw again: the window changed its size.
    Redraw,
}

/// Receives the commands in the order in which keys are pressed.
pub(super) struct KeyReader {
    commands: Receiver<KeyCommand>,
}

// === impl KeyReader ===

impl KeyReader {
    pub(super) fn start() -> Self {
        let (sender, commands) = channel(16);
        // A blocking read cannot be cancelled: the thread ends with the process.
        std::thread::spawn(move || {
            while let Ok(event) = read() {
                if let Some(command) = command_of(&event)
                    && sender.blocking_send(command).is_err()
                {
                    break;
                }
            }
        });
        Self { commands }
    }

    /// Waits for the next command. The loss of the terminal is `Quit`.
    pub(super) async fn next(&mut self) -> KeyCommand {
        self.commands.recv().await.unwrap_or(KeyCommand::Quit)
    }
}

fn command_of(event: &Event) -> Option<KeyCommand> {
    let key = match event {
        Event::Resize(..) => return Some(KeyCommand::Redraw),
        Event::Key(key) if key.kind == KeyEventKind::Press => key,
        _ => return None,
    };
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(KeyCommand::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(KeyCommand::Quit),
        KeyCode::Char('s') => Some(KeyCommand::NextOrder),
        KeyCode::Char('p' | ' ') => Some(KeyCommand::Pause),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn keys_stand_for_commands() {
        let plain = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        let control = |code| Event::Key(KeyEvent::new(code, KeyModifiers::CONTROL));
        for (event, command) in [
            (plain(KeyCode::Char('q')), Some(KeyCommand::Quit)),
            (plain(KeyCode::Esc), Some(KeyCommand::Quit)),
            (control(KeyCode::Char('c')), Some(KeyCommand::Quit)),
            (plain(KeyCode::Char('c')), None),
            (plain(KeyCode::Char('s')), Some(KeyCommand::NextOrder)),
            (plain(KeyCode::Char('p')), Some(KeyCommand::Pause)),
            (Event::Resize(80, 24), Some(KeyCommand::Redraw)),
            (Event::FocusGained, None),
        ] {
            assert_eq!(command_of(&event), command, "{event:?}");
        }
    }
}
