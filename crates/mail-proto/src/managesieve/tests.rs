//! ManageSieve as conversations, byte for byte.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Dialogue, Replay};
use crate::inbox::Inbox;
use crate::step::Dialogue as _;
use crate::step::Replay as _;
use crate::step::{
    BackendEvent, Channel, ClientEvent, DialogueContext, Forward, Machine, Offer, ReplayContext, Step,
};
use crate::transcript::{password, play_dialogue, play_replay};
use crate::verdict::{CloseReason, Verdict};
use credentials::attempt::{ClientInfo, Mechanism};
use types::fault::Fault;

mod dialogue;
mod properties;
mod replay;

fn offer() -> Offer {
    use Mechanism::{Login, Plain, ScramSha256, XOAuth2};
    Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ready".to_owned(),
        sasl: vec![Plain, Login, XOAuth2, ScramSha256],
        capabilities: ["fileinto", "vacation"].map(str::to_owned).to_vec(),
        notify: Vec::new(),
        implementation: "Pointsman".to_owned(),
        cleartext_without_tls: false,
    }
}

fn opening(channel: Channel) -> DialogueContext {
    DialogueContext { offer: Arc::new(offer()), channel, peer_is_trusted: false }
}

const BLOCK: &str = r#"S: "IMPLEMENTATION" "Pointsman"
S: "SIEVE" "fileinto vacation"
S: "SASL" "PLAIN LOGIN XOAUTH2 SCRAM-SHA-256"
S: "VERSION" "1.0"
"#;

fn forward() -> Forward {
    Forward {
        client: "[2001:db8::7]:4711".parse().expect("address"),
        local: "198.51.100.1:4190".parse().expect("address"),
        session: "abcdefgh23456723".to_owned(),
        ttl: 6,
        encrypted: true,
    }
}

fn context(starttls: bool, forwards: bool) -> ReplayContext {
    ReplayContext {
        starttls,
        forward: forwards.then(forward),
        client_info: ClientInfo::default(),
        hostname: "proxy".to_owned(),
    }
}
