//! Why a head or a body is refused. Never holds a byte of the peer's.

use std::error::Error;
use std::fmt;

/// Why a head is refused. Its connection must be closed: nobody knows where the next message would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadHead {
    /// The head is longer than the caller's limit; told by the caller, who holds the bytes.
    TooLarge,
    /// More than [`MAX_FIELDS`](super::MAX_FIELDS) fields.
    TooManyFields,
    /// The target is longer than [`MAX_TARGET`](super::MAX_TARGET).
    TargetTooLong,
    /// Not a message of HTTP/1, or one that two readers could take for two. Says which rule was broken.
    Malformed(&'static str),
    /// A version of HTTP that is not spoken here.
    Version,
    /// `Expect` with something other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
    /// `CONNECT`: nothing is tunnelled to where a client says.
    ConnectRefused,
    /// An upgrade to HTTP/2 without TLS, which would carry requests past every rule.
    H2c,
}

/// Why a chunked body is refused. Its connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadBody {
    /// A chunk's size is not one to sixteen hexadecimal digits.
    Size,
    /// A chunk extension with a control character in it.
    Extension,
    /// More of extensions and tiny chunks than of data.
    Overhead,
    /// Something other than CR LF ends a line or a chunk.
    LineEnd,
    /// The trailer section is too long, or has too many fields.
    TrailersTooLarge,
    /// The trailer section is no list of fields.
    Trailers,
}

// === impl BadHead ===

impl BadHead {
    /// The status of the answer to a request with such a head. (A response with such a head is a 502.)
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLarge | Self::TooManyFields => 431,
            Self::TargetTooLong => 414,
            Self::Malformed(_) | Self::H2c | Self::ConnectRefused => 400,
            Self::Version => 505,
            Self::Expectation => 417,
        }
    }

    /// Name in metrics and in the `reason` field of log lines.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooLarge => "head_too_large",
            Self::TooManyFields => "head_too_many_fields",
            Self::TargetTooLong => "head_target_too_long",
            Self::Malformed(_) => "head_malformed",
            Self::Version => "head_version",
            Self::Expectation => "head_expectation",
            Self::ConnectRefused => "head_connect",
            Self::H2c => "head_h2c",
        }
    }
}

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the head is too large; send fewer or shorter fields",
            Self::TooManyFields => "the head has more than 128 fields; send fewer",
            Self::TargetTooLong => "the request target is too long; send its query as a body",
            Self::Malformed(what) => what,
            Self::Version => "the version of HTTP is not spoken here; use HTTP/1.1 or HTTP/2",
            Self::Expectation => "the request expects something other than 100-continue; take `Expect` out",
            Self::ConnectRefused => "CONNECT is not served here",
            Self::H2c => "an upgrade to h2c is not served here; use HTTP/2 over TLS",
        })
    }
}

impl Error for BadHead {}

// === impl BadBody ===

impl BadBody {
    /// The status of the answer to a request with such a body. (A response with such a body is a 502.)
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TrailersTooLarge => 431,
            Self::Size | Self::Extension | Self::Overhead | Self::LineEnd | Self::Trailers => 400,
        }
    }

    /// Name in metrics and in the `reason` field of log lines.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Size => "chunk_size",
            Self::Extension => "chunk_extension",
            Self::Overhead => "chunk_overhead",
            Self::LineEnd => "chunk_line_end",
            Self::TrailersTooLarge => "trailers_too_large",
            Self::Trailers => "trailers_malformed",
        }
    }
}

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "a chunk's size is not one to sixteen hexadecimal digits",
            Self::Extension => "a chunk extension holds a control character",
            Self::Overhead => "the chunks have more of extensions than of data; send larger chunks",
            Self::LineEnd => "a chunk or its line does not end with CR LF",
            Self::TrailersTooLarge => "the trailers are too large; send fewer or shorter ones",
            Self::Trailers => "the trailers are not a list of fields",
        })
    }
}

impl Error for BadBody {}
