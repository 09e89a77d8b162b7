//! kill -9 at any instant, with a thousand writes under way, leaves the old mapping file or the new one, whole,
//! with every acknowledged write, and with every line that nobody wrote to as it was.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mapping::{Change, FileStore, Name, Router, Rules, Settings};

/// Names the folder in which [`writer`] writes; unset in an ordinary run.
const FOLDER: &str = "POINTSMAN_TEST_CRASH_FOLDER";

/// The first number that it writes.
const FIRST: &str = "POINTSMAN_TEST_CRASH_FIRST";

/// Writes of one round, all under way at once.
const WRITES: usize = 1_000;

/// How often the writer is killed.
const ROUNDS: usize = 200;

fn rules() -> Rules {
    Rules::new(["new", "old"].map(Name::from), false, false)
}

/// Lines that nobody writes to: spacing, comments and line ends as no program would make them.
fn untouched() -> Vec<String> {
    let mut lines = vec!["\u{feff}# people who have moved".to_owned(), String::new()];
    // So that writing takes its time, and a torn file would be found.
    lines.push(format!("# {}", "a long story ".repeat(40_000)));
    for number in 0..100 {
        lines.push(format!("  hand{number} \t old  \r"));
        lines.push(format!("\t# {number}: ask before this one is moved"));
    }
    lines
}

/// The process that is killed: a thousand writes at once, and a word for each that was acknowledged. No test
/// of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let first: usize = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Arc::new(FileStore::open(Path::new(&folder).join("mapping"), rules()).unwrap());
    let day = Duration::from_secs(86_400);
    let settings = Settings {
        rules: rules(),
        default: "old".into(),
        positive_ttl: day,
        negative_ttl: day,
        lookup_timeout: day,
    };
    let (_, control) = Router::new(store, settings, 10);
    let control = Arc::new(control);
    say("begun");
    let mut writes = tokio::task::JoinSet::new();
    for number in first..first + WRITES {
        let control = Arc::clone(&control);
        writes.spawn(async move {
            control.apply(vec![Change::set(format!("user{number}"), "new")]).await.unwrap();
            say(&format!("acknowledged {number}"));
        });
        if number % 16 == 0 {
            // Others have begun to write: the thousand are not one rewrite.
            tokio::task::yield_now().await;
        }
    }
    while writes.join_next().await.is_some() {}
    std::future::pending::<()>().await;
}

/// One write to the pipe, so that the kill leaves a whole line or none.
fn say(word: &str) {
    let _ = std::io::stdout().write_all(format!("{word}\n").as_bytes());
}

fn start(folder: &Path, first: usize) -> Child {
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "writer", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again")
}

/// Kills the writer `later` than it has said `count` words; returns every number that it has said by then.
fn killed_after(mut writer: Child, count: usize, later: Duration) -> Vec<usize> {
    // The test runner's own words stand before the first.
    let mut lines = BufReader::new(writer.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("begun")), "the writer ended by itself");
    let mut said = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
    let mut numbers: Vec<usize> = said.by_ref().take(count).collect();
    assert_eq!(numbers.len(), count, "the writer ended by itself");
    #[expect(clippy::disallowed_methods, reason = "nothing is waited for: it is the instant that differs")]
    std::thread::sleep(later);
    writer.kill().expect("it is still there");
    // What was said between the last word that we waited for and the kill counts too.
    numbers.extend(said);
    writer.wait().expect("it has ended");
    numbers
}

#[test]
fn no_acknowledged_write_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mapping");
    let untouched = untouched();
    std::fs::write(&path, untouched.join("\n") + "\n").unwrap();
    let mut kept = BTreeSet::new();
    let mut count_all = 0;
    let mut cut_short = 0;
    for round in 0..ROUNDS {
        // Wherever the writer is then: in its first rewrite, or in a later one.
        let count = [0, 1, 2, 7, 40, 130, 300][round % 7];
        let later = Duration::from_micros(100 * (round as u64 * 37 % 101));
        let acknowledged = killed_after(start(folder.path(), round * WRITES), count, later);
        count_all += acknowledged.len();
        cut_short += usize::from(acknowledged.len() < WRITES);

        FileStore::check(&path, &rules()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (ours, theirs): (Vec<_>, Vec<_>) =
            text.split_inclusive('\n').partition(|line| line.starts_with("user"));
        let theirs: Vec<_> = theirs.into_iter().map(|line| line.trim_end_matches('\n')).collect();
        assert_eq!(theirs, untouched, "round {round}");
        let ours: BTreeSet<usize> = ours.into_iter().map(number_of).collect();
        let lost: Vec<_> = kept.iter().chain(&acknowledged).filter(|number| !ours.contains(number)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} were acknowledged");

        // The next round finds what this one has added, and not all that ever was: that would only be slow.
        kept = ours.into_iter().filter(|number| *number >= round * WRITES).collect();
        let lines: String = kept.iter().map(|number| format!("user{number}\tnew\n")).collect();
        std::fs::write(&path, format!("{}\n{lines}", untouched.join("\n"))).unwrap();
    }
    println!("{count_all} writes acknowledged, {cut_short} of {ROUNDS} rounds cut short");
    assert!(cut_short > 10, "only {cut_short} of {ROUNDS} rounds were cut short");
}

/// The number in a line that the writer has made; no other line begins like one.
fn number_of(line: &str) -> usize {
    let number = line.strip_prefix("user").and_then(|rest| rest.strip_suffix("\tnew\n"));
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("a torn line: {line:?}"))
}
