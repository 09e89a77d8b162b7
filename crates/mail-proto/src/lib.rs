//! The mail protocols without I/O: one engine towards clients, one towards backends, and a grammar for each protocol.
//!
//! What a client or a backend can send is judged by code that can be called with a slice and compared with an expected
//! value. Nothing here may open a socket, read a clock or know the configuration, and nothing here may print a secret.
//!
//! | module | subject |
//! |---|---|
//! | [`step`] | the shape of a machine: [`step::Step`], [`step::Dialogue`], [`step::Replay`] |
//! | [`dialogue`] | the server's side of every text protocol, towards clients |
//! | [`replay`] | the client's side of every text protocol, towards backends |
//! | [`imap`], [`pop3`], [`managesieve`], [`submission`] | the grammars of both sides |
//! | [`passthrough`] | SMTP and LMTP before the bytes pass |
//! | [`imap_boundary`] | where a bridged IMAP session may be cut |
//! | [`inbox`] | the bounded buffer between a stream and a machine |
//! | [`mod@line`], `frame` | line ends; lines with literals |
//! | [`verdict`] | what becomes of a login, and why a connection is closed |
//! | [`xclient`] | who the client is, sent and received over SMTP, POP3 and ManageSieve |

pub mod dialogue;
mod frame;
pub mod imap;
pub mod imap_boundary;
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
