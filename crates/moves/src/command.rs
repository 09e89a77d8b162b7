//! Runs the operator's commands.
//!
//! What must never happen here: a command, or a process that it has started, that still copies after its move has gone
//! on; output that fills the memory; an environment that tells a command more than it needs.

use std::io::{self, PipeReader, PipeWriter};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Why a command did not succeed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("could not be started: {0}")]
    Start(#[from] io::Error),
    /// It ended with a status other than 0.
    #[error("ended with status {0}")]
    Status(i32),
    /// It was ended by a signal that did not come from here.
    #[error("was ended by signal {0}")]
    Signal(i32),
    /// It took too long and was ended.
    #[error("did not end within {} s and was stopped", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The move was cancelled, and the command was stopped.
    #[error("was stopped, because the move was cancelled")]
    Cancelled,
}

/// A command to run.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    /// For `/bin/sh -c`.
    pub(crate) command: &'a str,
    /// Its environment, besides a few variables of this process.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// When it must have ended.
    pub(crate) deadline: Instant,
    /// Stops it.
    pub(crate) cancel: &'a CancellationToken,
}

/// The end of what a command printed.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// The processes of a command: its shell and whatever that has started. Dropping it ends them.
struct ProcessGroup(Option<Pid>);

/// How a command's run ended.
enum Ended {
    Exited(io::Result<ExitStatus>),
    TimedOut,
    Cancelled,
}

/// Runs the command, its first argument, and ends the whole process group when this process ends in whatever way: then the
/// other end of the pipe, which is the standard input here, is closed. The command itself reads `/dev/null`.
const LAUNCHER: &str = "exec 3<&0 </dev/null; { read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 & exec 3<&-; exec /bin/sh -c \"$1\"";

/// What a command gets of this process's own environment.
const INHERITED: [&str; 6] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR"];

/// How long a command has to end by itself after SIGTERM.
const TERMINATION: Duration = Duration::from_secs(3);

/// How long output may be read after the command's end, should a process that left the group keep the pipe open.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

// === impl Task ===

impl Task<'_> {
    /// Runs the command to its end, and adds what it prints to `output`.
    ///
    /// # Errors
    /// [`CommandError`]. Nothing of the command's process group is left in any case.
    pub(crate) async fn run(self, output: &mut Output) -> Result<(), CommandError> {
        let began = Instant::now();
        let (reader, mut child, lifeline) = self.start()?;
        let mut reader = Receiver::from_owned_fd(reader.into())?;
        let group = ProcessGroup::of(&child);
        let ended = self.watch(&mut child, &mut reader, output).await;
        if !matches!(ended, Ended::Exited(_)) {
            group.signal(Signal::TERM);
            // A command that does not end now is killed below.
            let _ = timeout(TERMINATION, child.wait()).await;
        }
        drop(group);
        drop(lifeline);
        let _ = timeout(LAST_OUTPUT, read_all(&mut reader, output)).await;
        match ended {
            Ended::Exited(status) => judge(status?),
            Ended::TimedOut => Err(CommandError::TimedOut(began.elapsed())),
            Ended::Cancelled => Err(CommandError::Cancelled),
        }
    }

    /// Returns the command's output, the command, and the pipe that ends it when it is closed.
    fn start(&self) -> io::Result<(PipeReader, Child, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let (watched, lifeline) = io::pipe()?;
        let inherited = INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let child = Command::new("/bin/sh")
            .args(["-c", LAUNCHER, "sh", self.command])
            .env_clear()
            .envs(inherited)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(watched))
            .stdout(Stdio::from(writer.try_clone()?))
            .stderr(Stdio::from(writer))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok((reader, child, lifeline))
    }

    async fn watch(&self, child: &mut Child, reader: &mut Receiver, output: &mut Output) -> Ended {
        let mut buffer = [0; 4_096];
        let mut is_open = true;
        loop {
            tokio::select! {
                status = child.wait() => return Ended::Exited(status),
                read = reader.read(&mut buffer), if is_open => match read {
                    Ok(count) if count > 0 => output.push(&buffer[..count]),
                    Ok(_) | Err(_) => is_open = false,
                },
                () = sleep_until(self.deadline) => return Ended::TimedOut,
                () = self.cancel.cancelled() => return Ended::Cancelled,
            }
        }
    }
}

fn judge(status: ExitStatus) -> Result<(), CommandError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(CommandError::Status(code)),
        (None, signal) => Err(CommandError::Signal(signal.unwrap_or_default())),
    }
}

