//! HTTP: every request routed for itself, whatever connection it came on.
//!
//! The rooms of a login in another order, once for each request: head, rule, identity, desk, route, pooled
//! backend. HTTP/1 is ours on both sides, over the strict heads of `http_proto`; HTTP/2 is the `h2` library's,
//! held against the same rules. What must never happen: two requests where we saw one; a request on a
//! connection that was announced for another client; a cut response that looks whole; a body held whole.
//!
//! | module | subject |
//! |---|---|
//! | [`service`] | what a plan's connections share; one client |
//! | `serve` | from accept to the version that is spoken |
//! | `one`, `many` | a client's connection: HTTP/1 in turn, HTTP/2 at once |
//! | `decide` | path → rule → account |
//! | `exchange`, `way` | one request: decide, then desk, route and connection, then relay |
//! | `relay`, `watch` | both ways of an exchange at once, and what may end it |
//! | `backend`, `pool` | connections to backends, and those that wait |
//! | `body`, `half`, `reader`, `writer`, `stream`, `client` | messages, piece by piece |
//! | `upgrade`, `tunnel` | WebSocket |
//! | `answer` | what we say ourselves |
//! | `convert`, `meter` | between the library's heads and ours; floods of its frames |

mod answer;
mod backend;
mod body;
mod client;
mod convert;
mod decide;
mod exchange;
mod h1;
mod h2_server;
mod half;
mod meter;
mod pool;
mod reader;
mod relay;
mod route;
mod serve;
mod service;
mod stream;
mod tunnel;
mod upgrade;
mod watch;
mod writer;

pub use service::Service;
