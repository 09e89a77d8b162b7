//! How Pointsman speaks about itself: the log, the names in it, the ids that tie its lines together.
//!
//! The room exists so that no other one decides how a stranger's bytes are printed. Nothing here may print a
//! secret, print untrusted text unescaped or unbounded, or wait: a log line never holds up a session.
//!
//! | module | subject |
//! |---|---|
//! | [`log`] | the subscriber on standard error and its changeable level |
//! | [`account`] | accounts in full or as a keyed hash |
//! | [`escape`] | untrusted text, made fit for one line |
//! | `log_throttle` | lines that a stranger can cause without end |
//! | [`login`] | the one line of a failed login that fail2ban reads |
//! | [`metrics`] | what a monitoring system reads |

pub mod account;
pub mod escape;
pub mod log;
mod log_throttle;
pub mod login;
pub mod metrics;

pub use account::Accounts;
pub use escape::Escaped;
pub use log::{Format, Handle, init};
pub use log_throttle::LogThrottle;
pub use login::{LoginFailure, login_failed};
pub use metrics::Meters;