async fn read_all(reader: &mut Receiver, output: &mut Output) {
    let mut buffer = [0; 4_096];
    while let Ok(count) = reader.read(&mut buffer).await
        && count > 0
    {
        output.push(&buffer[..count]);
    }
}

// === impl Output ===

impl Output {
    /// The most bytes that are kept.
    pub(crate) const MAX: usize = 16 * 1_024;

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Twice as much before it is cut, so that each byte is moved once at most.
        if self.bytes.len() > 2 * Self::MAX {
            self.cut();
        }
    }

    /// Adds a line of the program itself.
    pub(crate) fn line(&mut self, text: &str) {
        self.push(text.as_bytes());
        self.push(b"\n");
    }

    fn cut(&mut self) {
        let excess = self.bytes.len().saturating_sub(Self::MAX);
        if excess > 0 {
            self.bytes.drain(..excess);
            self.is_cut = true;
        }
    }

    /// Returns the end of the output as text.
    pub(crate) fn into_text(mut self) -> String {
        self.cut();
        let text = String::from_utf8_lossy(&self.bytes).replace('\0', "\u{fffd}");
        if self.is_cut { format!("[…]{text}") } else { text }
    }
}

// === impl ProcessGroup ===

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // A group without a process is an ended one.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(
        command: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> (Result<(), CommandError>, String) {
        let mut output = Output::default();
        let environment = vec![("ACCOUNT", "a; exit 1".to_owned())];
        let task = Task { command, environment, deadline: Instant::now() + limit, cancel };
        let result = task.run(&mut output).await;
        (result, output.into_text())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_command_reports_its_end_and_its_output() {
        let never = CancellationToken::new();
        for (command, result, output) in [
            ("echo one; echo two >&2", "Ok(())", "one\ntwo\n"),
            ("printf %s \"$ACCOUNT\"", "Ok(())", "a; exit 1"),
            ("exit 7", "Err(Status(7))", ""),
            ("kill -9 $$", "Err(Signal(9))", ""),
            ("read line || echo no input", "Ok(())", "no input\n"),
            ("/nonexistent", "Err(Status(127))", "/bin/sh: 1: /nonexistent: not found\n"),
            ("env | grep -c CARGO", "Err(Status(1))", "0\n"),
        ] {
            let (ended, printed) = run(command, LONG, &never).await;
            assert_eq!(format!("{ended:?}"), result, "{command}");
            assert_eq!(printed, output, "{command}");
        }
    }

    #[tokio::test]
    async fn only_the_end_of_a_long_output_is_kept() {
        let (ended, printed) =
            run("yes filler | head -c 40000000; echo the end", LONG, &CancellationToken::new()).await;
        assert!(ended.is_ok());
        assert!(printed.starts_with("[…]") && printed.ends_with("the end\n"), "{printed:.40}");
        assert!(printed.len() <= Output::MAX + "[…]".len());
    }

    /// A process that a command leaves behind would write to the target after the flip.
    #[tokio::test]
    async fn nothing_of_a_command_outlives_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let never = CancellationToken::new();
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        for (command, limit, cancel) in [
            ("exit 0", LONG, &never),
            ("wait", Duration::from_millis(200), &never),
            ("trap '' TERM; wait", Duration::from_millis(200), &never),
        ] {
            let command = format!("sleep 1000 & echo $! > {}; {command}", path.display());
            let began = Instant::now();
            let (_, _) = run(&command, limit, cancel).await;
            assert!(began.elapsed() < TERMINATION + Duration::from_secs(5), "{command}");
            let pid = std::fs::read_to_string(&path).unwrap();
            // A process that was killed is gone a moment later.
            let gone = async {
                while is_running(pid.trim()) {
                    tokio::task::yield_now().await;
                }
            };
            timeout(Duration::from_secs(10), gone).await.expect(&command);
        }
        let (ended, _) = run("sleep 1000", LONG, &cancelled).await;
        assert!(matches!(ended, Err(CommandError::Cancelled)), "{ended:?}");
    }

    /// What a crash of this process does to it.
    #[tokio::test]
    async fn a_command_ends_with_the_process_that_runs_it() {
        let never = CancellationToken::new();
        let task = Task {
            command: "sleep 1000 & wait",
            environment: Vec::new(),
            deadline: Instant::now(),
            cancel: &never,
        };
        let (_reader, mut child, lifeline) = task.start().unwrap();
        drop(lifeline);
        let status = timeout(LONG, child.wait()).await.expect("it ends").unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    /// A killed process may be waiting for its new parent to collect its status.
    fn is_running(pid: &str) -> bool {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => !stat.contains(") Z "),
            Err(_) => false,
        }
    }
}
