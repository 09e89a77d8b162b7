//! IMAP as conversations, byte for byte.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Dialogue, Replay};
use crate::inbox::Inbox;
use crate::step::{Channel, DialogueContext, Forward, Machine, Offer, ReplayContext, Step};
use crate::transcript::{play_dialogue, play_replay};
use credentials::attempt::{ClientInfo, Mechanism};

mod dialogue;
mod properties;
mod replay;

fn offer() -> Offer {
    use Mechanism::{Login, Plain, ScramSha256, XOAuth2};
    Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ready".to_owned(),
        sasl: vec![Plain, Login, XOAuth2, ScramSha256],
        capabilities: ["IMAP4rev1", "SASL-IR", "LITERAL+"].map(str::to_owned).to_vec(),
        notify: Vec::new(),
        implementation: String::new(),
        cleartext_without_tls: false,
    }
}

fn opening(channel: Channel) -> DialogueContext {
    DialogueContext { offer: Arc::new(offer()), channel, peer_is_trusted: false }
}
