//! A message through port 25 that is found by IMAP: both ends of the way that mail takes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail_leg::Leg;
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use types::protocol::Protocol;
use upstream::Backend;

use super::Ended;
use super::login::{HOSTNAME, client_identity, reason};

/// How long a message may take from acceptance to the inbox.
const TRAVEL: Duration = Duration::from_secs(60);
/// Between two looks into the inbox.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of one answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends a message to `user` and waits until it is in the inbox that `leg` is logged in to.
pub(super) async fn travels(backend: &Backend, user: &str, leg: &mut Leg) -> Ended {
    // The address goes between angle brackets on a line of its own.
    if !user.contains('@') || user.bytes().any(|byte| byte.is_ascii_control() || b" <>".contains(&byte)) {
        return Ended::Skipped(
            "the account is no mail address, so that there is nowhere to send a message to".to_owned(),
        );
    }
    let deadline = Instant::now() + backend.timeout();
    let mut stream = match Box::pin(backend.connect(Protocol::Smtp, &client_identity(), deadline)).await {
        Ok(connected) => connected.stream,
        Err(fault) => return Ended::Failed(reason(backend, Protocol::Smtp, fault).await),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let id = format!("{now}.{}@pointsman.invalid", std::process::id());
    match timeout_at(deadline, submit(&mut stream, user, &id)).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Ended::Failed(why),
        Err(_) => {
            return Ended::Failed("the SMTP dialogue took too long: see the destination's log".to_owned());
        }
    }
    match timeout(TRAVEL, arrives(&mut leg.connection.stream, &id)).await {
        Ok(Ok(())) => {
            Ended::Ok("a message went in and was found by IMAP; it is left in the inbox".to_owned())
        }
        Ok(Err(why)) => {
            Ended::Failed(format!("the message was accepted, and the inbox could not be read: {why}"))
        }
        Err(_) => Ended::Failed(format!(
            "the message was accepted, and is not in the inbox after {} seconds: look for it in the mail queue of the \
             destination of port 25; it may deliver to another server than the one the account is on",
            TRAVEL.as_secs()
        )),
    }
}

async fn submit(stream: &mut Stream, user: &str, id: &str) -> Result<(), String> {
    expect(stream, "", "220", "greeting").await?;
    expect(stream, &format!("EHLO {HOSTNAME}\r\n"), "250", "EHLO").await?;
    expect(stream, "MAIL FROM:<>\r\n", "250", "MAIL").await?;
    expect(stream, &format!("RCPT TO:<{user}>\r\n"), "25", "RCPT").await?;
    expect(stream, "DATA\r\n", "354", "DATA").await?;
    let message = format!(
        "From: Pointsman <postmaster@localhost>\r\nTo: <{user}>\r\nMessage-ID: <{id}>\r\n\
         Subject: Test of the mail proxy\r\n\r\nSent by `pointsman verify`; it can be deleted.\r\n.\r\n"
    );
    expect(stream, &message, "250", "the message").await?;
    // It is accepted, whatever is said of the goodbye.
    let _ = stream.write_all(b"QUIT\r\n").await;
    Ok(())
}

/// Says something and reads the reply, which must begin with `code`.
async fn expect(stream: &mut Stream, say: &str, code: &str, what: &str) -> Result<(), String> {
    send(stream, say).await?;
    let is_last = |line: &str| line.as_bytes().get(3) != Some(&b'-');
    let reply = read(stream, is_last).await?;
    if reply.starts_with(code) {
        return Ok(());
    }
    Err(format!("{what} was answered with: {}", reply.trim_end()))
}

async fn arrives(stream: &mut Stream, id: &str) -> Result<(), String> {
    command(stream, "V1", "SELECT INBOX").await?;
    for number in 2_u32.. {
        let answer =
            command(stream, &format!("V{number}"), &format!("UID SEARCH HEADER Message-ID <{id}>")).await?;
        let is_found = |line: &str| line.strip_prefix("* SEARCH").is_some_and(|rest| !rest.trim().is_empty());
        if answer.lines().any(is_found) {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn command(stream: &mut Stream, tag: &str, command: &str) -> Result<String, String> {
    send(stream, &format!("{tag} {command}\r\n")).await?;
    let answer =
        read(stream, |line| line.strip_prefix(tag).is_some_and(|rest| rest.starts_with(' '))).await?;
    let is_done = |line: &str| line.strip_prefix(tag).is_some_and(|rest| rest.starts_with(" OK"));
    if answer.lines().any(is_done) {
        Ok(answer)
    } else {
        Err(answer.lines().last().unwrap_or_default().to_owned())
    }
}

async fn send(stream: &mut Stream, say: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the connection broke: {error}");
    stream.write_all(say.as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)
}

/// Reads lines up to the last one of an answer.
async fn read(stream: &mut Stream, is_last: impl Fn(&str) -> bool) -> Result<String, String> {
    let (mut answer, mut line) = (String::new(), Vec::new());
    loop {
        if answer.len() + line.len() > MAX_ANSWER {
            return Err(format!("an answer is longer than {MAX_ANSWER} bytes"));
        }
        line.push(stream.read_u8().await.map_err(|error| format!("the connection broke: {error}"))?);
        if line.ends_with(b"\n") {
            let text = String::from_utf8_lossy(&line).into_owned();
            answer.push_str(&text);
            if is_last(&text) {
                return Ok(answer);
            }
            line.clear();
        }
    }
}
