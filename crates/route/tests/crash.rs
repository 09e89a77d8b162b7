//! kill -9 at any instant leaves the old mapping file or the new one, whole, with every acknowledged write.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use pointsman_route::{Change, FileStore, Name, Router, Rules, Settings};

/// Names the folder in which [`writer`] writes; unset in an ordinary run.
const FOLDER: &str = "POINTSMAN_TEST_CRASH_FOLDER";

fn rules() -> Rules {
    Rules::new(["new", "old"].map(Name::from), false, false)
}

/// The process that is killed: adds one account after the other and says so. No test of its own.
#[tokio::test]
async fn writer() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let store = Arc::new(FileStore::open(Path::new(&folder).join("mapping"), rules()).unwrap());
    let day = std::time::Duration::from_secs(86_400);
    let settings = Settings {
        rules: rules(),
        default: "old".into(),
        positive_ttl: day,
        negative_ttl: day,
        lookup_timeout: day,
    };
    let first = store.loaded().entries;
    let router = Router::new(store, settings, 10);
    for number in first.. {
        let change = Change::set(format!("user{number}"), "new");
        router.apply(vec![change]).await.unwrap();
        println!("acknowledged {number}");
    }
}

#[test]
fn no_acknowledged_write_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mapping");
    let head = format!("# {}\n", "a comment that is longer than a page\n# ".repeat(500));
    std::fs::write(&path, &head).unwrap();
    for round in 1..=12 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let acknowledged = lines.map_while(Result::ok).filter_map(|line| {
            // The test runner's own words may stand before the first.
            line.rsplit_once("acknowledged ").and_then(|(_, number)| number.parse::<usize>().ok())
        });
        // Each round is killed a little later, wherever the writer is then.
        let last = acknowledged.take(round * 3).last().unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();

        let loaded = FileStore::check(&path, &rules()).unwrap();
        assert!(
            loaded.entries > last,
            "user{last} was acknowledged, and there are {} entries",
            loaded.entries
        );
        let text = std::fs::read_to_string(&path).unwrap();
        let expected: String = (0..loaded.entries).map(|number| format!("user{number}\tnew\n")).collect();
        assert_eq!(text, format!("{head}{expected}"));
    }
}
