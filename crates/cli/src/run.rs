//! `pointsman run`, and how every command finds its configuration.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::Loaded;

use crate::format::count;

/// Where a configuration is looked for when neither an argument nor the environment names one.
const DEFAULT_PATHS: [&str; 2] = ["pointsman.toml", "/etc/pointsman/config.toml"];
/// Environment variables that name a configuration; the first that is set wins.
const VARIABLES: [&str; 2] = ["POINTSMAN_CONFIG", "PROXY_CONFIG"];

/// Runs the proxy with the named configuration, or the one that [`find`] finds. With `takeover` it replaces a running one.
pub(crate) fn run(named: Option<&Path>, takeover: bool) -> ExitCode {
    let Some(Loaded { plan, warnings }) = load(named) else {
        return ExitCode::FAILURE;
    };
    let options = app::Options { warnings: Some(warnings), takeover, ..app::Options::default() };
    match app::run(plan, options) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pointsman: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Loads a configuration, and prints its errors to standard error.
fn load(named: Option<&Path>) -> Option<Loaded> {
    let Some(path) = find(named) else {
        eprintln!("pointsman: {}", not_found_text());
        return None;
    };
    if is_mistyped_command(&path) {
        let path = path.display();
        eprintln!(
            "pointsman: `{path}` is neither a command nor a file: run `pointsman --help` to see the commands"
        );
        return None;
    }
    match config::load(&path) {
        Ok(loaded) => Some(loaded),
        Err(report) => {
            let errors = count(report.errors(), "error", "errors");
            eprintln!("{}\n", report.render(stderr_has_colours()));
            eprintln!("pointsman: {} has {errors}: the proxy was not started", path.display());
            None
        }
    }
}

/// `pointsman FILE` runs the proxy, so a mistyped command looks like a file that does not exist.
fn is_mistyped_command(path: &Path) -> bool {
    let is_word = path.as_os_str().as_encoded_bytes().iter().all(u8::is_ascii_alphabetic);
    is_word && !path.exists()
}

/// Returns the configuration's path: the named one, the environment's, or the first default that exists.
pub(crate) fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    for variable in VARIABLES {
        if let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
            return Some(value.into());
        }
    }
    DEFAULT_PATHS.into_iter().map(PathBuf::from).find(|path| path.exists())
}

/// Returns the error message for a configuration that [`find`] does not find.
pub(crate) fn not_found_text() -> String {
    let paths = DEFAULT_PATHS.join(" or ");
    format!("no configuration found: name a file, set {}, or create {paths}", VARIABLES[0])
}

/// Returns whether standard error gets colours: only a terminal does.
pub(crate) fn stderr_has_colours() -> bool {
    std::io::stderr().is_terminal() && colours_are_wanted()
}

/// Returns whether the user allows colours (<https://no-color.org>).
pub(crate) fn colours_are_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
