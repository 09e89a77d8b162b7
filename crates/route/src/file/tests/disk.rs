//! A disk that is full: a small file system of its own, not an error that a test makes up.

use std::process::Command;

use super::*;

/// A file system of 64 KiB in memory, unmounted when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where it cannot be had: only root may mount, and not in every container.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=0755", "pointsman-test"]).arg(folder.path());
        match mount.output() {
            Ok(done) if done.status.success() => Some(Self(folder)),
            failed => {
                let why = failed.map_or_else(
                    |error| error.to_string(),
                    |done| String::from_utf8_lossy(&done.stderr).trim().to_owned(),
                );
                eprintln!("NOT RUN: no small file system can be mounted here ({why}): run the tests as root");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a file may be open still, and the folder has to go.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_a_later_write_succeeds() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let path = disk.0.path().join("mapping");
    let text = format!("# {}\nalice old\n", "a long story ".repeat(1_500));
    fs::write(&path, &text).unwrap();
    let store = open(&path);
    // Room is left for a part of a new file: some pages are written before the disk is full.
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 32 * 1_024]).unwrap();
    for _ in 0..3 {
        let error = apply(&store, &[("alice", Some("new"))]).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
        assert!(error.to_string().starts_with("no room is left to write /"), "{error}");
        assert_eq!((read(&path) == text, at(&store, "alice")), (true, Some("old".into())));
        let names = names(&disk.0);
        assert_eq!(names, BTreeSet::from(["ballast", "mapping"].map(str::to_owned)), "nothing is left over");
    }
    fs::remove_file(&ballast).unwrap();
    assert_eq!(apply(&store, &[("alice", Some("new"))]).await.unwrap(), 1);
    assert_eq!(read(&path), text.replace("alice old", "alice new"));
    assert_eq!(at(&store, "alice"), Some("new".into()));
}
