//! `pointsman run`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::Loaded;

/// Where a configuration is looked for when none is named.
const PLACES: [&str; 2] = ["pointsman.toml", "/etc/pointsman/config.toml"];

/// Runs the proxy with the named configuration, or the one that is found.
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

/// Loads a configuration; its problems go to standard error.
fn load(named: Option<&Path>) -> Option<Loaded> {
    let path = find(named)?;
    match config::load(&path) {
        Ok(loaded) => Some(loaded),
        Err(report) => {
            eprintln!("{}\n", report.render(colours()));
            eprintln!("pointsman: {} has {} errors; nothing was started", path.display(), report.errors());
            None
        }
    }
}

/// The configuration's path: the named one, the environment's, or one of the usual places.
pub(crate) fn find(named: Option<&Path>) -> Option<PathBuf> {
    let from_environment = || {
        let of = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        of("POINTSMAN_CONFIG").or_else(|| of("PROXY_CONFIG"))
    };
    let usual = || PLACES.into_iter().map(PathBuf::from).find(|path| path.exists());
    let found = named.map(Path::to_owned).or_else(from_environment).or_else(usual);
    if found.is_none() {
        eprintln!(
            "pointsman: no configuration: name one (`pointsman run CONFIG`), set POINTSMAN_CONFIG, or put one at {}",
            PLACES.join(" or ")
        );
    }
    found
}

/// Whether standard error gets colours: only a terminal does.
pub(crate) fn colours() -> bool {
    std::io::stderr().is_terminal() && colours_are_wanted()
}

/// Whether the user has nothing against colours (<https://no-color.org>).
pub(crate) fn colours_are_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
