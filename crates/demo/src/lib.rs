//! Two small mail servers in memory, for people who want to see the proxy at work before they read about it.
//!
//! `pointsman demo` starts a server called "old" and one called "new", puts the proxy in front of both, and
//! prints what to paste to see one account first on the one and then on the other. Everything listens on the
//! loopback address and lives in memory and in one temporary folder; nothing may be left behind, and nothing
//! in here may ever be taken for a mail server to keep mail in.
//!
//! | module | subject |
//! |---|---|
//! | [`Account`] | who can log in |
//! | [`Server`] | accepts connections and moves bytes |
//! | `imap`, `pop3` | the protocols, as machines without I/O |
//! | `store` | accounts, mailboxes, messages |
//! | `mime` | what is inside a message |
//! | [`Folder`] | the throwaway certificate, the mapping file |
//! | [`configuration`], [`Ports`] | the proxy's file |
//! | [`Guide`] | the text on the screen |

mod account;
mod configuration;
mod date;
mod folder;
mod guide;
mod imap;
mod machine;
mod mime;
mod pop3;
mod server;
mod store;
mod welcome;

pub use account::Account;
pub use configuration::{Ports, configuration};
pub use folder::Folder;
pub use guide::Guide;
pub use server::{Endpoints, Server};
