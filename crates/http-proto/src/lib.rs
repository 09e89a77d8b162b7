//! HTTP: heads, fields, paths and the chunked coding, as values.
//!
//! When a proxy and a server disagree on where a request ends, one client can insert a request into the
//! connection of another (request smuggling, RFC 9112 section 11.2). This crate therefore rejects ambiguous
//! messages before any other part of the program sees them, and writes every head from parsed values instead of
//! copying the received bytes. HTTP/1 is parsed with `httparse` under additional rules; HTTP/2 is parsed by the
//! `h2` crate, and [`check_h2_request`] applies the rules that an HTTP/1 backend needs.
//!
//! What must never happen here: a message is accepted whose length, path or host another parser could read
//! differently; a value is copied out of the buffer in which it was received ([`Fields`] holds slices of it, and the
//! buffer wipes itself); a value is printed.
//!
//! | module | subject |
//! |---|---|
//! | `head` | the parsed heads, and where a head ends |
//! | `request`, `response`, `parse` | HTTP/1 heads: parsing |
//! | `h2` | HTTP/2 heads and trailers: checks |
//! | `framing`, `chunked` | the length of a body, the chunked coding |
//! | `fields`, `strip`, `forwarded` | fields, fields that are not forwarded, `Forwarded` |
//! | `authority`, `path`, `destination` | `Host` and `:authority`, the path of a target, WebDAV's `Destination` |
//! | `bad` | why a head or a body is rejected |
//! | `write`, `wipe` | HTTP/1 heads and chunks: writing; wiping buffers of heads |

mod authority;
mod bad;
mod chunked;
mod destination;
mod fields;
pub mod forwarded;
mod framing;
mod h2;
mod head;
mod parse;
pub mod path;
mod request;
mod response;
mod strip;
mod wipe;
mod write;

pub use bad::{BadBody, BadHead};
pub use chunked::{ChunkDecoder, Decoded, MAX_TRAILER_FIELDS, MAX_TRAILERS};
pub use destination::set_destination_scheme;
pub use fields::{Fields, Name};
pub use h2::{check_h2_request, check_h2_response, check_h2_trailers};
pub use head::{Framing, MAX_FIELDS, MAX_TARGET, RequestHead, ResponseHead, Version, blank_lines, head_end};
pub use request::{authorization, parse_request};
pub use response::parse_response;
pub use wipe::wipe;
pub use write::{CHUNK_END, write_chunk_header, write_last_chunk, write_request, write_response};

#[cfg(test)]
mod tests;
