//! The management API as data: paths, parameters, answers.
//!
//! The room exists so that the server and the command line agree by construction: both use these types. Field
//! names are those of the published API, which runbooks read with `jq`; a name or a type that is here must
//! never change, and new fields are only ever added.
//!
//! | module | subject |
//! |---|---|
//! | [`paths`], [`parameters`] | what is asked |
//! | [`state`] | statistics, destinations, connections |
//! | [`mapping`] | mappings, import and export |
//! | [`act`] | answers of calls that change something |
//! | [`audit`] | the record of every act |
//! | [`event`] | what `GET /events` sends |
//! | [`problem`] | errors (RFC 9457) |

pub mod act;
pub mod audit;
pub mod event;
pub mod mapping;
pub mod parameters;
pub mod paths;
pub mod problem;
pub mod state;

pub use problem::{Diagnostic, Problem};

#[cfg(test)]
mod tests;
