//! `[admin]`.

use std::path::Path;
use std::time::Duration;

use wire::secret::Secret;

use super::listener::addresses;
use crate::built;
use crate::plan::{Admin, Tls};
use crate::read::{At, Table};
use crate::value;

/// Environment variables that win over the file, in this order.
const TOKEN_VARIABLES: [&str; 2] = ["PROXY_ADMIN_TOKEN", "POINTSMAN_ADMIN_TOKEN"];

/// `[admin]`, which may be missing: then there is no management API.
pub(super) fn read(root: &Table<'_>, folder: &Path, tls: Option<&Tls>) -> Option<Admin> {
    let table = root.table("admin")?;
    let bind = addresses(&table, "bind");
    for at in bind.iter().filter(|at| at.value.ip().is_unspecified()) {
        let help = "bind it to a loopback or management address";
        table.problems.warning(
            &at.key,
            at.span.clone(),
            "the management API is on every address of this host",
            help,
        );
    }
    if let Some(mode) = table.string("tls").filter(|at| at.value != "implicit") {
        let message = format!("found \"{}\", expected \"implicit\"", mode.value.escape_debug());
        table.problems.error(
            &mode.key,
            mode.span,
            message,
            "the token never crosses a connection in the clear: write \"implicit\"",
        );
    }
    let min_len = usize::try_from(table.integer("min_token_len", 32, 1..=4096)).unwrap_or(32);
    let token = token(&table, folder, min_len);
    let lockout_threshold = u32::try_from(table.integer("lockout_threshold", 5, 1..=1_000_000)).unwrap_or(5);
    let lockout_duration = table.duration("lockout_duration", Duration::from_secs(300));
    let certificate = table.string("certificate");
    check_certificate(&table, certificate.as_ref(), tls);
    let metrics_public = table.boolean("metrics_public", false);
    accept_newer_keys(&table);
    if !built::ADMIN {
        let message = "the management API is not built yet: nothing listens there";
        table.problems.warning(
            &table.path,
            table.span.clone(),
            message,
            "change mappings in the mapping file, which is watched",
        );
    }
    table.finish();
    Some(Admin {
        bind: bind.into_iter().map(|at| at.value).collect(),
        token: token?,
        lockout_threshold,
        lockout_duration,
        certificate: certificate.map(|at| at.value.into()),
        metrics_public,
    })
}

fn token(table: &Table<'_>, folder: &Path, min_len: usize) -> Option<Secret> {
    let (file, inline) = (table.string("bearer_token_file"), table.string("bearer_token"));
    let variable = TOKEN_VARIABLES.into_iter().find_map(|name| std::env::var(name).ok());
    let place = file.as_ref().or(inline.as_ref()).map_or_else(|| table.span.clone(), |at| at.span.clone());
    let key =
        file.as_ref().or(inline.as_ref()).map_or_else(|| table.key("bearer_token_file"), |at| at.key.clone());
    let read = match (variable, file, inline) {
        (Some(value), _, _) => Ok(Secret::new(value.into_bytes())),
        (None, Some(file), _) => value::secret_file(&folder.join(file.value)),
        (None, None, Some(inline)) => value::secret(&inline.value, folder),
        (None, None, None) => Err("there is no token".to_owned()),
    };
    let help =
        "put a long random token into a file only the proxy can read, and name it: `openssl rand -hex 32`";
    match read {
        Ok(token) if token.len() >= min_len => Some(token),
        Ok(token) => {
            let message = format!(
                "found a token of {} bytes, expected at least {min_len} (min_token_len)",
                token.len()
            );
            table.problems.error(&key, place, message, help);
            None
        }
        Err(why) => {
            table.problems.error(&key, place, why, help);
            None
        }
    }
}

fn check_certificate(table: &Table<'_>, name: Option<&At<String>>, tls: Option<&Tls>) {
    let (Some(at), Some(tls)) = (name, tls) else { return };
    if !tls.certificates.iter().any(|certificate| *certificate.name == *at.value) {
        let message = format!("found \"{}\", which is no [tls.certificate.NAME]", at.value.escape_debug());
        table.problems.error(
            &at.key,
            at.span.clone(),
            message,
            "name one that is declared, or remove the key",
        );
    }
}

/// Keys of newer published files.
fn accept_newer_keys(table: &Table<'_>) {
    if table.boolean("config_write", false) {
        let message = "writing the configuration through the API is not built yet";
        table.problems.warning(
            &table.key("config_write"),
            table.span.clone(),
            message,
            "edit the file and reload",
        );
    }
    // Its contents are another program's; they are accepted whole.
    let _ = table.table("allow");
}
