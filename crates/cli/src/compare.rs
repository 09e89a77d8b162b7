//! `pointsman compare`.

use std::process::ExitCode;

use api::compare::{CompareChoices, Comparison, NewComparison};
use api::paths;
use hyper::Method;

use crate::api_client::{ApiCall, ApiClient, CommandError};
use crate::arguments::{CompareOptions, ToleranceOptions};
use crate::format::count;
use crate::moves::batch_file::BatchFile;
use crate::print::{print_json_line, print_line};
use crate::progress::{elapsed, with_progress};

/// Compares the mailboxes of each account, and prints the differences.
pub(crate) async fn compare(
    client: &ApiClient,
    options: CompareOptions,
    is_json: bool,
) -> Result<ExitCode, CommandError> {
    let CompareOptions { accounts, to, from, file, tolerance } = options;
    let accounts = match file {
        Some(path) => {
            let groups = BatchFile::read(&path)?.groups;
            groups.into_iter().filter_map(|names| names.into_iter().next()).collect()
        }
        None => accounts,
    };
    let choices = tolerance.into();
    let is_list = accounts.len() > 1;
    let mut is_acceptable = true;
    for account in accounts {
        let new = NewComparison { account, from: from.clone(), to: to.clone(), choices };
        let body = serde_json::to_vec(&new)
            .map_err(|error| CommandError::Usage(format!("the request cannot be built: {error}")))?;
        let call = ApiCall::new(Method::POST, paths::COMPARE).sending("application/json", body);
        let comparison: Comparison = match with_progress(elapsed("comparing"), client.json(call)).await {
            Ok(comparison) => comparison,
            // The other accounts of a list can be compared all the same.
            Err(CommandError::Refused(problem)) if is_list => {
                is_acceptable = false;
                eprintln!("{}: not compared: {}", new.account, problem.detail);
                continue;
            }
            Err(error) => return Err(error),
        };
        is_acceptable &= comparison.acceptable;
        if is_json {
            print_json_line(&comparison)?;
        } else {
            print(&comparison)?;
        }
    }
    Ok(if is_acceptable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(comparison: &Comparison) -> Result<(), CommandError> {
    let Comparison { account, from, to, .. } = comparison;
    for difference in &comparison.differences {
        print_line(&format!("{account}: {}", difference.text))?;
    }
    if comparison.unlisted > 0 {
        let more = count(comparison.unlisted, "more difference", "more differences");
        print_line(&format!("{account}: {more}"))?;
    }
    for shared in &comparison.shared {
        print_line(&format!("{account}: {shared}"))?;
    }
    let verdict = match (comparison.missing, comparison.acceptable) {
        (0, true) => "nothing is missing".to_owned(),
        (0, false) => "nothing is missing, but there are differences".to_owned(),
        (missing, true) => format!("missing: {missing}, which is accepted"),
        (missing, false) => format!("missing: {missing}"),
    };
    print_line(&format!(
        "{account}: {from} and {to} compared, {} in {}{}: {verdict}",
        count(comparison.messages, "message", "messages"),
        count(comparison.folders, "folder", "folders"),
        if comparison.pop3 { ", with POP3" } else { "" },
    ))
}

impl From<ToleranceOptions> for CompareChoices {
    fn from(options: ToleranceOptions) -> Self {
        let ToleranceOptions { max_missing, strict, with_shared } = options;
        Self { max_missing, strict, with_shared }
    }
}
