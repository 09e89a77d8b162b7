//! The binary as a black box: bytes over sockets, against backends that misbehave as no real one does.

mod imap;
mod support;
