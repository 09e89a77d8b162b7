//! The syntax of values: durations, sizes and secrets.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use types::secret::Secret;
use zeroize::Zeroizing;

/// The maximum size of a file with a secret.
const MAX_SECRET_FILE: usize = 64 * 1024;

/// Parses a duration: an integer and `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// Parses a size: an integer of bytes, or an integer and `KB`, `MB`, `KiB` or `MiB`.
pub(crate) fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "KiB" => 1_024,
        "MiB" => 1_048_576,
        _ => return None,
    };
    number.checked_mul(bytes).and_then(|bytes| usize::try_from(bytes).ok())
}

/// A secret written as itself, as `env:NAME` or as `file:PATH` (relative to `folder`; white space around
/// it is not part of it).
pub(crate) fn secret(text: &str, folder: &Path) -> Result<Secret, String> {
    if let Some(name) = text.strip_prefix("env:") {
        return std::env::var_os(name)
            .map(|value| Secret::new(value.into_encoded_bytes()))
            .ok_or_else(|| format!("the environment variable {} is not set", name.escape_debug()));
    }
    match path_of_secret(text, folder) {
        Some(path) => secret_file(&path),
        None => Ok(Secret::copy_of(text.as_bytes())),
    }
}

/// Returns the file that a secret written as `file:PATH` is read from.
pub(crate) fn path_of_secret(text: &str, folder: &Path) -> Option<PathBuf> {
    text.strip_prefix("file:").map(|path| folder.join(path))
}

/// The file of a private key. A key is always read from a file, which is watched where it is a listener's:
/// `file:PATH` says the same as the path alone.
pub(crate) fn key_path(text: &str, folder: &Path) -> PathBuf {
    folder.join(text.strip_prefix("file:").unwrap_or(text))
}

/// Reads a secret from a file, without the white space around it.
///
/// # Errors
/// A sentence with the path if the file cannot be read or is too large.
pub fn secret_file(path: &Path) -> Result<Secret, String> {
    let failed = |error| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    // The buffer never grows, because growth would leave copies of the secret in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_FILE + 64));
    file.take(MAX_SECRET_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_SECRET_FILE {
        return Err(format!("{} is larger than {MAX_SECRET_FILE} bytes: not a secret", path.display()));
    }
    Ok(Secret::copy_of(bytes.trim_ascii()))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text.get(..end).filter(|digits| !digits.is_empty())?.parse().ok()?;
    Some((number, text[end..].trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("250ms", Some(250)),
            ("45s", Some(45_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("0s", Some(0)),
            ("45", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1w", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("", None),
        ] {
            assert_eq!(duration(text), milliseconds.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("100", Some(100)),
            ("64KiB", Some(65_536)),
            ("64 KiB", Some(65_536)),
            ("10MB", Some(10_000_000)),
            ("1KB", Some(1_000)),
            ("1MiB", Some(1_048_576)),
            ("1GB", None),
            ("KB", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn secrets_come_from_files_and_the_environment() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("token"), " s3cret \t\r\n\n").expect("write");
        let read = |text: &str| secret(text, folder.path()).map(|secret| secret.expose().to_vec());
        assert_eq!(read("as it is"), Ok(b"as it is".to_vec()));
        assert_eq!(read("file:token"), Ok(b"s3cret".to_vec()));
        assert!(read("file:none").is_err_and(|why| why.contains("none")));
        assert_eq!(
            read("env:PATH").ok().as_deref(),
            std::env::var("PATH").ok().as_deref().map(str::as_bytes)
        );
        assert!(read("env:POINTSMAN_NOT_SET").is_err_and(|why| why.contains("POINTSMAN_NOT_SET")));
    }
}
