//! `pointsman demo`.

use std::io::{self, Write};
use std::process::ExitCode;

use ::demo::{Folder, Ports, Server, Texts};
use app::Options;

use crate::token;

/// Runs two small mail servers and the proxy in front of them until Ctrl-C.
pub(crate) fn demo() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("pointsman: the demo cannot run: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let folder = Folder::create().map_err(text)?;
    // A runtime of its own: the servers are other programs, as far as the proxy is concerned.
    let servers =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(text)?;
    let old = servers.block_on(Server::start("old")).map_err(text)?;
    let new = servers.block_on(Server::start("new")).map_err(text)?;
    let ports = Ports::pick().map_err(text)?;
    let program = std::env::current_exe().unwrap_or_else(|_| "pointsman".into());
    let texts = Texts { program: &program, folder: &folder, ports, old: &old, new: &new };
    let path = folder.write_configuration(&texts.configuration()).map_err(text)?;
    token::new(Some(&folder.token())).map_err(|error| error.to_string())?;
    let loaded = config::load(&path).map_err(|report| report.render(false))?;
    let guide = texts.guide();
    let on_ready = move || {
        // A closed pipe means that the guide is not wanted.
        let _ = writeln!(io::stdout(), "{guide}");
    };
    let options = Options { on_ready: Some(Box::new(on_ready)), keep_log: false, ..Options::default() };
    let ended = app::run(loaded.plan, options).map_err(|error| error.to_string());
    folder.remove().map_err(text)?;
    ended.map(|_| ())
}
