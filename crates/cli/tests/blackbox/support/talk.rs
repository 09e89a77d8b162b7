//! The proxy's peers: a client that reads lines, and a backend that plays a script.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// A client.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

// === impl Client ===

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("time-out");
        Self { stream: BufReader::new(stream) }
    }

    /// Plays a transcript: `C: ` lines are sent, `C| ` raw; `S: ` lines are expected, up to a `…` that stands
    /// for the rest; `S~ ` lines stand for all lines up to one that begins so; `END` expects the connection to end.
    pub(crate) fn plays(&mut self, script: &str) {
        for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            if let Some(words) = line.strip_prefix("C: ") {
                self.send(format!("{words}\r\n").as_bytes());
            } else if let Some(raw) = line.strip_prefix("C| ") {
                self.send(&unescape(raw));
            } else if let Some(start) = line.strip_prefix("S~ ") {
                while !self.line().starts_with(start) {}
            } else if line == "END" {
                let mut rest = Vec::new();
                let _ = self.stream.read_to_end(&mut rest);
                assert_eq!(String::from_utf8_lossy(&rest), "", "the connection ends");
            } else {
                let expected = line.strip_prefix("S: ").expect("C: or S:");
                let said = self.line();
                match expected.strip_suffix('…') {
                    Some(start) => assert!(said.starts_with(start), "expected {expected:?}, got {said:?}"),
                    None => assert_eq!(said, expected),
                }
            }
        }
    }

    /// Returns its own port, as the proxy sees it.
    pub(crate) fn port(&self) -> u16 {
        self.stream.get_ref().local_addr().expect("address").port()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("write");
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line).expect("a line");
        assert_ne!(length, 0, "the connection ended where a line was expected");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }
}

/// Plays a backend's side of a connection; `client_info` gets what was received.
pub(crate) fn play(stream: TcpStream, script: &str, client_info: &dyn Fn(String)) {
    let mut writer = stream.try_clone().expect("clone");
    let mut reader = BufReader::new(stream);
    for line in script.lines() {
        if let Some(words) = line.strip_prefix("S: ") {
            let _ = writer.write_all(words.as_bytes());
            let _ = writer.write_all(b"\r\n");
        } else if let Some(raw) = line.strip_prefix("S| ") {
            let _ = writer.write_all(&unescape(raw));
        } else if line.starts_with("C: ") {
            let mut heard = String::new();
            let _ = reader.read_line(&mut heard);
            client_info(heard.trim_end().to_owned());
        } else if line == "ECHO" {
            // Each line is reported and echoed, with its tag.
            let mut heard = String::new();
            while reader.read_line(&mut heard).is_ok_and(|n| n > 0) {
                client_info(heard.trim_end().to_owned());
                let _ = writer.write_all(format!("* {heard}").as_bytes());
                heard.clear();
            }
        } else if line == "WAIT" {
            // Until the other side closes the connection.
            let _ = reader.read_to_end(&mut Vec::new());
            client_info("gone".to_owned());
        }
    }
}

/// `\r`, `\n`, `\0`, `\\` and `\xNN` in a raw line of a script.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().expect("an escape has a letter") {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b'0' => bytes.push(0),
            b'\\' => bytes.push(b'\\'),
            b'x' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
            }
            other => panic!("no such escape: {}", char::from(other)),
        }
    }
    bytes
}
