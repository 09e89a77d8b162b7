//! A full disk, tested on a real small file system.

use std::process::Command;

use super::*;

/// A file system of 32 KiB in memory, unmounted when it is dropped.
struct SmallDisk(tempfile::TempDir);

/// Set when this test runs a second time, in a namespace in which it may mount.
const IN_NAMESPACE: &str = "POINTSMAN_TEST_DISK_IN_NAME_SPACE";

// === impl SmallDisk ===

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = ["-t", "tmpfs", "-o", "size=32k,mode=0755", "pointsman-test"];
        run(Command::new("mount").args(options).arg(folder.path()))?;
        Ok(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because the log is still open when the folder is removed.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
}

/// Runs this test again in a namespace in which an ordinary user may mount.
fn run_in_namespace(why: &str) {
    if run(Command::new("unshare").args(["-rm", "true"])).is_err() {
        let message =
            format!("NOT RUN: a full disk: nothing can be mounted here ({why}): run the tests as root\n");
        let _ = std::io::stderr().write_all(message.as_bytes());
        return;
    }
    let mut again = Command::new("unshare");
    again.arg("-rm").arg(std::env::current_exe().expect("this program"));
    again.args(["--exact", "audit::tests::disk::a_full_disk_costs_only_the_records_that_did_not_fit"]);
    run(again.env(IN_NAMESPACE, "1")).expect("the test succeeds");
}

#[tokio::test]
async fn a_full_disk_costs_only_the_records_that_did_not_fit() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) if std::env::var_os(IN_NAMESPACE).is_none() => return run_in_namespace(&why),
        Err(why) => panic!("{why}"),
    };
    let audit = open(&disk.0, MAX_BYTES);
    let size = || std::fs::metadata(audit.path()).expect("the file").len();
    let mut written = 0;
    // The write that does not fit is cut off at the end of a page.
    loop {
        let before = size();
        audit.record(&Actor::Signal, action(&"a".repeat(700)), "ok").await;
        if size() <= before {
            break;
        }
        written += 1;
    }
    audit.record(&Actor::Signal, action(&"b".repeat(700)), "ok").await;
    assert_eq!(lines(&audit), written, "neither of the lost records has left a part");

    // There is room for one record and the report.
    std::fs::OpenOptions::new()
        .write(true)
        .open(audit.path())
        .and_then(|file| file.set_len(0))
        .expect("emptied");
    audit.record(&Actor::Signal, action("c"), "ok").await;
    let page = audit.page(None, 100).await.expect("a page");
    assert_eq!(actions(&page), ["mapping.set c", "audit.lost 2 records"]);
    assert_eq!(seqs(&page), [written as u64 + 2, written as u64 + 1]);
}
