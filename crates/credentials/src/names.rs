//! The account name in a credential, by which a login is routed.
//!
//! Nothing is verified or changed: the backend receives the credential byte for byte. What must never happen: the proxy
//! reads one name and the backend another. A message with two readings (a third NUL, a repeated key, an invalid escape) is
//! refused.

use crate::attempt::Credential;
use crate::mechanism::Family;
use crate::sasl;
use types::bad_credential::BadCredential;
use types::secret::Secret;

/// The account that a credential claims.
#[derive(Debug)]
pub enum ClaimedAccount {
    /// The login name with escapes decoded; not validated yet, and with its master-user suffix.
    Name(Vec<u8>),
    /// A token, which may hold a name; never empty.
    Token(Secret),
}

/// The separator between the pairs of OAUTHBEARER and XOAUTH2 (RFC 7628 section 3.1).
const KVSEP: u8 = 1;

/// Returns the name in `credential`, or its token where it has no name.
///
/// A separate authorization identity (PLAIN, SCRAM) names the mailbox that is opened, so it takes precedence.
///
/// # Errors
/// [`BadCredential`] when it has no name, or when its name has two readings.
pub fn claimed(credential: &Credential) -> Result<ClaimedAccount, BadCredential> {
    match credential {
        Credential::Password { user, password } => {
            // In PLAIN, a NUL would shift the fields that the backend reads.
            if user.expose().contains(&0) || password.expose().contains(&0) {
                return Err(BadCredential::Nul);
            }
            Ok(ClaimedAccount::Name(user.expose().to_vec()))
        }
        Credential::Sasl { mechanism, initial } => {
            let message = initial.expose();
            match mechanism.family() {
                Family::Plain => plain(message),
                Family::OAuthBearer => oauth_bearer(message),
                Family::XOAuth2 => xoauth2(message),
                Family::Scram => scram(message),
                // `sasl::Exchange` turns the responses to its prompts into a `Password`.
                Family::Login => Err(BadCredential::Unknown),
            }
        }
    }
}

/// Returns the authentication identity in `credential`: the name whose password or token is checked, which need not be
/// the name of the mailbox ([`claimed`]). `None` for a token without a name, and for a message that is not valid.
#[must_use]
pub fn authentication_id(credential: &Credential) -> Option<Vec<u8>> {
    let name = match credential {
        Credential::Password { user, .. } => user.expose().to_vec(),
        Credential::Sasl { mechanism, initial } => match mechanism.family() {
            Family::Plain => initial.expose().split(|&byte| byte == 0).nth(1)?.to_vec(),
            Family::Scram => {
                let (_, bare) = gs2_header(initial.expose()).ok()?;
                let (username, _) = split_at_comma(bare)?;
                sasl_name(username.strip_prefix(b"n=")?).ok()?
            }
            Family::OAuthBearer | Family::XOAuth2 | Family::Login => match claimed(credential) {
                Ok(ClaimedAccount::Name(name)) => name,
                Ok(ClaimedAccount::Token(_)) | Err(_) => return None,
            },
        },
    };
    Some(name).filter(|name| !name.is_empty())
}

/// Returns the account in the value of an HTTP `Authorization` header: the user of `Basic` (RFC 7617), the token of
/// `Bearer` (RFC 6750).
///
/// # Errors
/// [`BadCredential`] when it has no name.
pub fn authorization(value: &[u8]) -> Result<ClaimedAccount, BadCredential> {
    let (scheme, rest) = split_scheme(value).ok_or(BadCredential::Unknown)?;
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return token(rest).map(ClaimedAccount::Token);
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Err(BadCredential::Unknown);
    }
    let pair = sasl::decode(rest).ok_or(BadCredential::Malformed)?;
    // RFC 7617 section 2: the user-id has no colon, the password may.
    let end = pair.expose().iter().position(|&byte| byte == b':').ok_or(BadCredential::Malformed)?;
    Ok(ClaimedAccount::Name(pair.expose()[..end].to_vec()))
}

/// Returns the token in `Bearer TOKEN`; the scheme may have any case.
///
/// # Errors
/// [`BadCredential::Unknown`] for another scheme, [`BadCredential::NoName`] without a token.
pub fn bearer(value: &[u8]) -> Result<Secret, BadCredential> {
    match split_scheme(value) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer") => token(rest),
        _ => Err(BadCredential::Unknown),
    }
}

// RFC 4616 section 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
fn plain(message: &[u8]) -> Result<ClaimedAccount, BadCredential> {
    let mut parts = message.split(|&byte| byte == 0);
    let (Some(authzid), Some(authcid), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(BadCredential::Nul);
    };
    let name = if authzid.is_empty() { authcid } else { authzid };
    Ok(ClaimedAccount::Name(name.to_vec()))
}

