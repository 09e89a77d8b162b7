//! IMAP before the bridge.

mod faults;
mod life;
mod logins;
