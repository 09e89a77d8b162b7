//! Why a head or a body is rejected. The values never contain bytes that the peer sent.

use std::error::Error;
use std::fmt;

/// Why a head is rejected. Its connection must be closed, since the start of the next message is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadHead {
    /// The head is longer than the caller's limit. Reported by the caller, which buffers the bytes.
    TooLarge,
    /// More than [`MAX_FIELDS`](super::MAX_FIELDS) fields.
    TooManyFields,
    /// The target is longer than [`MAX_TARGET`](super::MAX_TARGET).
    TargetTooLong,
    /// Not a valid HTTP/1 message, or an ambiguous one. Names the rule that it breaks.
    Malformed(&'static str),
    /// A version of HTTP that is not supported.
    Version,
    /// `Expect` with something other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
    /// `CONNECT`: the proxy opens no tunnel to a host that the client names.
    ConnectRefused,
}

/// Why a chunked body is rejected. Its connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadBody {
    /// A chunk size is not one to sixteen hexadecimal digits.
    Size,
    /// A chunk extension contains a control character, or is too long.
    Extension,
    /// Chunk extensions and padding outweigh the data.
    Overhead,
    /// A chunk line or a chunk does not end with CR LF.
    LineEnd,
    /// The trailer section is too long, or has too many fields.
    TrailersTooLarge,
    /// The trailer section is not a list of fields.
    Trailers,
}

// === impl BadHead ===

impl BadHead {
    /// Returns the status of the response to a request with such a head. (A response with such a head becomes a 502.)
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLarge | Self::TooManyFields => 431,
            Self::TargetTooLong => 414,
            Self::Malformed(_) | Self::ConnectRefused => 400,
            Self::Version => 505,
            Self::Expectation => 417,
        }
    }

    /// Returns the name for metrics and for the `reason` field of log lines.
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
            Self::Version => "the HTTP version is not supported; use HTTP/1.1 or HTTP/2",
            Self::Expectation => {
                "the request expects something other than 100-continue; remove the Expect field"
            }
            Self::ConnectRefused => "CONNECT is not supported",
        })
    }
}

impl Error for BadHead {}

// === impl BadBody ===

impl BadBody {
    /// Returns the status of the response to a request with such a body. (A response with such a body becomes a 502.)
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TrailersTooLarge => 431,
            Self::Size | Self::Extension | Self::Overhead | Self::LineEnd | Self::Trailers => 400,
        }
    }

    /// Returns the name for metrics and for the `reason` field of log lines.
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
            Self::Size => "a chunk size is not one to sixteen hexadecimal digits",
            Self::Extension => "a chunk extension contains a control character or is too long",
            Self::Overhead => {
                "the chunk extensions are longer than the data; send larger chunks or fewer extensions"
            }
            Self::LineEnd => "a chunk or a chunk line does not end with CR LF",
            Self::TrailersTooLarge => "the trailers are too large; send fewer or shorter ones",
            Self::Trailers => "the trailers are not a list of fields",
        })
    }
}

impl Error for BadBody {}
