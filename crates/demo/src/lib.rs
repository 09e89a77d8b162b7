//! Two small mail servers in memory, to see the proxy at work before reading about it.
//!
//! `pointsman demo` starts a server called "old" and one called "new", puts the proxy in front of both, and
//! prints what to paste to see one account first on the one and then on the other. Everything listens on the
//! loopback address and lives in memory and in one temporary folder. Nothing may be left behind, and these
//! servers are never the place to keep mail in.

mod client;
mod demo;
mod folder;
mod imap;
mod mime;
mod pop3;
mod server;
mod store;
#[cfg(test)]
mod transcript;

pub use demo::Demo;
