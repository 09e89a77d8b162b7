//! The client's commands as a black box, against a running proxy.

mod check;
mod map;
mod probe;
mod state;
mod support;
mod trust;
mod words;
