//! The demo as a whole: its servers, its folder, the proxy's configuration and the guide on the screen.
//!
//! Every command in the guide must work when it is pasted as it stands; a path with a space in it is quoted.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::folder;
use crate::server::Server;

/// Two running servers, and a folder with what a proxy in front of them needs. All of it ends when dropped.
#[derive(Debug)]
#[must_use = "a demo that is dropped has ended"]
pub struct Demo {
    /// The proxy's configuration file: as short as it can be, and a first example of the file.
    pub configuration: PathBuf,
    /// Where the token of the management API belongs.
    pub token: PathBuf,
    folder: TempDir,
    old: Server,
    new: Server,
    ports: [u16; 4],
}

/// Where the proxy is to listen, on 127.0.0.1: the well-known ports, 10000 higher, which need no rights.
const PORTS: [u16; 4] = [10_993, 10_143, 10_995, 19_443];

// === impl Demo ===

impl Demo {
    /// Starts the servers and writes the folder, with the configuration in it. `log_level` is for the proxy's log.
    /// Must be called in a tokio runtime, which the servers live in.
    ///
    /// # Errors
    /// When no port can be bound on 127.0.0.1, or the folder or a file in it cannot be written.
    pub async fn start(log_level: &str) -> io::Result<Self> {
        let old = Server::start("old").await?;
        let new = Server::start("new").await?;
        let folder = folder::create()?;
        let configuration = folder.path().join("pointsman.toml");
        let token = folder.path().join("admin.token");
        let demo = Self { configuration, token, folder, old, new, ports: free_ports()? };
        let text = demo.fill(include_str!("../templates/pointsman.toml"), toml_text);
        folder::write(&demo.configuration, &text.replace("{log-level}", &toml_text(log_level)))?;
        Ok(demo)
    }

    /// The text on the screen, with `program` in its commands. It holds passwords, which are the demo's own and
    /// open nothing else.
    #[must_use]
    pub fn guide(&self, program: &Path) -> String {
        let text = self.fill(include_str!("../templates/guide.txt"), shell_word);
        text.replace("{program}", &shell_word(&program.to_string_lossy()))
    }

    /// Ends the demo, and reports if the folder cannot be removed. (Dropping does not report it.)
    ///
    /// # Errors
    /// When something in the folder cannot be removed.
    pub fn end(self) -> io::Result<()> {
        self.folder.close()
    }

    fn fill(&self, template: &str, quoted: fn(&str) -> String) -> String {
        let [imaps, imap, pop3s, admin] = self.ports;
        let mut text = template.to_owned();
        for (place, port) in [
            ("{imaps}", imaps),
            ("{imap}", imap),
            ("{pop3s}", pop3s),
            ("{admin}", admin),
            ("{old-imap}", self.old.imap.port()),
            ("{old-pop3}", self.old.pop3.port()),
            ("{new-imap}", self.new.imap.port()),
            ("{new-pop3}", self.new.pop3.port()),
        ] {
            text = text.replace(place, &port.to_string());
        }
        text.replace("{folder}", &quoted(&self.folder.path().to_string_lossy()))
    }
}

/// [`PORTS`], or other free ones for those that are taken. They are free when this returns; nothing keeps them
/// so.
fn free_ports() -> io::Result<[u16; 4]> {
    let mut ports = PORTS;
    // All are held until each is known, so that no port is found twice.
    let mut held = Vec::new();
    for port in &mut ports {
        let preferred = TcpListener::bind((Ipv4Addr::LOCALHOST, *port));
        let listener = preferred.or_else(|_taken| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
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
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn says_what_to_paste_and_ends() {
        let demo = Demo::start("error").await.unwrap();
        let guide = demo.guide(Path::new("/opt/a b's/pointsman"));
        let folder = demo.folder.path().to_owned();
        let path = folder.display();
        let imaps = demo.ports[0];
        for line in [
            format!("  server old   IMAP  {}   POP3  {}", demo.old.imap, demo.old.pop3),
            format!(
                "   curl --cacert {path}/ca.pem -u alice@example.org:alice-demo \
                 'imaps://localhost:{imaps}/INBOX;MAILINDEX=1'"
            ),
            format!("   '/opt/a b'\\''s/pointsman' map rm alice@example.org --config {path}/pointsman.toml"),
        ] {
            assert!(guide.lines().any(|have| have == line), "{line:?} is missing in\n{guide}");
        }
        assert!(guide.lines().all(|line| line == line.trim_end()) && !guide.contains(['{', '}']), "{guide}");

        let file: toml::Table = fs::read_to_string(&demo.configuration).unwrap().parse().unwrap();
        assert_eq!(file["server"]["state_dir"].as_str(), folder.to_str());
        assert_eq!(file["server"]["log_level"].as_str(), Some("error"));
        assert_eq!(file["admin"]["bearer_token_file"].as_str(), demo.token.to_str());
        let port = file["destination"]["new"]["protocol"]["pop3"]["port"].as_integer();
        assert_eq!(port, Some(demo.new.pop3.port().into()));
        let odd: toml::Table = format!("odd = \"{}\"", toml_text("a \"b\"\\c'")).parse().unwrap();
        assert_eq!(odd["odd"].as_str(), Some("a \"b\"\\c'"));

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() == 5 && files.iter().all(|file| mode(file) == 0o600), "{files:?}");
        assert_eq!(mode(&folder), 0o700);

        // What the proxy has written is removed, too.
        fs::write(&demo.token, "x").unwrap();
        demo.end().unwrap();
        assert!(!folder.exists());
        let dropped = Demo::start("error").await.unwrap().folder.path().to_owned();
        assert!(!dropped.exists());
    }

    #[test]
    fn taken_ports_are_replaced() {
        let taken = free_ports().unwrap()[0];
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, taken));
        let ports: BTreeSet<u16> = free_ports().unwrap().into_iter().chain([taken]).collect();
        assert_eq!(ports.len(), 5);
    }
}
