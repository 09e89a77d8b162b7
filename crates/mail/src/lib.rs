//! The pipeline of the text protocols: IMAP, POP3, ManageSieve, submission, and SMTP and LMTP that pass through.
//!
//! A connection goes through the stages below in this order, and each stage owns what it needs and nothing else.
//! Time-outs and limits stand here, around the protocol machines, and not in them. What must never happen: a client
//! that is answered OK without a confirmed session, a credential that outlives its attempt, a client that is left to
//! a backend after a refused login.
//!
//! | module | subject |
//! |---|---|
//! | `service` | [`Service`]: one connection from accept to its last log line |
//! | `arrived` | PROXY header and implicit TLS are done |
//! | `greeted` | the client may log in; refused logins lead back here |
//! | `attempted` | one login: whose it is, and what becomes of it |
//! | `replay` | the credential, replayed at the backend that the placement names |
//! | `placed` | the backend has said yes and the session is confirmed |
//! | `bridged` | bytes both ways |
//! | `passthrough` | SMTP and LMTP: from arrived straight to bridged |
//! | `client`, `slot` | the client's side of a connection; its place under the limits |
//! | `learner`, `learnt` | what the servers announce, and what all of them have |
//! | `offers`, `protocols`, `failure` | what clients are offered; the machine of each protocol; why a login failed |
//! | `shared` | what every connection shares |

mod arrived;
mod attempted;
mod bridged;
mod client;
mod failure;
mod greeted;
mod learner;
mod learnt;
mod offers;
mod passthrough;
mod placed;
mod protocols;
mod replay;
mod service;
mod shared;
mod slot;

pub use service::Service;
