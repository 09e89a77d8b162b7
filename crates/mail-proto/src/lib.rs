//! The mail protocols without I/O: one state machine towards clients, one towards backends, and a grammar for each
//! protocol.
//!
//! All input from clients and backends is parsed by code that tests call with a slice. Nothing here may open a socket, read
//! a clock or depend on the configuration, and nothing here may print a secret.
//!
//! | module | subject |
//! |---|---|
//! | [`step`] | the interface of a machine: [`step::Step`], [`step::Dialogue`], [`step::Replay`] |
//! | [`dialogue`] | the server side of every text protocol, towards clients |
//! | [`replay`] | the client side of every text protocol, towards backends |
//! | [`imap`], [`pop3`], [`managesieve`], [`submission`] | the grammars of both sides |
//! | [`passthrough`] | SMTP and LMTP before pass-through |
//! | [`follow`] | where a bridged session may end |
//! | [`account_guard`] | commands that would change the account of a bridged session |
//! | [`inbox`] | the bounded buffer between a stream and a machine |
//! | [`mod@line`], `frame` | line ends; lines with literals |
//! | [`verdict`] | the result of a login, and why a connection is closed |
//! | [`xclient`] | the client's address, sent and received over SMTP, POP3 and ManageSieve |

pub mod account_guard;
pub mod dialogue;
pub mod follow;
mod frame;
pub mod imap;
pub mod inbox;
pub mod line;
pub mod managesieve;
pub mod passthrough;
pub mod pop3;
pub mod replay;
pub mod step;
pub mod submission;
#[cfg(test)]
mod transcript;
pub mod verdict;
pub mod xclient;
