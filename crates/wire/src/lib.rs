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
//! | [`attempt`] | what a login is made of, and what becomes of it |
//! | [`fault`] | who is to blame when a leg fails |

pub mod attempt;
pub mod fault;
pub mod inbox;
pub mod protocol;
pub mod secret;
pub mod step;
