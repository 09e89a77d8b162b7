//! Follows the transcripts in `transcripts/`: `C:` lines are sent, `S:` lines must come (`S: ...a OK` stands
//! for lines up to one that begins with `a OK`), and `@2` goes on with the second connection, which is opened
//! when it is first named.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::timeout;

use crate::store::Store;
use crate::{imap, pop3};

/// Follows a transcript. Every connection then hangs up, and nothing may have been sent that was not expected.
async fn follow<F>(transcript: &str, serve: impl Fn(DuplexStream, Arc<Store>) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let now = DateTime::parse_from_rfc3339("2024-05-06T07:08:09Z").unwrap();
    let store = Arc::new(Store::new("old", now));
    let mut peers: Vec<BufReader<DuplexStream>> = Vec::new();
    let mut current = 0;
    for step in transcript.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(number) = step.strip_prefix('@') {
            current = number.parse::<usize>().unwrap() - 1;
            if current == peers.len() {
                let (near, far) = duplex(100);
                tokio::spawn(serve(far, Arc::clone(&store)));
                peers.push(BufReader::new(near));
            }
            continue;
        }
        let (side, text) = step.split_at(2);
        let text = text.strip_prefix(' ').unwrap_or(text);
        if side == "C:" {
            peers[current].write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
            continue;
        }
        loop {
            let mut line = String::new();
            let read = timeout(Duration::from_secs(20), peers[current].read_line(&mut line)).await;
            assert!(read.is_ok_and(|read| read.unwrap() > 0), "nothing came instead of {step:?}");
            let line = line.trim_end_matches(['\r', '\n']);
            match text.strip_prefix("...") {
                Some(start) if line.starts_with(start) => break,
                Some(_) => {}
                None => {
                    assert_eq!(line, text);
                    break;
                }
            }
        }
    }
    for mut peer in peers {
        peer.shutdown().await.unwrap();
        let mut rest = String::new();
        peer.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
    }
}

#[tokio::test]
async fn transcripts() {
    follow(include_str!("../transcripts/imap-before-login.txt"), imap::serve).await;
    follow(include_str!("../transcripts/imap-mailboxes.txt"), imap::serve).await;
    follow(include_str!("../transcripts/imap-messages.txt"), imap::serve).await;
    follow(include_str!("../transcripts/imap-append.txt"), imap::serve).await;
    follow(include_str!("../transcripts/imap-two-clients.txt"), imap::serve).await;
    follow(include_str!("../transcripts/pop3.txt"), pop3::serve).await;
}
