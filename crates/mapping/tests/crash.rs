//! After `kill -9` at any instant during a thousand writes, the mapping file is either the old one or the new one,
//! complete, with every acknowledged write and every other line unchanged.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mapping::{Change, FileStore, Name, Router, Rules, Settings};

/// Names the folder in which [`writer`] writes; unset in an ordinary run.
const FOLDER: &str = "POINTSMAN_TEST_CRASH_FOLDER";

/// The first number that the writer writes.
const FIRST: &str = "POINTSMAN_TEST_CRASH_FIRST";

/// Concurrent writes of one round.
const WRITES: usize = 1_000;

/// How often the writer is killed.
const ROUNDS: usize = 200;

fn rules() -> Rules {
    Rules::new(["new", "old"].map(Name::from), false, false)
}

/// Lines that no test writes to, with the spacing, comments and line endings of a hand-written file.
fn untouched() -> Vec<String> {
    let mut lines = vec!["\u{feff}# people who have moved".to_owned(), String::new()];
    // A long line, so that a write takes a while and a torn file is noticed.
    lines.push(format!("# {}", "a long story ".repeat(40_000)));
    for number in 0..100 {
        lines.push(format!("  hand{number} \t old  \r"));
        lines.push(format!("\t# {number}: ask before this one is moved"));
    }
    lines
}

/// The process that is killed: it runs a thousand writes at once and prints a line for each acknowledged one. Does
/// nothing in an ordinary run.
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
    print_line("begun");
    let mut writes = tokio::task::JoinSet::new();
    for number in first..first + WRITES {
        let control = Arc::clone(&control);
        writes.spawn(async move {
            control.apply(vec![Change::set(format!("user{number}"), "new")]).await.unwrap();
            print_line(&format!("acknowledged {number}"));
        });
        if number % 16 == 0 {
            // Some writes start now, so that the thousand writes need several rewrites.
            tokio::task::yield_now().await;
        }
    }
    while writes.join_next().await.is_some() {}
    std::future::pending::<()>().await;
}

/// Prints a line in one write to the pipe, so that the kill leaves a whole line or none.
fn print_line(line: &str) {
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
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

/// Kills the writer `delay` after its `count`th acknowledgement, and returns every number it has acknowledged.
fn killed_after(mut writer: Child, count: usize, delay: Duration) -> Vec<usize> {
    // The test harness prints its own lines first.
    let mut lines =
        BufReader::new(writer.stdout.take().expect("stdout is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("begun")), "the writer ended early");
    let mut acknowledged = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
    let mut numbers: Vec<usize> = acknowledged.by_ref().take(count).collect();
    assert_eq!(numbers.len(), count, "the writer ended early");
    #[expect(clippy::disallowed_methods, reason = "the delay only varies the instant of the kill")]
    std::thread::sleep(delay);
    writer.kill().expect("the writer is running");
    // Acknowledgements between the last expected line and the kill count too.
    numbers.extend(acknowledged);
    writer.wait().expect("the writer has ended");
    numbers
}

#[test]
fn no_acknowledged_write_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mapping");
    let untouched = untouched();
    std::fs::write(&path, untouched.join("\n") + "\n").unwrap();
    let mut kept = BTreeSet::new();
    let mut total = 0;
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        // The writer is then in its first rewrite or in a later one.
        let count = [0, 1, 2, 7, 40, 130, 300][round % 7];
        let delay = Duration::from_micros(100 * (round as u64 * 37 % 101));
        let acknowledged = killed_after(start(folder.path(), round * WRITES), count, delay);
        total += acknowledged.len();
        interrupted += usize::from(acknowledged.len() < WRITES);

        FileStore::check(&path, &rules()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (ours, theirs): (Vec<_>, Vec<_>) =
            text.split_inclusive('\n').partition(|line| line.starts_with("user"));
        let theirs: Vec<_> = theirs.into_iter().map(|line| line.trim_end_matches('\n')).collect();
        assert_eq!(theirs, untouched, "round {round}");
        let ours: BTreeSet<usize> = ours.into_iter().map(number_of).collect();
        let lost: Vec<_> = kept.iter().chain(&acknowledged).filter(|number| !ours.contains(number)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} were acknowledged");

        // The next round starts with this round's lines only; keeping all of them would be slow.
        kept = ours.into_iter().filter(|number| *number >= round * WRITES).collect();
        let lines: String = kept.iter().map(|number| format!("user{number}\tnew\n")).collect();
        std::fs::write(&path, format!("{}\n{lines}", untouched.join("\n"))).unwrap();
    }
    println!("{total} writes acknowledged, {interrupted} of {ROUNDS} rounds interrupted");
    assert!(interrupted > 10, "only {interrupted} of {ROUNDS} rounds were interrupted");
}

/// Returns the number in a line of the writer. No other line begins like one.
fn number_of(line: &str) -> usize {
    let number = line.strip_prefix("user").and_then(|rest| rest.strip_suffix("\tnew\n"));
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("a torn line: {line:?}"))
}
