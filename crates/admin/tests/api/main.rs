//! The management API as its callers meet it: bytes over HTTPS.

mod accounts;
mod gate;
mod published;
mod shape;
mod slow;
mod support;
