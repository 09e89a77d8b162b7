//! Bytes and grammars: every dialogue, replay and header that Pointsman reads or writes, as values.
//!
//! The room exists so that what a stranger can send is judged by code that can be called with a slice and
//! compared with an expected value. Nothing here may open a socket, read a clock, know the configuration or
//! name tokio; nothing here may print a secret.
//!
//! | module | subject |
//! |---|---|
//! | [`protocol`] | the protocols and their names |
//! | [`secret`] | bytes that wipe themselves and never print |
//! | [`inbox`] | the bounded buffer between a stream and a machine |
//! | [`step`] | the shape of a machine: [`step::Step`], [`step::Dialogue`], [`step::Replay`] |
//! | [`dialogue`] | the server's side of every text protocol, once |
//! | [`attempt`] | what a login is made of, and what becomes of it |
//! | [`mod@line`], [`sasl`] | what the text protocols share: line ends, the SASL exchange |
//! | [`imap`] | IMAP before the bridge |
//! | [`passthrough`] | SMTP and LMTP before the splice |
//! | [`imap_boundary`] | where a bridged IMAP session may be cut |
//! | [`pop3`] | POP3 before the bridge |
//! | [`managesieve`] | ManageSieve before the bridge |
//! | [`submission`] | message submission before the bridge |
//! | [`xclient`] | who the client is, told and heard over SMTP, POP3 and ManageSieve |
//! | [`names`], [`identifier`] | whom a credential names; the name that routes |
//! | [`network`] | what counts as one client |
//! | [`token`] | the account that a bearer token shows |
//! | [`http`] | heads, fields, paths and chunks of HTTP; what must not pass because two could read it differently |
//! | [`proxy`] | the PROXY protocol, in and out |
//! | [`fault`] | who is to blame when a leg fails |

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
