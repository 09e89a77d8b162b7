//! Points at which a test can have the process end as it would in a crash.
//!
//! What must never happen here: a point in a released program. They exist in debug builds only.

/// Kills this process, with nothing written or released, if the test that has started it wants a crash at this point.
#[cfg(debug_assertions)]
pub(crate) fn crash_point(name: &str) {
    if std::env::var("POINTSMAN_CRASH_AT").is_ok_and(|wanted| wanted == name) {
        // Nothing can be done about an error, and nothing follows a success.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub(crate) const fn crash_point(_name: &str) {}
