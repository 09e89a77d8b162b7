//! `pointsman demo`.

use std::io::{self, Write};
use std::process::ExitCode;

use ::demo::Demo;
use app::Options;

use crate::token;

/// Runs two small mail servers and the proxy in front of them until Ctrl-C. The proxy's log, which is on the same
/// terminal as the guide, has errors only unless `is_verbose`.
pub(crate) fn demo(is_verbose: bool) -> ExitCode {
    match run(if is_verbose { "info" } else { "error" }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("pointsman: the demo cannot run: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(log_level: &str) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    // A runtime of its own: the servers are other programs, as far as the proxy is concerned.
    let servers =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(text)?;
    let demo = servers.block_on(Demo::start(log_level)).map_err(text)?;
    token::new(Some(&demo.token)).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().unwrap_or_else(|_| "pointsman".into());
    let loaded = config::load(&demo.configuration).map_err(|report| report.render(false))?;
    let guide = demo.guide(&program);
    let on_ready = move || {
        // A closed pipe means that the guide is not wanted.
        let _ = writeln!(io::stdout(), "{guide}");
    };
    let options = Options { on_ready: Some(Box::new(on_ready)), keep_log: false, ..Options::default() };
    let ended = app::run(loaded.plan, options).map_err(|error| error.to_string());
    demo.end().map_err(text)?;
    ended.map(|_| ())
}
