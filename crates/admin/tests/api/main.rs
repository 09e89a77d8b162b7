//! The management API over HTTPS.

mod accounts;
mod moves;
mod published;
mod shape;
mod slow;
mod support;
mod token;
