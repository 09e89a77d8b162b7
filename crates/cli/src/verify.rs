//! `pointsman verify`: the tests that an operator would make by hand after a cutover, against the running proxy.
//!
//! What must never happen here: the password is printed, or is sent on a connection that is not encrypted, or not
//! verified (unless the operator asked for that with `--insecure`).

mod jmap;
mod login;
mod message;
mod password;
mod result;

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Duration;

use mail_leg::Leg as LoggedInLeg;
use plan::{Destination, Forwarding, Leg, Listener, Plan, ProxyIn, TlsMode, Verify};
use tls::PlatformRoots;
use types::protocol::Protocol;
use upstream::Backend;

use crate::api_client::{CommandError, block_on, connectable, load_plan};
use crate::arguments::VerifyOptions;
use crate::print::{Table, print_json};
use crate::progress::with_progress;
use crate::run::{find, not_found_text};
use login::Account;
use result::{ListenerResult, TestResult};

/// The tests of one run.
struct Verification<'a> {
    plan: &'a Plan,
    account: Account<'a>,
    /// How certificates are verified, and the name that they must be valid for.
    verify: Verify,
    server_name: String,
    /// The listener that is being tested, for the progress line.
    current: Cell<&'a str>,
}

/// Added to `backend_timeout` for the proxy's own part, which includes the delay after a failed login.
const EXTRA_TIME: Duration = Duration::from_secs(20);

/// Tests every listener of the configuration.
pub(crate) fn verify(options: &VerifyOptions) -> Result<ExitCode, CommandError> {
    let Some(path) = find(options.config.as_deref()) else {
        return Err(CommandError::Usage(not_found_text()));
    };
    let plan = load_plan(&path)?;
    let verify = certificate_rule(options)?;
    let server_name = server_name(options, &plan)?;
    let password = password::obtain(options)?;
    let verification = Verification {
        plan: &plan,
        account: Account { user: &options.user, password: &password },
        verify,
        server_name,
        current: Cell::new(""),
    };
    let progress = || format!("testing listener.{}", verification.current.get());
    let results = block_on(with_progress(progress, verification.run(!options.no_message)))?;
    print_results(&results, options.json)?;
    let has_passed = results.iter().any(|result| result.state == "ok");
    let has_failed = results.iter().any(|result| result.state == "failed");
    Ok(if has_passed && !has_failed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

// === impl Verification ===

impl<'a> Verification<'a> {
    /// Logs in at every listener, then sends a message through each SMTP listener.
    async fn run(&self, sends_message: bool) -> Result<Vec<ListenerResult>, CommandError> {
        let mut results = Vec::new();
        let mut mailbox = None;
        for listener in self.listeners().filter(|listener| listener.protocol.carries_credentials()) {
            let (result, leg) = self.test_login(listener).await?;
            if listener.protocol == Protocol::Imap && mailbox.is_none() {
                mailbox = leg;
            }
            results.push(ListenerResult::new(listener, result));
        }
        if sends_message {
            for listener in self.listeners().filter(|listener| listener.protocol == Protocol::Smtp) {
                let result = self.test_message(listener, mailbox.as_mut()).await?;
                results.push(ListenerResult::new(listener, result));
            }
        }
        Ok(results)
    }

    fn listeners(&self) -> impl Iterator<Item = &'a Listener> {
        self.plan.listeners.iter().map(AsRef::as_ref)
    }

    async fn test_login(
        &self,
        listener: &'a Listener,
    ) -> Result<(TestResult, Option<LoggedInLeg>), CommandError> {
        self.current.set(&listener.name);
        if let Some(reason) = login_skip_reason(listener) {
            return Ok((TestResult::Skipped(reason.to_owned()), None));
        }
        let backend = self.backend(listener)?;
        if listener.protocol == Protocol::Http {
            return Ok((jmap::test_session(&backend, &self.account).await, None));
        }
        Ok(login::test_login(&backend, listener.protocol, &self.account).await)
    }

    async fn test_message(
        &self,
        listener: &'a Listener,
        mailbox: Option<&mut LoggedInLeg>,
    ) -> Result<TestResult, CommandError> {
        self.current.set(&listener.name);
        if let Some(reason) = skip_reason(listener) {
            return Ok(TestResult::Skipped(reason.to_owned()));
        }
        let Some(mailbox) = mailbox else {
            let reason = "no IMAP login succeeded, so the message could not be looked for";
            return Ok(TestResult::Skipped(reason.to_owned()));
        };
        Ok(message::test_delivery(&self.backend(listener)?, self.account.user, mailbox).await)
    }

    /// Returns the listener as a backend to connect to, the way a mail client does.
    fn backend(&self, listener: &Listener) -> Result<Backend, CommandError> {
        let Some(&bound) = listener.bind.first() else {
            return Err(CommandError::Usage(format!("listener.{} has no address in `bind`", listener.name)));
        };
        let address = connectable(bound);
        let mut destination =
            Destination::outside(listener.name.clone(), address.ip().to_string(), self.verify.clone());
        destination.tls_server_name = Some(self.server_name.clone());
        destination.legs[listener.protocol.index()] =
            Some(Leg { port: address.port(), tls: listener.tls, forwarding: Forwarding::None, http2: false });
        let time_limit = self.plan.server.backend_timeout + EXTRA_TIME;
        Backend::outside(destination, &PlatformRoots::default(), time_limit)
            .map_err(|error| CommandError::Usage(error.to_string()))
    }
}

fn print_results(results: &[ListenerResult], is_json: bool) -> Result<(), CommandError> {
    if is_json {
        return print_json(&results);
    }
    let mut table = Table::new(&["LISTENER", "PROTOCOL", "ADDRESS", "STATE", "DETAIL"]);
    for ListenerResult { listener, protocol, address, state, detail } in results {
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

/// Returns why no login is tried at `listener`.
fn login_skip_reason(listener: &Listener) -> Option<&'static str> {
    match listener.tls {
        TlsMode::Plain => Some("the listener has no TLS, and passwords are not sent in the clear"),
        TlsMode::Implicit | TlsMode::StartTls => skip_reason(listener),
    }
}

/// Returns why `listener` cannot be tested at all.
fn skip_reason(listener: &Listener) -> Option<&'static str> {
    match listener.proxy_protocol {
        ProxyIn::Required => Some("the listener requires a PROXY header: test it through the load balancer"),
        _ => None,
    }
}

fn certificate_rule(options: &VerifyOptions) -> Result<Verify, CommandError> {
    match &options.ca {
        _ if options.insecure => Ok(Verify::Nothing),
        Some(path) => tls::certificate::read_chain(path).map(Verify::Roots).map_err(CommandError::Usage),
        None => Ok(Verify::Platform),
    }
}

/// Returns the name that mail clients are configured with, as far as the configuration knows it.
fn server_name(options: &VerifyOptions, plan: &Plan) -> Result<String, CommandError> {
    if let Some(name) = options.name.clone().or_else(|| plan.server.hostname.clone()) {
        return Ok(name);
    }
    let defaults = plan.tls.certificates.iter().filter(|certificate| certificate.is_default);
    let mut names = defaults.chain(&plan.tls.certificates).flat_map(|certificate| &certificate.subjects);
    match names.find(|name| !name.starts_with('*')) {
        Some(name) => Ok(name.clone()),
        None if options.insecure => Ok("localhost".to_owned()),
        None => Err(CommandError::Usage(
            "no name to verify certificates against: the configuration has neither server.hostname nor a certificate with \
             a name. Pass --name NAME, or --insecure for a self-signed certificate"
                .to_owned(),
        )),
    }
}
