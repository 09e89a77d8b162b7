//! The UIDLs of one mailbox (RFC 1939 section 7).
//!
//! A POP3 client downloads every message again whose UIDL it does not know.

use std::collections::HashSet;

use mail_leg::Leg;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use crate::error::Cause;
use crate::messages::{Hashes, MAX_MESSAGES};
use crate::side::SILENCE;

/// Bytes of a line (RFC 2449 section 4: 512).
const MAX_LINE: usize = 1_024;

/// Reads the UIDLs, as hashes.
pub(crate) async fn uidls(mut leg: Leg, hashes: &Hashes, deadline: Instant) -> Result<HashSet<u64>, Cause> {
    let written = leg.connection.write(b"UIDL\r\n").await;
    written.map_err(|error| Cause::Closed(error.to_string()))?;
    let first = line(&mut leg, deadline).await?;
    if !first.starts_with(b"+OK") {
        let reply = String::from_utf8_lossy(&first).into_owned();
        return Err(Cause::Refused { command: "UIDL", reply });
    }
    let mut uidls = HashSet::new();
    loop {
        let line = line(&mut leg, deadline).await?;
        if line == b"." {
            break;
        }
        if uidls.len() >= MAX_MESSAGES {
            return Err(Cause::TooMany { what: "messages over POP3", limit: MAX_MESSAGES });
        }
        let mut words = line.splitn(2, |&byte| byte == b' ');
        let Some(uidl) = words.nth(1) else {
            return Err(Cause::Unreadable(String::from_utf8_lossy(&line).into_owned()));
        };
        uidls.insert(hashes.uidl(uidl));
    }
    // The session has changed nothing, so its end does not matter.
    let _ = leg.connection.write(b"QUIT\r\n").await;
    Ok(uidls)
}

/// Reads a line without its line end.
async fn line(leg: &mut Leg, deadline: Instant) -> Result<Vec<u8>, Cause> {
    let inbox = &mut leg.connection.inbox;
    loop {
        let unread = inbox.unread();
        if let Some(end) = unread.iter().take(MAX_LINE).position(|&byte| byte == b'\n') {
            let line = &unread[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
            inbox.consume(end + 1);
            return Ok(line);
        }
        if unread.len() >= MAX_LINE {
            return Err(Cause::ResponseTooLong(MAX_LINE));
        }
        let limit = deadline.min(Instant::now() + SILENCE);
        match timeout_at(limit, leg.connection.stream.read(inbox.spare())).await {
            Ok(Ok(0)) => return Err(Cause::Closed("in the middle of UIDL".to_owned())),
            Ok(Ok(n)) => inbox.filled(n),
            Ok(Err(error)) => return Err(Cause::Closed(error.to_string())),
            Err(_) => return Err(Cause::TimedOut),
        }
    }
}
