//! The binary as a black box: IMAP before the bridge, against backends that misbehave as no real one does.

mod faults;
mod life;
mod logins;
mod support;
