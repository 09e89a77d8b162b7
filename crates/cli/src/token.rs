//! `pointsman token new`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::rand;
use types::secret::Secret;
use zeroize::Zeroizing;

use crate::client::Failure;
use crate::print::out;

/// Random bytes of a token: beyond guessing, and in hexadecimal twice what `min_token_len` asks for.
const BYTES: usize = 32;

/// Makes a token; writes it to `path`, or prints it.
pub(crate) fn new(path: Option<&Path>) -> Result<(), Failure> {
    let token = random()?;
    match path {
        None => out(token.expose()),
        Some(path) => write(path, &token).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Usage(format!(
                "{} is there already, and a running proxy may have its token: remove it first, or name another file",
                path.display()
            )),
            _ => Failure::File(path.display().to_string(), error),
        }),
    }
}

/// In hexadecimal, with a line end.
fn random() -> Result<Secret, Failure> {
    let failed = || Failure::Usage("this host has no randomness to give".to_owned());
    let mut random = Zeroizing::new([0; BYTES]);
    rand::fill(&mut *random).map_err(|_| failed())?;
    let mut token = Secret::with_capacity(2 * BYTES + 1);
    for byte in random.iter() {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        token.extend(&[digit(byte >> 4), digit(byte & 15)]);
    }
    token.extend(b"\n");
    Ok(token)
}

/// Never over a file that is there: a running proxy may have that token.
fn write(path: &Path, token: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(token.expose()).and_then(|()| file.sync_all());
    if written.is_err() {
        // A part of a token is none.
        let _ = fs::remove_file(path);
    }
    written
}
