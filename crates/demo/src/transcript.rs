//! Follows the transcripts in `transcripts/`: `C:` lines are sent, `S:` lines must come (`S: ...a OK` stands
//! for lines up to one that begins with `a OK`), and `@2` continues with the second connection, which is
//! opened when it is first named.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::timeout;

use crate::store::Store;
use crate::{imap, pop3};

fn store(server: &str) -> Arc<Store> {
    Arc::new(Store::new(server, DateTime::parse_from_rfc3339("2024-05-06T07:08:09Z").unwrap()))
}

/// Follows a transcript. Every connection then hangs up, and nothing may have been sent that was not expected.
async fn follow<F>(transcript: &str, server: &str, serve: impl Fn(DuplexStream, Arc<Store>) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let store = store(server);
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
            let read = timeout(Duration::from_secs(100), peers[current].read_line(&mut line)).await;
            assert!(read.is_ok_and(|read| read.unwrap() > 0), "nothing came instead of {step:?}");
            let line = line.trim_end_matches(['\r', '\n']);
            let Some(start) = text.strip_prefix("...") else {
                assert_eq!(line, text);
                break;
            };
            if line.starts_with(start) {
                break;
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
    follow(include_str!("../transcripts/imap-before-login.txt"), "old", imap::serve).await;
    follow(include_str!("../transcripts/imap-mailboxes.txt"), "old", imap::serve).await;
    follow(include_str!("../transcripts/imap-messages.txt"), "old", imap::serve).await;
    follow(include_str!("../transcripts/imap-append.txt"), "old", imap::serve).await;
    follow(include_str!("../transcripts/imap-two-clients.txt"), "old", imap::serve).await;
    follow(include_str!("../transcripts/pop3.txt"), "new", pop3::serve).await;
}

#[tokio::test(start_paused = true)]
async fn silent_clients_are_disconnected() {
    // Paused time runs ahead as soon as nothing else is to be done.
    follow("@1\nS: ...\nS: * BYE the client was silent for too long", "old", imap::serve).await;
}

proptest! {
    #[test]
    fn no_client_makes_a_server_panic(words in proptest::collection::vec(proptest::sample::select(vec![
        "a ", "UID ", "FETCH ", "1:* ", "2 ", "(FLAGS BODY[1.HEADER] ENVELOPE BODYSTRUCTURE)", "BODY[]<0.9>", "SEARCH ",
        "NOT ", "(SEEN TEXT x)", "STORE ", "+FLAGS ", "(\\Deleted)", "EXPUNGE", "IDLE", "DONE", "APPEND INBOX ", "COPY ",
        "MOVE ", "Trash", "SELECT ", "INBOX", "{3+}\r\n", "{20+}\r\n", "From: <@a,\"b:;(", "Content-Type: multipart/x;", "LIST ",
        "boundary=b\r\n", "--b\r\n", "*%", "RENAME ", "CREATE ", "\"", "{", "(", ")", "\0\u{e4}", "\r\n", "\r\n", "\n", "STAT",
        "RETR ", "TOP ", "DELE ", "LIST ", "UIDL", "RSET", "1", "QUIT", "LOGOUT",
    ]), 0..80)) {
        let text = words.concat();
        let imap = format!("x LOGIN bob@example.org bob-demo\r\nx SELECT INBOX\r\n{text}");
        let pop3 = format!("USER bob@example.org\r\nPASS bob-demo\r\n{text}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Reads end after the text, and writes go nowhere; only a panic is an error.
            let _ = imap::serve(tokio::io::join(imap.as_bytes(), tokio::io::sink()), store("old")).await;
            let _ = pop3::serve(tokio::io::join(pop3.as_bytes(), tokio::io::sink()), store("new")).await;
        });
    }
}
