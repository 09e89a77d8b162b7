//! The pipeline of HTTP: every request is placed by itself, whatever connection it came on.
//!
//! HTTP/1 is our own on both sides, over the strict heads of `http_proto`; HTTP/2 is the `h2` library's, held to the
//! same rules. What must never happen: two requests where we saw one; a request on a connection that was announced
//! for another client; a cut response that looks whole; a body that is held whole in memory.
//!
//! | module | subject |
//! |---|---|
//! | `service` | [`Service`]: what connections share; one client's connection |
//! | `serve` | from accept to the HTTP version that is spoken |
//! | `h1_server`, `h2_server` | a client's connection: HTTP/1 one request at a time, HTTP/2 many at once |
//! | `decide`, `prefix_owner` | path → rule → account; paths with encoded separators |
//! | `exchange` | one request: decide, route, relay |
//! | `route` | a connection to the backend that the placement names |
//! | `relay`, `upload`, `download`, `watch` | both directions of an exchange at once, and what may end it |
//! | `replay` | what was sent of a body, for a second attempt |
//! | `outcome` | how an exchange ended |
//! | `backend`, `pool` | connections to backends, and those that are idle |
//! | `body`, `half`, `reader`, `writer`, `stream`, `client` | messages, piece by piece |
//! | `upgrade`, `tunnel`, `backend_end` | WebSocket |
//! | `local_reply` | responses of our own |
//! | `convert`, `meter` | between the h2 library's heads and ours; floods of HTTP/2 frames |

mod backend;
mod backend_end;
mod body;
mod client;
mod convert;
mod decide;
mod download;
mod exchange;
mod h1_server;
mod h2_server;
mod half;
mod local_reply;
mod meter;
mod outcome;
mod pool;
mod prefix_owner;
mod reader;
mod relay;
mod replay;
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
