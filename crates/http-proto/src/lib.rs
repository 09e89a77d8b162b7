//! HTTP: heads, fields, paths and the chunked coding, as values.
//!
//! The room exists because a proxy and a server that disagree on where a request ends let a stranger put a
//! request of his own into somebody else's connection ("desync", RFC 9112 section 11.2). So what could be read
//! in two ways is refused here, before any other part of the program sees it, and what is written is written
//! from values, never copied from what came. HTTP/1 is parsed with `httparse` under our own rules; HTTP/2 comes
//! parsed, and is held against the rules of the HTTP/1 servers behind us ([`check_h2_request`]).
//!
//! What must never happen: a message passes whose length, path or host another reader could take differently;
//! a value is copied out of the wiped buffer that it came in ([`Fields`] slices it); a value is printed.

mod authority;
mod bad;
mod chunked;
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
mod write;

pub use bad::{BadBody, BadHead};
pub use chunked::{ChunkDecoder, Decoded, MAX_TRAILER_FIELDS, MAX_TRAILERS};
pub use fields::{Fields, Name};
pub use h2::{check_h2_request, check_h2_response, check_h2_trailers};
pub use head::{Framing, MAX_FIELDS, MAX_TARGET, RequestHead, ResponseHead, Version, blank_lines, head_end};
pub use request::{authorization, parse_request};
pub use response::parse_response;
pub use write::{CHUNK_END, write_chunk_header, write_last_chunk, write_request, write_response};

#[cfg(test)]
mod tests;
