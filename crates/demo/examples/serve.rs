//! One demo server on its own, to try mail clients against it: `cargo run -p pointsman-demo --example serve`.

use std::io;

use demo::{Account, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "old".to_owned());
    let server = Server::start(&name, &Account::cast()).await?;
    let endpoints = server.endpoints();
    println!("server {} IMAP {} POP3 {}", server.name(), endpoints.imap, endpoints.pop3);
    tokio::signal::ctrl_c().await
}
