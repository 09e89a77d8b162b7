//! A full disk, tested on a real small file system instead of an injected error.

use std::process::Command;

use super::*;

/// A file system of 64 KiB in memory, unmounted when it is dropped.
struct SmallDisk(TempDir);

const MOUNT: [&str; 5] = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0755"];

/// Set when this test runs a second time, in a namespace in which it may mount.
const IN_NAMESPACE: &str = "POINTSMAN_TEST_DISK_IN_NAME_SPACE";

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new(MOUNT[0]).args(&MOUNT[1..]).arg("pointsman-test").arg(folder.path()))?;
        Ok(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a file may still be open when the folder is removed.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
}

/// Runs this test again in a namespace in which an ordinary user may mount. If there is none, a message goes directly to
/// stderr, because the test harness would hide it.
fn run_in_namespace(why: &str) {
    if run(Command::new("unshare").args(["-rm", "true"])).is_err() {
        let message =
            format!("NOT RUN: a full disk: nothing can be mounted here ({why}): run the tests as root\n");
        let _ = io::Write::write_all(&mut io::stderr(), message.as_bytes());
        return;
    }
    let mut again = Command::new("unshare");
    again.arg("-rm").arg(std::env::current_exe().unwrap());
    again.args(["--exact", "file::tests::disk::a_full_disk_changes_nothing_and_a_later_write_succeeds"]);
    run(again.env(IN_NAMESPACE, "1")).unwrap();
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_a_later_write_succeeds() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) if std::env::var_os(IN_NAMESPACE).is_none() => return run_in_namespace(&why),
        Err(why) => panic!("{why}"),
    };
    let path = disk.0.path().join("mapping");
    let text = format!("# {}\nalice old\n", "a long story ".repeat(1_500));
    fs::write(&path, &text).unwrap();
    let store = open(&path);
    // Space is left for part of a new file, so that some pages are written before the disk is full.
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 32 * 1_024]).unwrap();
    for _ in 0..3 {
        let error = apply(&store, &[("alice", Some("new"))]).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
        assert!(error.to_string().starts_with("no space is left to write /"), "{error}");
        assert_eq!((read(&path) == text, at(&store, "alice")), (true, Some("old".into())));
        let names = names(&disk.0);
        assert_eq!(
            names,
            BTreeSet::from(["ballast", "mapping"].map(str::to_owned)),
            "no temporary file is left"
        );
    }
    fs::remove_file(&ballast).unwrap();
    assert_eq!(apply(&store, &[("alice", Some("new"))]).await.unwrap(), 1);
    assert_eq!(read(&path), text.replace("alice old", "alice new"));
    assert_eq!(at(&store, "alice"), Some("new".into()));
}
