//! Sends a message through an SMTP listener and waits until IMAP finds it: the whole way of incoming mail.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail_leg::Leg;
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use types::protocol::Protocol;
use upstream::Backend;

use super::login::{HOSTNAME, client_identity, explain};
use super::result::TestResult;

/// How long a message may take from acceptance to the inbox.
const DELIVERY_TIME: Duration = Duration::from_secs(60);
/// Pause between two searches of the inbox.
const SEARCH_INTERVAL: Duration = Duration::from_millis(500);
/// Bytes of one reply.
const MAX_REPLY: usize = 64 * 1024;

/// Sends a message to `user` and searches for it in the inbox that `mailbox` is logged in to.
pub(super) async fn test_delivery(backend: &Backend, user: &str, mailbox: &mut Leg) -> TestResult {
    if !is_address(user) {
        let reason = "the account name is not a mail address, so there is nowhere to send a message";
        return TestResult::Skipped(reason.to_owned());
    }
    let deadline = Instant::now() + backend.timeout();
    // Boxed for clippy::large_futures: it contains a TLS handshake.
    let mut stream = match Box::pin(backend.connect(Protocol::Smtp, &client_identity(), deadline)).await {
        Ok(connected) => connected.stream,
        Err(fault) => return TestResult::Failed(explain(backend, Protocol::Smtp, fault).await),
    };
    let message_id = unique_message_id();
    match timeout_at(deadline, send_message(&mut stream, user, &message_id)).await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return TestResult::Failed(reason),
        Err(_) => {
            let reason = "the SMTP dialogue took too long: check the log of the destination";
            return TestResult::Failed(reason.to_owned());
        }
    }
    match timeout(DELIVERY_TIME, wait_for_message(&mut mailbox.connection.stream, &message_id)).await {
        Ok(Ok(())) => {
            TestResult::Passed("a message was delivered and found by IMAP; it stays in the inbox".to_owned())
        }
        Ok(Err(reason)) => {
            TestResult::Failed(format!("the message was accepted, but the inbox cannot be read: {reason}"))
        }
        Err(_) => TestResult::Failed(format!(
            "the message was accepted, but is not in the inbox after {} seconds: check the mail queue of the destination that \
             receives SMTP; it may deliver to another server than the account's",
            DELIVERY_TIME.as_secs()
        )),
    }
}

/// Returns whether `user` can stand in angle brackets on a command line of SMTP.
fn is_address(user: &str) -> bool {
    user.contains('@') && !user.bytes().any(|byte| byte.is_ascii_control() || b" <>".contains(&byte))
}

fn unique_message_id() -> String {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    format!("{nanoseconds}.{}@pointsman.invalid", std::process::id())
}

async fn send_message(stream: &mut Stream, user: &str, message_id: &str) -> Result<(), String> {
    expect(stream, "220", "the greeting").await?;
    smtp_command(stream, &format!("EHLO {HOSTNAME}\r\n"), "250", "EHLO").await?;
    smtp_command(stream, "MAIL FROM:<>\r\n", "250", "MAIL").await?;
    smtp_command(stream, &format!("RCPT TO:<{user}>\r\n"), "25", "RCPT").await?;
    smtp_command(stream, "DATA\r\n", "354", "DATA").await?;
    let message = format!(
        "From: Pointsman <postmaster@localhost>\r\nTo: <{user}>\r\nMessage-ID: <{message_id}>\r\n\
         Subject: Test of the mail proxy\r\n\r\nSent by `pointsman verify`. You can delete this message.\r\n.\r\n"
    );
    smtp_command(stream, &message, "250", "the message").await?;
    // The message has been accepted: a failed QUIT changes nothing.
    let _ = stream.write_all(b"QUIT\r\n").await;
    Ok(())
}

/// Sends `text` and expects a reply that begins with `code`.
async fn smtp_command(stream: &mut Stream, text: &str, code: &str, step: &str) -> Result<(), String> {
    send(stream, text).await?;
    expect(stream, code, step).await
}

/// Reads a reply, and returns an error unless it begins with `code`.
async fn expect(stream: &mut Stream, code: &str, step: &str) -> Result<(), String> {
    // RFC 5321 section 4.2.1: every line but the last has a hyphen after the code.
    let reply = read_reply(stream, |line| line.as_bytes().get(3) != Some(&b'-')).await?;
    if reply.starts_with(code) {
        return Ok(());
    }
    Err(format!("{step}: expected {code}, found: {}", reply.trim_end()))
}

async fn wait_for_message(stream: &mut Stream, message_id: &str) -> Result<(), String> {
    imap_command(stream, "V1", "SELECT INBOX").await?;
    let search = format!("UID SEARCH HEADER Message-ID <{message_id}>");
    for number in 2_u32.. {
        let reply = imap_command(stream, &format!("V{number}"), &search).await?;
        let mut results = reply.lines().filter_map(|line| line.strip_prefix("* SEARCH"));
        if results.any(|uids| !uids.trim().is_empty()) {
            return Ok(());
        }
        sleep(SEARCH_INTERVAL).await;
    }
    Ok(())
}

/// Sends an IMAP command, and returns the whole reply if it is `OK`.
async fn imap_command(stream: &mut Stream, tag: &str, command: &str) -> Result<String, String> {
    send(stream, &format!("{tag} {command}\r\n")).await?;
    let tagged = format!("{tag} ");
    let reply = read_reply(stream, |line| line.starts_with(&tagged)).await?;
    let last = reply.lines().last().unwrap_or_default();
    if last.starts_with(&format!("{tagged}OK")) { Ok(reply) } else { Err(last.to_owned()) }
}

async fn send(stream: &mut Stream, text: &str) -> Result<(), String> {
    stream.write_all(text.as_bytes()).await.map_err(|error| connection_failed(&error))?;
    stream.flush().await.map_err(|error| connection_failed(&error))
}

/// Reads lines up to the one for which `is_last` is true.
async fn read_reply(stream: &mut Stream, is_last: impl Fn(&str) -> bool) -> Result<String, String> {
    let mut reply = String::new();
    let mut line = Vec::new();
    loop {
        if reply.len() + line.len() > MAX_REPLY {
            return Err(format!("a reply is longer than {MAX_REPLY} bytes"));
        }
        line.push(stream.read_u8().await.map_err(|error| connection_failed(&error))?);
        if line.ends_with(b"\n") {
            let text = String::from_utf8_lossy(&line).into_owned();
            reply.push_str(&text);
            if is_last(&text) {
                return Ok(reply);
            }
            line.clear();
        }
    }
}

fn connection_failed(error: &std::io::Error) -> String {
    format!("the connection failed: {error}")
}
