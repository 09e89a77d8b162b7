//! The program as a black box: bytes over sockets, against backends that misbehave in ways real servers do not.

mod imap;
mod protocols;
mod support;
