//! `pointsman check` and `pointsman schema`.

use std::path::Path;
use std::process::ExitCode;

use api::Diagnostic;
use config::Report;

use crate::client::Failure;
use crate::print::{self, escaped, line};
use crate::probe::{self, Row, StoreRow};
use crate::run::{colours, find};

/// What a probe found, beyond the file.
struct Probed {
    probe: Vec<Row>,
    /// `None` where mappings are in a file.
    store: Option<StoreRow>,
}

/// Validates a configuration and its mapping file; with `is_probing` also what they lead to.
pub(crate) fn check(named: Option<&Path>, is_probing: bool, json: bool) -> ExitCode {
    let Some(path) = find(named) else {
        return ExitCode::FAILURE;
    };
    let (report, mapping, plan) = match config::load(&path) {
        Ok(loaded) => (loaded.warnings, app::check_mapping(&loaded.plan), Some(loaded.plan)),
        Err(report) => (report, Vec::new(), None),
    };
    let errors = report.errors() + mapping.len();
    let warnings = report.diagnostics.len() - report.errors();
    let probed = plan.filter(|_| is_probing).map(|plan| {
        let (probe, store) = probe::probe(plan)?;
        Ok::<_, Failure>(Probed { probe, store })
    });
    let probed = match probed.transpose() {
        Ok(probed) => probed,
        Err(failure) => return failure.tell(),
    };
    let serves = probed.as_ref().is_none_or(|Probed { probe, store }| {
        probe.iter().all(Row::serves) && store.as_ref().is_none_or(StoreRow::serves)
    });
    let shown = if json {
        show_json(&report, &mapping, is_probing, probed.as_ref())
    } else {
        let verdict = match (errors, serves) {
            (0, true) => "is valid",
            (0, false) => "is valid, but something that it leads to would not serve",
            _ => "is not valid",
        };
        let (path, errors, warnings) = (path.display(), count(errors, "error"), count(warnings, "warning"));
        let verdict = format!("{path}: {verdict}: {errors}, {warnings}");
        show(&report, &mapping, probed.as_ref()).and_then(|()| line(&verdict))
    };
    if let Err(failure) = shown {
        return failure.tell();
    }
    if errors == 0 && serves { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn show_json(
    report: &Report,
    mapping: &[Diagnostic],
    is_probing: bool,
    probed: Option<&Probed>,
) -> Result<(), Failure> {
    let mut problems = report.to_json();
    if let Some(problems) = problems.as_array_mut() {
        problems.extend(mapping.iter().map(|remark| serde_json::json!(remark)));
    }
    match (is_probing, probed) {
        (false, _) => print::json(&problems),
        (true, None) => print::json(&serde_json::json!({ "problems": problems, "probe": [] })),
        (true, Some(Probed { probe, store })) => {
            print::json(&serde_json::json!({ "problems": problems, "probe": probe, "store": store }))
        }
    }
}

fn show(report: &Report, mapping: &[Diagnostic], probed: Option<&Probed>) -> Result<(), Failure> {
    if !report.diagnostics.is_empty() {
        eprintln!("{}\n", report.render(colours()));
    }
    for Diagnostic { file, line, message, .. } in mapping {
        eprintln!("error: {}:{line}: {}", escaped(file), escaped(message));
    }
    probed.map_or(Ok(()), |Probed { probe, store }| probe::show(probe, store.as_ref()))
}

/// Prints the JSON Schema, or the reference page.
pub(crate) fn schema(reference: bool) -> Result<(), Failure> {
    let text = if reference { config::reference() } else { format!("{:#}\n", config::schema()) };
    print::out(text.as_bytes())
}
