//! The configuration file: read whole, judged whole, turned into a [`plan::Plan`].
//!
//! The room exists so that nothing behind it ever meets an unresolved name, an uncompiled pattern or a
//! default that was not filled in. A mistake must never be passed over: unknown keys, doubtful values and
//! contradictions are all reported in one run, with their place, and nothing is bound.

pub mod built;
mod check;
mod diagnostic;
mod draft;
mod exposure;
pub mod keys;
mod load;
mod mask;
mod read;
mod reference;
mod schema;
mod suggest;
mod value;

pub use diagnostic::{Diagnostic, Report, Severity};
pub use load::{Loaded, load, parse};
pub use reference::reference;
pub use schema::schema;
pub use value::secret_file;
