//! The management API: HTTPS, one token, thin handlers over the other crates.
//!
//! The crate exists so that an operator can see and change the state of the running proxy. What must never happen here: an
//! action without the token or without its record; a token in a log, a response or an error; clients of the API, however
//! many and however slow, that take time or memory from mail connections; an action that is half done because its client
//! closed the connection.
//!
//! | module | subject |
//! |---|---|
//! | [`app_handle`] | the parts of the program that the API uses |
//! | `server`, `write_timeout`, `penalty` | connections: their number, their time limits, TLS |
//! | `authenticator`, `lockout` | the token; networks that have sent wrong ones |
//! | `routes`, `guard` | the table of the calls; the checks before each of them |
//! | `parameters`, `failure` | a call's parameters; its error responses |
//! | `calls` | the calls, one file for each subject |
//! | [`audit`] | the audit log |
//! | `dashboard` | the dashboard's page and its files |
//! | [`diagnostics`] | the errors in a file, line by line |
//! | `openapi` | the description of the API, tested against the routes |
//!
//! The path of a request:
//!
//! ```text
//! server ──▶ TLS ──▶ guard ──▶ authenticator ──▶ routes ──▶ a call ──▶ another crate
//!   ✗ closed          │          ✗ 401, 429        ✗ 404, 405  ✗ problem
//!                     └─ an action continues when its client disconnects
//! ```

pub mod app_handle;
pub mod audit;
pub mod diagnostics;

mod authenticator;
mod calls;
mod dashboard;
mod failure;
mod guard;
mod lockout;
mod openapi;
mod parameters;
mod penalty;
mod routes;
mod server;
mod shared;
mod write_timeout;

pub use app_handle::{AppHandle, Reload, ReloadError};
pub use audit::{Action, Actor, Audit};
pub use server::Server;
