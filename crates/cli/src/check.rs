//! `pointsman check` and `pointsman schema`.

use std::path::Path;
use std::process::ExitCode;

use api::Diagnostic;
use config::Report;
use serde_json::json;

use crate::api_client::CommandError;
use crate::format::{count, escaped};
use crate::print::{print_bytes, print_json, print_line};
use crate::probe::{self, ProbeReport};
use crate::run::{find, not_found_text, stderr_has_colours};

/// Checks a configuration and its mapping file and, with `is_probing`, the servers that they name.
pub(crate) fn check(named: Option<&Path>, is_probing: bool, is_json: bool) -> Result<ExitCode, CommandError> {
    let Some(path) = find(named) else {
        eprintln!("pointsman: {}", not_found_text());
        return Ok(ExitCode::FAILURE);
    };
    let (report, mapping, plan) = match config::load(&path) {
        Ok(loaded) => (loaded.warnings, app::check_mapping(&loaded.plan), Some(loaded.plan)),
        Err(report) => (report, Vec::new(), None),
    };
    // There is nothing to probe if the configuration is not valid.
    let probed = match plan {
        Some(plan) if is_probing => Some(probe::probe(plan)?),
        _ => None,
    };
    let errors = report.errors() + mapping.len();
    let is_usable = probed.as_ref().is_none_or(ProbeReport::is_usable);
    if is_json {
        show_json(&report, &mapping, is_probing, probed.as_ref())?;
    } else {
        show(&report, &mapping, probed.as_ref())?;
        let warnings = report.diagnostics.len() - report.errors();
        print_line(&format!(
            "{} {}: {}, {}",
            path.display(),
            verdict(errors, is_usable),
            count(errors, "error", "errors"),
            count(warnings, "warning", "warnings")
        ))?;
    }
    Ok(if errors == 0 && is_usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const fn verdict(errors: usize, is_usable: bool) -> &'static str {
    match (errors, is_usable) {
        (0, true) => "is valid",
        (0, false) => "is valid, but the probe failed (see above)",
        _ => "is not valid",
    }
}

fn show_json(
    report: &Report,
    mapping: &[Diagnostic],
    is_probing: bool,
    probed: Option<&ProbeReport>,
) -> Result<(), CommandError> {
    let mut problems = report.to_json();
    if let Some(problems) = problems.as_array_mut() {
        problems.extend(mapping.iter().map(|diagnostic| json!(diagnostic)));
    }
    match probed {
        Some(probed) => print_json(&json!({
            "problems": problems,
            "probe": probed.backends,
            "store": probed.store,
        })),
        None if is_probing => print_json(&json!({ "problems": problems, "probe": [] })),
        None => print_json(&problems),
    }
}

fn show(report: &Report, mapping: &[Diagnostic], probed: Option<&ProbeReport>) -> Result<(), CommandError> {
    if !report.diagnostics.is_empty() {
        eprintln!("{}\n", report.render(stderr_has_colours()));
    }
    for Diagnostic { file, line, message, .. } in mapping {
        eprintln!("error: {}:{line}: {}", escaped(file), escaped(message));
    }
    match probed {
        Some(probed) => probed.print(),
        None => Ok(()),
    }
}

/// Prints the JSON Schema of the configuration, or the page of all keys.
pub(crate) fn schema(is_reference: bool) -> Result<(), CommandError> {
    let text = if is_reference { config::reference() } else { format!("{:#}\n", config::schema()) };
    print_bytes(text.as_bytes())
}
