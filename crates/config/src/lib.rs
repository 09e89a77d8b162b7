//! The configuration file: read, validated and turned into a [`plan::Plan`].
//!
//! The crate exists so that no other crate sees an unresolved name, an uncompiled pattern or a missing default. A
//! mistake must never be ignored: unknown keys, doubtful values and contradictions are all reported in one run, with
//! their position, and nothing is bound.

mod check;
mod diagnostic;
mod draft;
mod exposure;
pub mod keys;
mod load;
mod read;
mod redact;
mod reference;
mod schema;
mod suggest;
mod value;

pub use diagnostic::{Diagnostic, Report, Severity};
pub use load::{Loaded, load, parse};
pub use reference::reference;
pub use schema::schema;
pub use value::secret_file;
