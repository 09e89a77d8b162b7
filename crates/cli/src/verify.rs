//! `pointsman verify`: what people would do by hand after a cutover, against the running proxy.
//!
//! What must never happen here: the password in an output, or on a connection that is not encrypted and verified
//! (unless somebody has asked for the latter).

mod jmap;
mod login;
mod message;
mod password;

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Duration;

use plan::{Destination, Forwarding, Leg, Listener, Plan, ProxyIn, TlsMode, Verify as Rule};
use serde::Serialize;
use tls::PlatformRoots;
use types::protocol::Protocol;
use upstream::Backend;

use crate::arguments::Verify;
use crate::client::{Failure, block_on, reachable};
use crate::print::{Table, json};
use crate::progress::telling;
use crate::run::find;

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Of the listener.
    listener: String,
    protocol: &'static str,
    address: String,
    /// `ok`, `failed` or `skipped`.
    state: &'static str,
    /// What was found, and what to look at next.
    detail: String,
}

/// How a try ended, with what there is to say of it.
enum Ended {
    Ok(String),
    Failed(String),
    Skipped(String),
}

/// Beyond `backend_timeout`: the proxy's own part, a delayed verdict of a failed login included.
const MARGIN: Duration = Duration::from_secs(20);

/// Tries everything that the configuration has a listener for.
pub(crate) fn verify(arguments: &Verify) -> Result<ExitCode, Failure> {
    let path = find(arguments.config.as_deref())
        .ok_or_else(|| Failure::Usage("there is nothing to verify".to_owned()))?;
    let shown = path.display();
    let plan = config::load(&path).map(|loaded| loaded.plan).map_err(|report| {
        Failure::Usage(format!(
            "{shown} has {} errors: `pointsman check {shown}` tells them",
            report.errors()
        ))
    })?;
    let rule = rule(arguments)?;
    let name = server_name(arguments, &plan)?;
    let password = password::obtain(arguments)?;
    let account = login::Account { user: &arguments.user, password: &password };
    let trying = Cell::new("");
    let tried = async {
        let mut outcomes = Vec::new();
        let mut mailbox = None;
        for listener in plan.listeners.iter().filter(|listener| listener.protocol.carries_credentials()) {
            trying.set(&listener.name);
            let backend = towards(listener, &plan, &rule, &name)?;
            let (ended, leg) = match passed_over(listener) {
                Some(why) => (Ended::Skipped(why.to_owned()), None),
                None if listener.protocol == Protocol::Http => {
                    (jmap::session(&backend, &account).await, None)
                }
                None => login::text(&backend, listener.protocol, &account).await,
            };
            if listener.protocol == Protocol::Imap && mailbox.is_none() {
                mailbox = leg;
            }
            outcomes.push(outcome(listener, ended));
        }
        let doors = plan.listeners.iter().filter(|listener| listener.protocol == Protocol::Smtp);
        for listener in doors.filter(|_| !arguments.no_message) {
            trying.set(&listener.name);
            let ended = match (passed_over_plain(listener), mailbox.as_mut()) {
                (Some(why), _) => Ended::Skipped(why.to_owned()),
                (None, None) => {
                    Ended::Skipped("no login by IMAP has succeeded, which would look for it".to_owned())
                }
                (None, Some(leg)) => {
                    message::travels(&towards(listener, &plan, &rule, &name)?, &arguments.user, leg).await
                }
            };
            outcomes.push(outcome(listener, ended));
        }
        Ok(outcomes)
    };
    let outcomes = block_on(telling(|| format!("trying listener.{}", trying.get()), tried))?;
    show(&outcomes, arguments.json)?;
    let has = |state| outcomes.iter().any(|outcome| outcome.state == state);
    Ok(if has("ok") && !has("failed") { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(outcomes: &[Outcome], is_json: bool) -> Result<(), Failure> {
    if is_json {
        return json(&outcomes);
    }
    let mut table = Table::new(&["LISTENER", "PROTOCOL", "ADDRESS", "STATE", "DETAIL"]);
    for Outcome { listener, protocol, address, state, detail } in outcomes {
        table.row([
            listener.clone(),
            (*protocol).to_owned(),
            address.clone(),
            (*state).to_owned(),
            detail.clone(),
        ]);
    }
    table.print()
}

fn outcome(listener: &Listener, ended: Ended) -> Outcome {
    let (state, detail) = match ended {
        Ended::Ok(detail) => ("ok", detail),
        Ended::Failed(detail) => ("failed", detail),
        Ended::Skipped(detail) => ("skipped", detail),
    };
    let address = listener.bind.first().map(|&bound| reachable(bound).to_string()).unwrap_or_default();
    Outcome {
        listener: listener.name.to_string(),
        protocol: listener.protocol.name(),
        address,
        state,
        detail,
    }
}

fn passed_over(listener: &Listener) -> Option<&'static str> {
    match listener.tls {
        TlsMode::Plain => Some("it has no TLS, and no password is sent in the clear"),
        TlsMode::Implicit | TlsMode::StartTls => passed_over_plain(listener),
    }
}

fn passed_over_plain(listener: &Listener) -> Option<&'static str> {
    (listener.proxy_protocol == ProxyIn::Required)
        .then_some("it demands a PROXY header: try it through your balancer")
}

fn rule(arguments: &Verify) -> Result<Rule, Failure> {
    match &arguments.ca {
        _ if arguments.insecure => Ok(Rule::Nothing),
        Some(path) => tls::certificate::read_chain(path).map(Rule::Roots).map_err(Failure::Usage),
        None => Ok(Rule::Platform),
    }
}

/// The name that clients have in their settings, as far as the configuration knows it.
fn server_name(arguments: &Verify, plan: &Plan) -> Result<String, Failure> {
    let certificates = || {
        let by_default = plan.tls.certificates.iter().filter(|certificate| certificate.is_default);
        let mut names =
            by_default.chain(&plan.tls.certificates).flat_map(|certificate| &certificate.subjects);
        names.find(|name| !name.starts_with('*')).cloned()
    };
    let name = arguments.name.clone().or_else(|| plan.server.hostname.clone()).or_else(certificates);
    match name {
        Some(name) => Ok(name),
        None if arguments.insecure => Ok("localhost".to_owned()),
        None => Err(Failure::Usage(
            "there is neither server.hostname nor a certificate to take a name from: give --name, or --insecure for a \
             self-signed one"
                .to_owned(),
        )),
    }
}

/// The listener, as a client meets it.
fn towards(listener: &Listener, plan: &Plan, rule: &Rule, name: &str) -> Result<Backend, Failure> {
    let bound = listener.bind.first().copied().map(reachable);
    let bound =
        bound.ok_or_else(|| Failure::Usage(format!("listener.{} is bound nowhere", listener.name)))?;
    let mut destination = Destination::outside(listener.name.clone(), bound.ip().to_string(), rule.clone());
    destination.tls_server_name = Some(name.to_owned());
    destination.legs[listener.protocol.index()] =
        Some(Leg { port: bound.port(), tls: listener.tls, forwarding: Forwarding::None, http2: false });
    Backend::outside(destination, &PlatformRoots::default(), plan.server.backend_timeout + MARGIN)
        .map_err(|error| Failure::Usage(error.to_string()))
}
