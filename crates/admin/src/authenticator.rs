//! Checks the token of a request.
//!
//! Only the token's SHA-256 is kept, and hashes are compared in constant time: neither the response time nor a core dump
//! reveals the token. A request from a locked address is refused without a comparison.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use types::secret::Secret;

use crate::lockout::{Lockout, LockoutRule};

/// The token's hash, and the networks that have sent wrong tokens.
#[derive(Debug)]
pub(crate) struct Authenticator {
    token: [u8; 32],
    lockout: Lockout,
}

/// The result of checking a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// The token is right.
    Accepted,
    /// There is no token. That is not a guess, so it is not counted.
    NoToken,
    /// It is wrong.
    WrongToken,
    /// The address is locked for this much longer, with the right token too.
    Locked(Duration),
}

// === impl Authenticator ===

impl Authenticator {
    pub(crate) fn new(token: &Secret) -> Self {
        Self { token: sha256(token.expose()), lockout: Lockout::default() }
    }

    /// Checks the `Authorization` header of a request from `address`.
    pub(crate) fn authenticate(
        &self,
        address: IpAddr,
        authorization: Option<&[u8]>,
        rule: LockoutRule,
        now: Instant,
    ) -> Authentication {
        if let Some(left) = self.lockout.locked(address, now) {
            return Authentication::Locked(left);
        }
        let Some(token) = authorization.and_then(bearer) else {
            return Authentication::NoToken;
        };
        if bool::from(sha256(token).ct_eq(&self.token)) {
            self.lockout.succeeded(address);
            return Authentication::Accepted;
        }
        if self.lockout.failed(address, rule, now) {
            tracing::warn!(%address, seconds = rule.duration.as_secs(), "management API: address locked after wrong tokens");
        } else {
            tracing::warn!(%address, "management API: wrong token");
        }
        Authentication::WrongToken
    }
}

/// Returns the token in `Bearer TOKEN` (RFC 6750 section 2.1; schemes are compared without case, RFC 9110 section 11.1).
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

    const RULE: LockoutRule = LockoutRule { threshold: 2, duration: Duration::from_secs(60) };
    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn authenticator() -> Authenticator {
        Authenticator::new(&Secret::copy_of(b"correct-horse"))
    }

    #[test]
    fn only_the_token_is_accepted() {
        for (header, expected) in [
            (None, Authentication::NoToken),
            (Some(&b""[..]), Authentication::NoToken),
            (Some(b"Bearer"), Authentication::NoToken),
            (Some(b"Bearer "), Authentication::NoToken),
            (Some(b"Basic Y29ycmVjdC1ob3JzZQ=="), Authentication::NoToken),
            (Some(b"correct-horse"), Authentication::NoToken),
            (Some(b"Bearer correct-hors"), Authentication::WrongToken),
            (Some(b"Bearer correct-horsee"), Authentication::WrongToken),
            (Some(b"Bearer Correct-Horse"), Authentication::WrongToken),
            (Some(b"Bearer correct-horse, Bearer x"), Authentication::WrongToken),
            (Some(b"Bearer correct-horse"), Authentication::Accepted),
            (Some(b"bEARER   correct-horse "), Authentication::Accepted),
        ] {
            assert_eq!(
                authenticator().authenticate(ADDRESS, header, RULE, Instant::now()),
                expected,
                "{header:?}"
            );
        }
    }

    #[test]
    fn a_locked_address_is_refused_with_the_right_token_too() {
        let authenticator = authenticator();
        let now = Instant::now();
        let authenticate = |header| authenticator.authenticate(ADDRESS, Some(header), RULE, now);
        assert_eq!(authenticate(b"Bearer wrong"), Authentication::WrongToken);
        assert_eq!(authenticate(b"Bearer correct-horse"), Authentication::Accepted);
        assert_eq!(authenticate(b"Bearer wrong"), Authentication::WrongToken);
        assert_eq!(authenticate(b"Bearer wrong"), Authentication::WrongToken);
        assert_eq!(authenticate(b"Bearer correct-horse"), Authentication::Locked(RULE.duration));
        assert_eq!(authenticate(b""), Authentication::Locked(RULE.duration));
        let later = now + RULE.duration;
        assert_eq!(
            authenticator.authenticate(ADDRESS, Some(b"Bearer correct-horse"), RULE, later),
            Authentication::Accepted
        );
    }

    #[test]
    fn the_token_is_not_kept() {
        assert!(!format!("{:?}", authenticator()).contains("horse"));
    }
}
