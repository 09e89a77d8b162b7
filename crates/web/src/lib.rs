//! The pipeline of HTTP: every request is placed by itself, whatever connection it came on.
//!
//! HTTP/1 is implemented here, over the strict heads of `http_proto`; HTTP/2 is implemented by the library `h2`, and its
//! heads are held to the same rules. What must never happen here: a backend reads two requests where we read one; a
//! request goes over a connection whose PROXY header names another client; a truncated response looks complete; a body
//! is held whole in memory.
//!
//! | module | subject |
//! |---|---|
//! | `service`, `serve` | [`Service`]: what connections share; from accept to the HTTP version that is spoken |
//! | `connection` | one client's connection: what its requests share |
//! | `h1_server`, `h2_server` | a client's connection: HTTP/1 one request at a time, HTTP/2 many at once |
//! | `request` | one request: decide, find a route, carry the exchange |
//! | `decide`, `prefix_owner` | path → rule → account; paths with encoded separators |
//! | `credential` | the credential of a request: its place among the guesses, its verdict |
//! | `route` | a connection to the backend that the placement names |
//! | `exchange` | one request on its route: repeat, pool, log |
//! | `relay`, `upload`, `download`, `watch` | both directions of an exchange at once, and what may end it |
//! | `replay` | what was sent of a body, for a second attempt |
//! | `outcome` | how an exchange ended |
//! | `backend`, `pool` | connections to backends, and the idle ones |
//! | `body`, `half`, `reader`, `writer`, `stream`, `client` | messages, piece by piece |
//! | `upgrade`, `tunnel`, `backend_end` | WebSocket |
//! | `after`, `local_reply` | what follows an exchange; responses of our own |
//! | `memory` | what unanswered requests may hold, for each client network |
//! | `convert`, `meter` | heads of the `h2` library and ours; floods of HTTP/2 frames |

mod after;
mod backend;
mod backend_end;
mod body;
mod client;
mod connection;
mod convert;
mod credential;
mod decide;
mod download;
mod exchange;
mod h1_server;
mod h2_server;
mod half;
mod local_reply;
mod memory;
mod meter;
mod outcome;
mod pool;
mod prefix_owner;
mod reader;
mod relay;
mod replay;
mod request;
mod route;
mod serve;
mod service;
mod stream;
mod tunnel;
mod upgrade;
mod upload;
mod watch;
mod writer;

pub use service::Service;
