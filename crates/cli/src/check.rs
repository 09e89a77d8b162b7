//! `pointsman check` and `pointsman schema`.

use std::path::Path;
use std::process::ExitCode;

use config::Report;

use crate::run::{colours, find};

/// Validates a configuration.
pub(crate) fn check(named: Option<&Path>, json: bool) -> ExitCode {
    let Some(path) = find(named) else {
        return ExitCode::FAILURE;
    };
    let (report, is_valid) = match config::load(&path) {
        Ok(loaded) => {
            let mapping = app::check_mapping(&loaded.plan);
            (loaded.warnings, mapping)
        }
        Err(report) => (report, Ok(())),
    };
    let is_valid = match is_valid {
        Ok(()) => report.errors() == 0,
        Err(why) => {
            eprintln!("error: mapping: {why}");
            false
        }
    };
    show(&report, json);
    let warnings = report.diagnostics.len() - report.errors();
    if !json {
        let verdict = if is_valid { "is valid" } else { "is not valid" };
        println!("{}: {verdict}: {} errors, {warnings} warnings", path.display(), report.errors());
    }
    if is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the JSON Schema, or the reference page.
pub(crate) fn schema(reference: bool) -> ExitCode {
    if reference {
        print!("{}", config::reference());
    } else {
        println!("{:#}", config::schema());
    }
    ExitCode::SUCCESS
}

fn show(report: &Report, json: bool) {
    if json {
        println!("{:#}", report.to_json());
    } else if !report.diagnostics.is_empty() {
        eprintln!("{}\n", report.render(colours()));
    }
}
