//! The management API as its callers meet it: bytes over HTTPS.

mod published;
mod support;
