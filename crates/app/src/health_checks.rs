//! Checks the legs that clients' connections cast doubt on, and those that are down, under the proxy's own address.
//!
//! A server may refuse a client for what it is: banned, too many connections, a bad name. Only a connection that is not
//! made for any client shows whether the server works. What must never happen here: a credential is sent, or two checks
//! of one leg run at once.

use std::time::Duration;

use probe::{Failure, ProbeClient};
use runtime::CurrentPlan;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use types::fault::Fault;
use upstream::LegCheck;

/// Checks legs of the plan in force whenever one is due, until the task is dropped. The number of checks under way is
/// bounded by that of the legs.
pub(crate) async fn run(current: CurrentPlan) {
    let check_wanted = current.now().backends.check_wanted();
    let mut running = JoinSet::new();
    loop {
        let plan = current.now();
        for check in plan.backends.due_checks() {
            let hostname = plan.plan.server.hostname.clone();
            running.spawn(check_leg(check, hostname.unwrap_or_else(|| "localhost".to_owned())));
        }
        let next = plan.backends.next_check();
        drop(plan);
        tokio::select! {
            () = check_wanted.notified() => {}
            () = wait_until(next) => {}
            Some(_) = running.join_next() => {}
        }
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Checks one leg: it works if one of its hosts is ready for a client.
async fn check_leg(check: LegCheck, hostname: String) {
    let mut fault = Fault::Unreachable;
    for host in &check.backend().destination().hosts {
        match check_host(&check, host, &hostname).await {
            Ok(took) => return check.end(Ok(took)),
            Err(found) => fault = found,
        }
    }
    check.end(Err(fault));
}

async fn check_host(check: &LegCheck, host: &str, hostname: &str) -> Result<Duration, Fault> {
    let backend = check.backend();
    let began = Instant::now();
    let deadline = began + backend.timeout();
    let client = ProbeClient::Proxy;
    let findings = probe::probe(backend, check.protocol(), host, hostname, client, deadline).await;
    match findings.failure {
        None => Ok(began.elapsed()),
        Some(Failure::Tls(error)) => {
            tracing::warn!(destination = %backend.destination().name, %error, "TLS handshake with the destination failed");
            Err(Fault::Tls)
        }
        Some(Failure::Fault(fault)) => Err(fault),
    }
}
