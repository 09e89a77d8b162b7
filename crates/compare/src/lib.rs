//! Compares an account's mailbox at two destinations.
//!
//! It logs in to both servers as the configuration says (`[moves.compare]`), by the same dialling, TLS and protocol
//! machines as a session, and reads what a client would: folders, subscriptions, UIDs, flags, Message-IDs, UIDLs. What
//! must never happen here: a command that changes a mailbox, not even a \Recent flag; a password in a log, an error or a
//! buffer that is not wiped; a message body in memory; a wait, a table or a response without a bound.
//!
//! | module | subject |
//! |---|---|
//! | `comparison` | [`compare`]: folder by folder, both servers at the same time |
//! | `snapshot` | [`Snapshot`]: whether a mailbox has changed between two moments |
//! | `difference` | [`Difference`], [`Report`], [`Tolerance`]: what was found, and whether it stops a move |
//! | `pairing` | which message of one folder is which of the other |
//! | `sharing` | [`Sharing`]: who else uses the account's folders, and whose it uses |
//! | `folders` | the folders and subscriptions of one mailbox |
//! | `folder_name` | names of folders, independent of a server's delimiter and prefix |
//! | `messages` | the messages of one folder, as hashes |
//! | `imap_session` | IMAP commands and their responses, one at a time |
//! | `pop3` | the UIDLs of one mailbox |
//! | `side` | [`Side`]: a destination and how to log in there |
//! | `error` | [`CompareError`]: why mailboxes could not be compared |

mod comparison;
mod difference;
mod error;
mod folder_name;
mod folders;
mod imap_session;
mod messages;
mod pairing;
mod pop3;
mod sharing;
mod side;
mod snapshot;

pub use comparison::{Request, compare};
pub use difference::{Difference, DifferenceKind, Report, Tolerance};
pub use error::{Cause, CompareError};
pub use sharing::Sharing;
pub use side::Side;
pub use snapshot::Snapshot;
