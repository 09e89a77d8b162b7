//! `pointsman token new`.
//!
//! What must never happen here: an existing token is overwritten, or a file with a token is readable by others.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::rand;
use types::secret::Secret;
use zeroize::Zeroizing;

use crate::api_client::CommandError;
use crate::print::print_bytes;

/// Random bytes of a token: 256 bits cannot be guessed, and 64 digits are twice what `min_token_len` requires.
const TOKEN_BYTES: usize = 32;
const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Creates a token, and writes it to a new file at `path` or prints it.
pub(crate) fn new(path: Option<&Path>) -> Result<(), CommandError> {
    let token = random_token()?;
    let Some(path) = path else {
        return print_bytes(token.expose());
    };
    write_new(path, &token).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CommandError::Usage(format!(
            "{} exists already, and a running proxy may use its token: remove it first, or name another file",
            path.display()
        )),
        _ => CommandError::File(path.display().to_string(), error),
    })
}

/// Returns a token in hexadecimal, with a line end.
fn random_token() -> Result<Secret, CommandError> {
    let mut random = Zeroizing::new([0; TOKEN_BYTES]);
    rand::fill(&mut *random)
        .map_err(|_| CommandError::Usage("the system's random number generator failed".to_owned()))?;
    let mut token = Secret::with_capacity(2 * TOKEN_BYTES + 1);
    for &byte in random.iter() {
        token.extend(&[HEX_DIGITS[usize::from(byte >> 4)], HEX_DIGITS[usize::from(byte & 15)]]);
    }
    token.extend(b"\n");
    Ok(token)
}

fn write_new(path: &Path, token: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(token.expose()).and_then(|()| file.sync_all());
    if written.is_err() {
        // An incomplete token must not stay behind to be used.
        let _ = fs::remove_file(path);
    }
    written
}
