//! The file after a process is killed at each step of a write. `tests/crash.rs` kills at random instants.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::*;

/// The path of the writer's file, and the step at which it is killed. Unset in an ordinary run.
const PATH: &str = "POINTSMAN_TEST_KILLED_PATH";
const STEP: &str = "POINTSMAN_TEST_KILLED_STEP";

/// The process that is killed. Does nothing in an ordinary run.
#[tokio::test]
async fn writer() {
    let (Ok(path), Ok(last)) = (std::env::var(PATH), std::env::var(STEP)) else {
        return;
    };
    let store = probed(Path::new(&path), move |step| {
        if format!("{step:?}") == last {
            let ourselves = rustix::process::getpid();
            rustix::process::kill_process(ourselves, rustix::process::Signal::KILL)?;
        }
        Ok(())
    });
    let _ = apply(&store, &[("alice", Some("new"))]).await;
}

#[tokio::test]
async fn each_step_leaves_the_old_file_or_the_new_one() {
    let new = TEXT.replace("alice\told", "alice\tnew");
    for (step, expected) in [
        (WriteStep::Create, TEXT),
        (WriteStep::Write, TEXT),
        (WriteStep::Sync, TEXT),
        (WriteStep::Look, TEXT),
        (WriteStep::Rename, TEXT),
        (WriteStep::SyncFolder, &new),
    ] {
        let (folder, path) = folder(TEXT);
        let mut writer = Command::new(std::env::current_exe().unwrap());
        writer.args(["--exact", "file::tests::killed::writer"]);
        let ended = writer.env(PATH, &path).env(STEP, format!("{step:?}")).output().unwrap();
        assert_eq!(ended.status.signal(), Some(9), "{step:?}");
        assert_eq!(read(&path), expected, "{step:?}");
        // A leftover temporary file does not matter, and the next write removes it.
        let store = open(&path);
        assert_eq!(apply(&store, &[("bob", Some("new"))]).await.unwrap(), 1, "{step:?}");
        assert_eq!(read(&path), expected.replace("bob old", "bob new"), "{step:?}");
        assert_eq!(names(&folder), BTreeSet::from(["mapping".to_owned()]), "{step:?}");
    }
}
