//! IMAP up to the bridge.

mod faults;
mod life;
mod logins;
