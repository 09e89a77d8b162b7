//! The proxy's configuration for the demo, and the guide on the screen, from the texts in `templates/`.
//!
//! Every command in the guide must work when it is pasted as it stands; a path with a space in it is quoted.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::folder::Folder;
use crate::server::Server;

/// Where the demo's proxy listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// IMAP, encrypted from the first byte.
    pub imaps: u16,
    /// IMAP with STARTTLS.
    pub imap: u16,
    /// POP3, encrypted from the first byte.
    pub pop3s: u16,
    /// The management API and its dashboard.
    pub admin: u16,
}

/// What the texts are written from.
#[derive(Debug)]
pub struct Texts<'a> {
    /// The program, for commands.
    pub program: &'a Path,
    /// With certificate and mapping file.
    pub folder: &'a Folder,
    /// Where the proxy listens.
    pub ports: Ports,
    /// A server behind the proxy.
    pub old: &'a Server,
    /// The other one.
    pub new: &'a Server,
}

// === impl Ports ===

impl Ports {
    /// What is tried first: the well-known ports, 10000 higher, which need no rights.
    pub const PREFERRED: Self = Self { imaps: 10_993, imap: 10_143, pop3s: 10_995, admin: 19_443 };

    /// The preferred ports, or other free ones for those that are taken. They are free when this returns;
    /// nothing keeps them so.
    ///
    /// # Errors
    /// When no port at all can be bound on 127.0.0.1.
    pub fn pick() -> io::Result<Self> {
        let mut ports = Self::PREFERRED;
        // All are held until each is known, so that no port is found twice.
        let mut held = Vec::new();
        for port in [&mut ports.imaps, &mut ports.imap, &mut ports.pop3s, &mut ports.admin] {
            let preferred = TcpListener::bind((Ipv4Addr::LOCALHOST, *port));
            let listener = preferred.or_else(|_taken| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
            *port = listener.local_addr()?.port();
            held.push(listener);
        }
        Ok(ports)
    }
}

// === impl Texts ===

impl Texts<'_> {
    /// The text of `pointsman.toml`: as short as it can be, and a first example of the file.
    #[must_use]
    pub fn configuration(&self) -> String {
        self.fill(include_str!("../templates/pointsman.toml"), toml_text)
    }

    /// The text on the screen. It holds passwords, which are the demo's own and open nothing else.
    #[must_use]
    pub fn guide(&self) -> String {
        self.fill(include_str!("../templates/guide.txt"), shell_word)
    }

    fn fill(&self, template: &str, quoted: fn(&str) -> String) -> String {
        let Self { program, folder, ports, old, new } = self;
        let quoted = |path: &Path| quoted(&path.to_string_lossy());
        [
            ("{program}", quoted(program)),
            ("{imaps}", ports.imaps.to_string()),
            ("{imap}", ports.imap.to_string()),
            ("{pop3s}", ports.pop3s.to_string()),
            ("{admin}", ports.admin.to_string()),
            ("{old-imap}", old.imap.port().to_string()),
            ("{old-pop3}", old.pop3.port().to_string()),
            ("{new-imap}", new.imap.port().to_string()),
            ("{new-pop3}", new.pop3.port().to_string()),
            ("{folder}", quoted(folder.path())),
        ]
        .iter()
        .fold(template.to_owned(), |text, (place, value)| text.replace(place, value))
    }
}

/// What stands between the quotes of a TOML string.
fn toml_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A word, or the beginning of one, as a shell reads it.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;

    #[tokio::test]
    async fn both_texts() {
        let folder = Folder::create().unwrap();
        let old = Server::start("old").await.unwrap();
        let new = Server::start("new").await.unwrap();
        let program = Path::new("/opt/a b's/pointsman");
        let texts = Texts { program, folder: &folder, ports: Ports::PREFERRED, old: &old, new: &new };
        let guide = texts.guide();
        let path = folder.path().display();
        for line in [
            format!("  server old   IMAP  {}   POP3  {}", old.imap, old.pop3),
            format!(
                "   curl --cacert {path}/ca.pem -u alice@example.org:alice-demo \
                 'imaps://localhost:10993/INBOX;MAILINDEX=1'"
            ),
            format!("   '/opt/a b'\\''s/pointsman' map rm alice@example.org --config {path}/pointsman.toml"),
        ] {
            assert!(guide.lines().any(|have| have == line), "{line:?} is missing in\n{guide}");
        }
        for Account { login, password } in Account::examples() {
            let password = String::from_utf8_lossy(password.expose()).into_owned();
            assert!(guide.contains(&format!("\n  {login:<20} {password}\n")), "{login}");
        }
        assert!(guide.lines().all(|line| line == line.trim_end()) && !guide.contains(['{', '}']), "{guide}");

        let file: toml::Table = texts.configuration().parse().unwrap();
        assert_eq!(file["server"]["state_dir"].as_str(), folder.path().to_str());
        assert_eq!(file["admin"]["bearer_token_file"].as_str(), folder.token().to_str());
        assert_eq!(file["listener"]["imaps"]["bind"][0].as_str(), Some("127.0.0.1:10993"));
        let port = file["destination"]["new"]["protocol"]["pop3"]["port"].as_integer();
        assert_eq!(port, Some(new.pop3.port().into()));
        let odd: toml::Table = format!("odd = \"{}\"", toml_text("a \"b\"\\c'")).parse().unwrap();
        assert_eq!(odd["odd"].as_str(), Some("a \"b\"\\c'"));
    }

    #[test]
    fn taken_ports_are_replaced() {
        let first = Ports::pick().unwrap();
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, first.imaps));
        let second = Ports::pick().unwrap();
        assert_ne!(second.imaps, first.imaps);
        let ports = [second.imaps, second.imap, second.pop3s, second.admin];
        assert_eq!(ports.into_iter().collect::<std::collections::BTreeSet<_>>().len(), ports.len());
    }
}
