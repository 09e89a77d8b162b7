//! `[admin]`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use types::secret::Secret;

use super::listener::addresses;
use crate::exposure;
use crate::read::{Located, Table};
use crate::suggest::closest;
use crate::value;
use plan::Admin;

/// Environment variables that override the file, in order of precedence.
const TOKEN_VARIABLES: [&str; 2] = ["PROXY_ADMIN_TOKEN", "POINTSMAN_ADMIN_TOKEN"];

const TOKEN_HELP: &str =
    "create one with `pointsman token new --out FILE`, and name the file in bearer_token_file";

/// Reads the optional table `[admin]`; without it there is no management API. Also returns the positions of `bind`.
pub(super) fn read(
    root: &Table<'_>,
    folder: &Path,
    certificates: &[String],
) -> (Option<Admin>, Vec<Located<SocketAddr>>) {
    let Some(table) = root.table("admin") else { return (None, Vec::new()) };
    let bind = addresses(&table, "bind");
    for at in bind.iter().filter(|at| at.value.ip().is_unspecified()) {
        let help = "bind it to a loopback or management address";
        table.problems.warning(
            &at.key,
            at.span.clone(),
            "the management API listens on every address of this host",
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
    check_certificate(&table, certificate.as_ref(), certificates);
    let metrics_public = table.boolean("metrics_public", false);
    accept_newer_keys(&table);
    table.finish();
    let admin = token.map(|token| Admin {
        bind: bind.iter().map(|at| at.value).collect(),
        token,
        lockout_threshold,
        lockout_duration,
        certificate: certificate.map(|at| at.value.into()),
        metrics_public,
    });
    (admin, bind)
}

/// Returns the token from the environment, else from the file, else from the configuration.
fn token(table: &Table<'_>, folder: &Path, min_len: usize) -> Option<Secret> {
    let file = table.string("bearer_token_file");
    let inline = table.secret("bearer_token", folder);
    if let (Some(file), true) = (&file, table.has("bearer_token")) {
        let message = "bearer_token is set too: the token in this file is used";
        let help = "remove bearer_token: a file can have stricter permissions";
        table.problems.warning(&file.key, file.span.clone(), message, help);
    }
    let variable = TOKEN_VARIABLES.into_iter().find_map(|name| Some((name, std::env::var_os(name)?)));
    let (at, source) = match (variable, file, inline) {
        (Some((name, value)), _, _) => {
            let value = Secret::new(value.into_encoded_bytes());
            (Located { value, span: table.span.clone(), key: table.path.clone() }, format!(" in {name}"))
        }
        (None, Some(file), _) => (token_file(table, file, folder)?, " in that file".to_owned()),
        (None, None, Some(inline)) => (inline, String::new()),
        (None, None, None) => {
            if !table.has("bearer_token_file") && !table.has("bearer_token") {
                let key = table.key("bearer_token_file");
                table.problems.error(&key, table.span.clone(), "there is no token", TOKEN_HELP);
            }
            return None;
        }
    };
    let found = at.value.len();
    if found < min_len {
        let message =
            format!("found a token of {found} bytes{source}, expected at least {min_len} (min_token_len)");
        table.problems.error(&at.key, at.span, message, TOKEN_HELP);
        return None;
    }
    Some(at.value)
}

fn token_file(table: &Table<'_>, file: Located<String>, folder: &Path) -> Option<Located<Secret>> {
    let path = folder.join(&file.value);
    match value::secret_file(&path) {
        Ok(value) => {
            exposure::warn(table, &path, &file.key, file.span.clone());
            Some(Located { value, span: file.span, key: file.key })
        }
        Err(why) => {
            let help = if path.exists() {
                let path = path.display();
                format!(
                    "make it readable for the user that the proxy runs as: `chown USER {path}`, `chmod 0600 {path}`"
                )
            } else {
                TOKEN_HELP.to_owned()
            };
            table.problems.error(&file.key, file.span, why, help);
            None
        }
    }
}

fn check_certificate(table: &Table<'_>, name: Option<&Located<String>>, certificates: &[String]) {
    let Some(at) = name else { return };
    if !certificates.contains(&at.value) {
        let message =
            format!("found \"{}\", expected the name of a [tls.certificate.NAME]", at.value.escape_debug());
        let help = closest(&at.value, certificates.iter().map(String::as_str)).map_or_else(
            || "name one that is declared, or remove the key".to_owned(),
            |name| format!("did you mean \"{name}\"?"),
        );
        table.problems.error(&at.key, at.span.clone(), message, help);
    }
}

/// Accepts keys of newer published files.
fn accept_newer_keys(table: &Table<'_>) {
    if table.boolean("config_write", false) {
        let message = "writing the configuration through the API is not implemented yet";
        table.problems.warning(
            &table.key("config_write"),
            table.place("config_write"),
            message,
            "edit the file and reload",
        );
    }
    // Its contents belong to another program and are not checked.
    if table.table("allow").is_some() {
        let reason = "every client that has the token may use the whole API; limit access with admin.bind and a firewall";
        table.unused("allow", reason);
    }
}
