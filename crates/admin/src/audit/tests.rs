use std::fs::OpenOptions;
use std::io::Write;

use super::*;

mod disk;

fn action(subject: &str) -> Action {
    Action::to_account("mapping.set", subject).before("old")
}

fn open(folder: &tempfile::TempDir, max_bytes: u64) -> Audit {
    Audit::with_size(folder.path(), &Arc::new(Accounts::Full), max_bytes).expect("a log")
}

fn actor() -> Actor {
    Actor::Token { address: "::ffff:192.0.2.7".parse().expect("address"), name: Some("jane".to_owned()) }
}

fn seqs(page: &AuditPage) -> Vec<u64> {
    page.records.iter().map(|record| record.seq).collect()
}

/// The action and the subject of each record.
fn actions(page: &AuditPage) -> Vec<String> {
    page.records.iter().map(|record| format!("{} {}", record.act, record.subject)).collect()
}

/// The lines of the file, each of which must be a record.
fn lines(audit: &Audit) -> usize {
    let text = std::fs::read_to_string(audit.path()).expect("the file");
    assert!(text.ends_with('\n'), "{text:?}");
    text.lines().filter(|line| serde_json::from_str::<AuditRecord>(line).is_ok()).count()
}

#[tokio::test]
async fn records_are_numbered_across_restarts_and_paged_from_the_newest() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..3 {
        let audit = open(&folder, MAX_BYTES);
        audit.record(&actor(), action(&format!("alice{round}")), "ok").await;
        audit.record(&Actor::Signal, action("x"), "422").await;
    }
    let audit = open(&folder, MAX_BYTES);
    let page = audit.page(None, 4).await.expect("a page");
    assert_eq!((seqs(&page), page.next), (vec![6, 5, 4, 3], Some(2)));
    let page = audit.page(page.next, 4).await.expect("a page");
    assert_eq!((seqs(&page), page.next), (vec![2, 1], None));
    let record = &page.records[1];
    assert_eq!((record.who.as_str(), record.from.as_deref()), ("token", Some("192.0.2.7")));
    assert_eq!((record.subject.as_str(), record.before.as_deref()), ("alice0", Some("old")));
}

#[tokio::test]
async fn files_are_rotated_and_the_oldest_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = open(&folder, 1_000);
    for _ in 0..100 {
        audit.record(&Actor::Signal, action(&"a".repeat(100)), "ok").await;
    }
    let sizes: Vec<u64> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len())
        .collect();
    assert_eq!(sizes.len(), 1 + OLDER_FILES);
    assert!(sizes.iter().all(|size| *size <= 1_000), "{sizes:?}");
    let page = audit.page(None, 1_000).await.expect("a page");
    let kept = seqs(&page);
    assert_eq!(kept.first(), Some(&100));
    assert!(kept.windows(2).all(|pair| pair[0] == pair[1] + 1), "{kept:?}");
}

#[tokio::test]
async fn an_incomplete_line_does_not_damage_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = open(&folder, MAX_BYTES);
    audit.record(&Actor::Signal, action("a"), "ok").await;
    let mut file = OpenOptions::new().append(true).open(audit.path()).expect("the file");
    file.write_all(b"{\"seq\":2,\"time\":\"20").expect("half a line");
    let audit = open(&folder, MAX_BYTES);
    audit.record(&Actor::Signal, action("b"), "ok").await;
    let page = audit.page(None, 9).await.expect("a page");
    assert_eq!(seqs(&page), [3, 2, 1]);
    assert_eq!(actions(&page), ["mapping.set b", "audit.lost 1 record", "mapping.set a"]);
    assert_eq!(lines(&audit), 3, "the incomplete line is gone");
}

#[tokio::test]
async fn members_are_bounded_and_stay_on_their_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = open(&folder, MAX_BYTES);
    audit.record(&actor(), action(&format!("a\n{{\"seq\":9}}\n{}", "ä".repeat(5_000))), "ok").await;
    let page = audit.page(None, 9).await.expect("a page");
    assert_eq!(seqs(&page), [1]);
    assert!(page.records[0].subject.len() <= MAX_TEXT);
}

/// When the directory is gone, this action and the next one succeed all the same.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_no_action() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = open(&folder, 1);
    audit.record(&Actor::Signal, action("a"), "ok").await;
    std::fs::remove_dir_all(folder.path()).expect("it goes");
    audit.record(&Actor::Signal, action("b"), "ok").await;
}

/// The new file cannot be made after the renaming: later records begin it, and no older file is lost.
#[tokio::test]
async fn a_failed_rotation_is_continued() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = open(&folder, 1_000);
    for _ in 0..8 {
        audit.record(&Actor::Signal, action(&"a".repeat(100)), "ok").await;
    }
    let before = audit.page(None, 100).await.expect("a page").records.len();
    std::fs::rename(audit.path(), read::older(audit.path(), 1)).expect("renamed, as by the rotation");
    for _ in 0..5 {
        audit.record(&Actor::Signal, action(&"b".repeat(100)), "ok").await;
    }
    let page = audit.page(None, 100).await.expect("a page");
    assert!(page.records.len() > before, "{:?}", seqs(&page));
    assert!(audit.path().exists());
}