// RFC 7628 section 3.1: client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep
fn oauth_bearer(message: &[u8]) -> Result<ClaimedAccount, BadCredential> {
    let (authzid, pairs) = gs2_header(message)?;
    if pairs.first() != Some(&KVSEP) {
        return Err(BadCredential::Malformed);
    }
    match authzid {
        Some(name) => Ok(ClaimedAccount::Name(name)),
        None => bearer(value(pairs, b"auth")?.ok_or(BadCredential::NoName)?).map(ClaimedAccount::Token),
    }
}

// "user=" NAME ^A "auth=Bearer " TOKEN ^A ^A, as Google describes it.
fn xoauth2(message: &[u8]) -> Result<ClaimedAccount, BadCredential> {
    match value(message, b"user")? {
        Some(name) if !name.is_empty() => Ok(ClaimedAccount::Name(name.to_vec())),
        _ => bearer(value(message, b"auth")?.ok_or(BadCredential::NoName)?).map(ClaimedAccount::Token),
    }
}

// RFC 5802 section 7: client-first-message = gs2-header [reserved-mext ","] username "," nonce ["," extensions]
// A leading `m=` requires an unknown extension, and fails the login (section 5.1).
fn scram(message: &[u8]) -> Result<ClaimedAccount, BadCredential> {
    let (authzid, bare) = gs2_header(message)?;
    let (username, rest) = split_at_comma(bare).ok_or(BadCredential::Malformed)?;
    let username = username.strip_prefix(b"n=").ok_or(BadCredential::Malformed)?;
    if !rest.starts_with(b"r=") {
        return Err(BadCredential::Malformed);
    }
    let authcid = sasl_name(username)?;
    Ok(ClaimedAccount::Name(authzid.unwrap_or(authcid)))
}

/// Returns the decoded authorization identity, unless it is empty, and the rest after the header.
// RFC 5802 section 7: gs2-header = gs2-cbind-flag "," [ authzid ] ","
fn gs2_header(message: &[u8]) -> Result<(Option<Vec<u8>>, &[u8]), BadCredential> {
    let (flag, rest) = split_at_comma(message).ok_or(BadCredential::Malformed)?;
    match flag {
        b"n" | b"y" => {}
        _ if flag.starts_with(b"p=") => return Err(BadCredential::ChannelBinding),
        _ => return Err(BadCredential::Malformed),
    }
    let (authzid, rest) = split_at_comma(rest).ok_or(BadCredential::Malformed)?;
    let authzid = match authzid.strip_prefix(b"a=") {
        Some(name) => sasl_name(name)?,
        None if authzid.is_empty() => Vec::new(),
        None => return Err(BadCredential::Malformed),
    };
    Ok((Some(authzid).filter(|name| !name.is_empty()), rest))
}

/// Decodes `=2C` and `=3D` (ABNF strings are case-insensitive, RFC 5234 section 2.3).
fn sasl_name(text: &[u8]) -> Result<Vec<u8>, BadCredential> {
    let mut name = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            name.push(byte);
            continue;
        }
        let (escape, after) = rest.split_at_checked(2).ok_or(BadCredential::Escape)?;
        name.push(match escape {
            b"2C" | b"2c" => b',',
            b"3D" | b"3d" => b'=',
            _ => return Err(BadCredential::Escape),
        });
        rest = after;
    }
    Ok(name)
}

/// Returns the value of `key` in a list of `key=value` pairs separated by `^A`.
fn value<'a>(pairs: &'a [u8], key: &[u8]) -> Result<Option<&'a [u8]>, BadCredential> {
    let mut found = pairs
        .split(|&byte| byte == KVSEP)
        .filter_map(|pair| pair.split_at_checked(key.len()))
        .filter(|(name, _)| name.eq_ignore_ascii_case(key))
        .filter_map(|(_, rest)| rest.strip_prefix(b"="));
    let first = found.next();
    if found.next().is_some() { Err(BadCredential::Repeated) } else { Ok(first) }
}

fn token(bytes: &[u8]) -> Result<Secret, BadCredential> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() { Err(BadCredential::NoName) } else { Ok(Secret::copy_of(bytes)) }
}

// RFC 9110 section 11.4: credentials = auth-scheme [ 1*SP token68 ]
fn split_scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let value = value.trim_ascii();
    let end = value.iter().position(|&byte| byte == b' ')?;
    Some((&value[..end], value[end..].trim_ascii_start()))
}

fn split_at_comma(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == b',')?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests;
