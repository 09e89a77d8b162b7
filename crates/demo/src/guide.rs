//! The text on the screen: what runs where, and what to paste.
//!
//! Every command in it must work when it is pasted as it stands; a path with a space in it is quoted.

use std::fmt;
use std::path::Path;

use crate::account::Account;
use crate::configuration::Ports;
use crate::folder::Folder;
use crate::server::Server;

/// Prints itself as the demo's guide. It holds passwords, which are the demo's own and open nothing else.
#[derive(Debug)]
pub struct Guide<'a> {
    /// The program, for commands.
    pub program: &'a Path,
    /// With certificate and mapping file.
    pub folder: &'a Folder,
    /// Where the proxy listens.
    pub ports: Ports,
    /// Who can log in; the first one is moved in the example.
    pub accounts: &'a [Account],
    /// The servers behind it, "old" first.
    pub servers: [&'a Server; 2],
}

// === impl Guide ===

impl fmt::Display for Guide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Pointsman demo: two small mail servers, and the proxy in front of them.\n")?;
        self.places(f)?;
        self.people(f)?;
        if let Some(account) = self.accounts.first() {
            self.steps(f, account)?;
        }
        writeln!(f, "Press Ctrl-C to stop. The folder and everything in it is removed then.")
    }
}

impl Guide<'_> {
    fn places(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ports { imaps, imap, pop3s, .. } = self.ports;
        writeln!(f, "  {:<12} IMAPS localhost:{imaps}   POP3S localhost:{pop3s}", "proxy")?;
        writeln!(f, "  {:<12} IMAP with STARTTLS localhost:{imap}", "")?;
        for server in self.servers {
            let endpoints = server.endpoints();
            let label = format!("server {}", server.name());
            writeln!(f, "  {label:<12} IMAP  {}   POP3  {}", endpoints.imap, endpoints.pop3)?;
        }
        writeln!(f, "  {:<12} {}\n", "folder", self.folder.path().display())
    }

    fn people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<20} password", "account")?;
        for account in self.accounts {
            writeln!(f, "  {:<20} {}", account.login, password(account))?;
        }
        writeln!(f, "\nbob@example.org is on new, everybody else on old.\n")
    }

    fn steps(&self, f: &mut fmt::Formatter<'_>, account: &Account) -> fmt::Result {
        let Ports { imaps, imap, pop3s, admin } = self.ports;
        let (login, password) = (&account.login, password(account));
        let authority = shell(&self.folder.authority());
        let mapping = shell(&self.folder.mapping());
        let curl = format!("curl --cacert {authority} -u {login}:{password}");
        let read = format!("{curl} 'imaps://localhost:{imaps}/INBOX;MAILINDEX=1'");
        writeln!(f, "1. Read a message of {login} through the proxy. It says: I am on old.\n")?;
        writeln!(f, "   {read}\n")?;
        writeln!(f, "2. Move the account: one line in the mapping file, picked up at once.\n")?;
        writeln!(f, "   echo '{login} new' >> {mapping}\n")?;
        writeln!(f, "3. Read again. It says: I am on new.\n")?;
        writeln!(f, "   {read}\n")?;
        let program = shell(self.program);
        let configuration = shell(&self.folder.configuration());
        writeln!(f, "The same by the command line, and back:\n")?;
        writeln!(f, "   {program} map get {login} --config {configuration}")?;
        writeln!(f, "   {program} map rm {login} --config {configuration}")?;
        writeln!(f, "   {program} top --config {configuration}\n")?;
        writeln!(
            f,
            "The same in a browser (which does not know the demo's certificate), with the token from the file:\n"
        )?;
        writeln!(f, "   https://localhost:{admin}/")?;
        writeln!(f, "   cat {}\n", shell(&self.folder.token()))?;
        writeln!(f, "More to try:\n")?;
        writeln!(f, "   {curl} 'pop3s://localhost:{pop3s}/1'")?;
        writeln!(f, "   openssl s_client -quiet -CAfile {authority} -connect localhost:{imaps}")?;
        writeln!(
            f,
            "   openssl s_client -quiet -CAfile {authority} -connect localhost:{imap} -starttls imap"
        )?;
        writeln!(f, "     then type: a LOGIN {login} {password}\n")
    }
}

/// The demo's passwords are meant to be read: this is the one place that shows one.
fn password(account: &Account) -> String {
    String::from_utf8_lossy(account.password.expose()).into_owned()
}

/// A path as one word of a shell.
fn shell(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(is_plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_what_to_paste() {
        let folder = Folder::create().unwrap();
        let accounts = Account::cast();
        let old = Server::start("old", &accounts).await.unwrap();
        let new = Server::start("new", &accounts).await.unwrap();
        let guide = Guide {
            program: Path::new("/opt/a b/pointsman"),
            folder: &folder,
            ports: Ports::PREFERRED,
            accounts: &accounts,
            servers: [&old, &new],
        };
        let text = guide.to_string();
        let path = folder.path().display();
        for line in [
            format!("  server old   IMAP  {}   POP3  {}", old.addr(), old.endpoints().pop3),
            "  carol@example.org    carol-demo".to_owned(),
            format!(
                "   curl --cacert {path}/ca.pem -u alice@example.org:alice-demo \
                 'imaps://localhost:10993/INBOX;MAILINDEX=1'"
            ),
            format!("   echo 'alice@example.org new' >> {path}/mapping"),
            format!("   '/opt/a b/pointsman' map rm alice@example.org --config {path}/pointsman.toml"),
            "   https://localhost:19443/".to_owned(),
            format!("   cat {path}/admin.token"),
        ] {
            assert!(text.lines().any(|have| have == line), "{line:?} is missing in\n{text}");
        }
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }

    #[test]
    fn paths_in_a_shell() {
        assert_eq!(shell(Path::new("/tmp/a-b.c")), "/tmp/a-b.c");
        assert_eq!(shell(Path::new("/tmp/a b's")), "'/tmp/a b'\\''s'");
    }
}
