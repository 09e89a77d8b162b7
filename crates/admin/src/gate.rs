//! The token.
//!
//! Only its SHA-256 is kept, and hashes are compared in constant time: neither the answer's time nor a core dump
//! tells anything of it. A locked address is turned away before anything is compared.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use types::secret::Secret;

use crate::strikes::{Rule, Strikes};

/// Knows the token's hash, and who has shown wrong ones.
#[derive(Debug)]
pub(crate) struct Gate {
    token: [u8; 32],
    strikes: Strikes,
}

/// What the gate says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The token is right.
    Welcome,
    /// There is none. That is a mistake, not a guess, so it is not counted.
    NoToken,
    /// It is wrong.
    WrongToken,
    /// The address is locked for that much longer, whatever it shows.
    Locked(Duration),
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new(token: &Secret) -> Self {
        Self { token: sha256(token.expose()), strikes: Strikes::default() }
    }

    /// Judges a request from `address` by its `Authorization` header.
    pub(crate) fn judge(
        &self,
        address: IpAddr,
        authorization: Option<&[u8]>,
        rule: Rule,
        now: Instant,
    ) -> Verdict {
        if let Some(left) = self.strikes.locked(address, now) {
            return Verdict::Locked(left);
        }
        let Some(token) = authorization.and_then(bearer) else {
            return Verdict::NoToken;
        };
        if bool::from(sha256(token).ct_eq(&self.token)) {
            self.strikes.succeeded(address);
            return Verdict::Welcome;
        }
        if self.strikes.failed(address, rule, now) {
            tracing::warn!(%address, seconds = rule.duration.as_secs(), "management API: address locked after wrong tokens");
        } else {
            tracing::warn!(%address, "management API: wrong token");
        }
        Verdict::WrongToken
    }
}

/// The token in `Bearer TOKEN` (RFC 6750 section 2.1; schemes are compared without case, RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { threshold: 2, duration: Duration::from_secs(60) };
    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn gate() -> Gate {
        Gate::new(&Secret::copy_of(b"correct-horse"))
    }

    #[test]
    fn only_the_token_opens() {
        for (header, verdict) in [
            (None, Verdict::NoToken),
            (Some(&b""[..]), Verdict::NoToken),
            (Some(b"Bearer"), Verdict::NoToken),
            (Some(b"Bearer "), Verdict::NoToken),
            (Some(b"Basic Y29ycmVjdC1ob3JzZQ=="), Verdict::NoToken),
            (Some(b"correct-horse"), Verdict::NoToken),
            (Some(b"Bearer correct-hors"), Verdict::WrongToken),
            (Some(b"Bearer correct-horsee"), Verdict::WrongToken),
            (Some(b"Bearer Correct-Horse"), Verdict::WrongToken),
            (Some(b"Bearer correct-horse, Bearer x"), Verdict::WrongToken),
            (Some(b"Bearer correct-horse"), Verdict::Welcome),
            (Some(b"bEARER   correct-horse "), Verdict::Welcome),
        ] {
            assert_eq!(gate().judge(ADDRESS, header, RULE, Instant::now()), verdict, "{header:?}");
        }
    }

    #[test]
    fn a_locked_address_may_show_what_it_likes() {
        let gate = gate();
        let now = Instant::now();
        let judge = |header| gate.judge(ADDRESS, Some(header), RULE, now);
        assert_eq!(judge(b"Bearer wrong"), Verdict::WrongToken);
        assert_eq!(judge(b"Bearer correct-horse"), Verdict::Welcome);
        assert_eq!(judge(b"Bearer wrong"), Verdict::WrongToken);
        assert_eq!(judge(b"Bearer wrong"), Verdict::WrongToken);
        assert_eq!(judge(b"Bearer correct-horse"), Verdict::Locked(RULE.duration));
        assert_eq!(judge(b""), Verdict::Locked(RULE.duration));
        let later = now + RULE.duration;
        assert_eq!(gate.judge(ADDRESS, Some(b"Bearer correct-horse"), RULE, later), Verdict::Welcome);
    }

    #[test]
    fn the_token_is_not_kept() {
        assert!(!format!("{:?}", gate()).contains("horse"));
    }
}
