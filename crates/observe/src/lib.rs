//! The log and the metrics.
//!
//! The crate exists so that one place decides how untrusted bytes are printed. Nothing here may print a secret, print
//! untrusted text unescaped or unbounded, or wait: a log line never delays a session.
//!
//! | module | subject |
//! |---|---|
//! | [`log`] | the subscriber on standard error and its changeable level |
//! | [`account`] | accounts in full or as a keyed hash |
//! | [`escape`] | escapes untrusted text for one line |
//! | `log_throttle` | limits lines that clients can cause |
//! | [`login`] | the one line of a failed login for fail2ban |
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
