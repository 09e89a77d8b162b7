//! Submission as conversations, byte for byte.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Dialogue, Replay};
use crate::inbox::Inbox;
use crate::step::Dialogue as _;
use crate::step::{
    BackendEvent, Channel, ClientEvent, DialogueContext, Forward, Machine, Offer, ReplayContext, Step,
};
use crate::transcript::{play_dialogue, play_replay};
use crate::verdict::{CloseReason, Verdict};
use credentials::attempt::{Attempt, ClientInfo, Mechanism};
use types::fault::Fault;

mod dialogue;
mod properties;
mod replay;

fn offer() -> Offer {
    use Mechanism::{Login, Plain, ScramSha256, XOAuth2};
    Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ESMTP ready".to_owned(),
        sasl: vec![Plain, Login, XOAuth2, ScramSha256],
        capabilities: ["PIPELINING", "SIZE 1000", "starttls", "AUTH PLAIN", "AUTH=PLAIN", "XCLIENT"]
            .map(str::to_owned)
            .to_vec(),
        notify: Vec::new(),
        implementation: String::new(),
        cleartext_without_tls: false,
    }
}

fn opening(channel: Channel) -> DialogueContext {
    DialogueContext { offer: Arc::new(offer()), channel, peer_is_trusted: false }
}

fn trusting() -> DialogueContext {
    DialogueContext { peer_is_trusted: true, ..opening(Channel::Encrypted) }
}

fn context(starttls: bool, forwards: bool, helo: &[u8]) -> ReplayContext {
    let forward = forwards.then(|| Forward {
        client: "[2001:db8::7]:4711".parse().expect("address"),
        local: "198.51.100.1:587".parse().expect("address"),
        session: "abcdefgh23456723".to_owned(),
        ttl: 6,
        encrypted: true,
    });
    let client_info = ClientInfo { helo: Some(helo.to_vec()), extended: true, ..ClientInfo::default() };
    ReplayContext { starttls, forward, client_info, hostname: "proxy".to_owned() }
}
