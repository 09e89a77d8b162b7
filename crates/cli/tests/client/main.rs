//! The commands as a black box, most of them against a running proxy.

mod check;
mod help;
mod map;
mod probe;
mod state;
mod support;
mod trust;
