//! `pointsman check` and `pointsman schema`.

use std::path::Path;
use std::process::ExitCode;

use config::Report;

use crate::probe;
use crate::run::{colours, find};

/// Validates a configuration; with `is_probing` also what it leads to.
pub(crate) fn check(named: Option<&Path>, is_probing: bool, json: bool) -> ExitCode {
    let Some(path) = find(named) else {
        return ExitCode::FAILURE;
    };
    let (report, mapping, plan) = match config::load(&path) {
        Ok(loaded) => (loaded.warnings, app::check_mapping(&loaded.plan), Some(loaded.plan)),
        Err(report) => (report, Ok(()), None),
    };
    let mut is_valid = report.errors() == 0;
    if let Err(why) = mapping {
        eprintln!("error: mapping: {why}");
        is_valid = false;
    }
    let probed = plan.filter(|_| is_probing).map(|plan| {
        let mut rows = Vec::new();
        probe::probe(&plan, &mut rows).map(|serves| (rows, serves))
    });
    let probed = match probed.transpose() {
        Ok(probed) => probed,
        Err(failure) => return failure.tell(),
    };
    let (rows, serves) = probed.unwrap_or((Vec::new(), true));
    if json && is_probing {
        let told = serde_json::json!({ "problems": report.to_json(), "probe": rows });
        println!("{told:#}");
    } else {
        show(&report, json);
    }
    let warnings = report.diagnostics.len() - report.errors();
    if !json {
        if is_probing && let Err(failure) = probe::show(&rows) {
            return failure.tell();
        }
        let verdict = if is_valid { "is valid" } else { "is not valid" };
        println!("{}: {verdict}: {} errors, {warnings} warnings", path.display(), report.errors());
    }
    if is_valid && serves { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
