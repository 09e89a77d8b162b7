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

/// Runs the proxy with the named configuration, or the one that [`find`] finds.
pub(crate) fn run(named: Option<&Path>) -> ExitCode {
    let Some(Loaded { plan, warnings }) = load(named) else {
        return ExitCode::FAILURE;
    };
    let options = app::Options { warnings: Some(warnings), ..app::Options::default() };
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
    let path = find(named)?;
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

/// Returns the configuration's path: the named one, the environment's, or the first default that exists.
///
/// Prints a message if there is none.
pub(crate) fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    for variable in VARIABLES {
        if let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
            return Some(value.into());
        }
    }
    let found = DEFAULT_PATHS.into_iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        eprintln!(
            "pointsman: no configuration found: name a file, set {}, or create {}",
            VARIABLES[0],
            DEFAULT_PATHS.join(" or ")
        );
    }
    found
}

/// Returns whether standard error gets colours: only a terminal does.
pub(crate) fn stderr_has_colours() -> bool {
    std::io::stderr().is_terminal() && colours_are_wanted()
}

/// Returns whether the user allows colours (<https://no-color.org>).
pub(crate) fn colours_are_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
