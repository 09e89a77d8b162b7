//! Moves between two destinations, with a store that can fail and sessions that are only tickets.

use std::sync::Arc;
use std::time::Duration;

use control::Order;
use sessions::{EndReason, Unconfirmed};

use self::world::{LOGIN, PATIENCE, World, ended, options};
use crate::*;

mod world;

fn left_behind() -> MoveOptions {
    MoveOptions { leave_behind: true, ..options() }
}

#[tokio::test]
async fn a_move_holds_drains_copies_and_flips() {
    let world = World::new().await;
    let session = world.session("alice@example.org").await;
    let copied = world.folder.path().join("copied");
    let command =
        format!("printf '%s %s %s' \"$ACCOUNT\" \"$FROM\" \"$TO\" > {}; echo copied", copied.display());
    let id =
        world.start("alice@example.org", MoveOptions { sync: Some(command), ..options() }).await.unwrap();

    assert_eq!(session.ended().await, EndReason::Move);
    // A login that begins now waits, and completes at the target only.
    let mut login = world.registry.begin("alice@example.org", LOGIN.protocol, LOGIN.client).unwrap();
    assert!(!copied.exists(), "the copy begins when no session is left");
    drop(session);
    login.wait_admitted().await.unwrap();
    assert_eq!(world.destination("alice@example.org").await, "new");
    assert!(login.confirm("new".into()).is_ok());

    let record = ended(&world.moves, id).await;
    assert_eq!(record.outcome, Some(MoveOutcome::Done), "{record:?}");
    assert_eq!(std::fs::read_to_string(copied).unwrap(), "alice@example.org old new");
    assert_eq!(record.output, "copied\n");
    assert_eq!(record.figures.sessions_ended, 1);
    assert_eq!(record.figures.logins_waited, 1);
    assert!(record.figures.longest_wait <= record.figures.held, "{record:?}");
}

/// Whatever fails before the flip: the accounts are where they were, and their logins go on there.
#[tokio::test]
async fn a_failure_before_the_flip_changes_nothing() {
    for (change, message) in [
        (
            MoveOptions { sync: Some("echo no space >&2; exit 3".into()), ..options() },
            "sync: the command ended with status 3",
        ),
        (
            MoveOptions { sync: Some("sleep 1000".into()), hold: Duration::from_millis(400), ..options() },
            "the hold of 0.4 s was over in the step sync: choose a longer hold, or copy more before the move",
        ),
        (
            MoveOptions { sync: Some("kill -KILL $$".into()), ..options() },
            "sync: the command was ended by signal 9",
        ),
    ] {
        let world = World::new().await;
        let id = world.start("alice@example.org", change).await.unwrap();
        let record = ended(&world.moves, id).await;
        assert_eq!(record.outcome, Some(MoveOutcome::Failed));
        assert_eq!(record.message.as_deref(), Some(message));
        assert_eq!(world.destination("alice@example.org").await, "old");
        assert_eq!(world.store.writes(), 0, "{message}");
        drop(world.session("alice@example.org").await);
    }
}

#[tokio::test]
async fn a_session_that_does_not_end_is_kicked_and_then_stops_the_move() {
    let world = World::new().await;
    let session = world.session("alice@example.org").await;
    let impatient = MoveOptions { grace: Duration::from_millis(100), ..options() };
    let id = world.start("alice@example.org", impatient).await.unwrap();
    let record = ended(&world.moves, id).await;
    assert_eq!(record.outcome, Some(MoveOutcome::Failed));
    assert_eq!(record.message.as_deref(), Some("1 session did not end within the grace period and a kick"));
    assert_eq!(session.ended().await, EndReason::Kick);
    assert_eq!(world.destination("alice@example.org").await, "old");
}

#[tokio::test]
async fn a_store_that_refuses_stops_the_move() {
    let world = World::new().await;
    world.store.refuse_writes();
    let id = world.start("alice@example.org", options()).await.unwrap();
    let record = ended(&world.moves, id).await;
    assert_eq!(record.outcome, Some(MoveOutcome::Failed));
    assert_eq!(
        record.message.as_deref(),
        Some("the mapping was not changed: the mapping store is read-only: it is a test")
    );
    drop(world.session("alice@example.org").await);
}

/// The answer to the write is lost: nobody knows where the account is until the store answers again.
#[tokio::test]
async fn a_write_without_an_answer_keeps_the_hold_until_the_store_answers() {
    for (is_written, outcome, destination) in
        [(true, MoveOutcome::Done, "new"), (false, MoveOutcome::Failed, "old")]
    {
        let world = World::new().await;
        world.store.lose_the_answer(is_written);
        let id = world.start("alice@example.org", options()).await.unwrap();
        world.store.is_down().await;
        let mut login = world.registry.begin("alice@example.org", LOGIN.protocol, LOGIN.client).unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(300), login.wait_admitted()).await;
        assert!(waits.is_err(), "a login went on while nobody knew where the account was");
        world.store.come_back();
        login.wait_admitted().await.unwrap();
        let record = ended(&world.moves, id).await;
        assert_eq!(record.outcome, Some(outcome), "{record:?}");
        assert_eq!(world.destination("alice@example.org").await, destination);
    }
}

#[tokio::test]
async fn a_failed_check_at_the_target_takes_the_move_back() {
    let world = World::new().await;
    let change = MoveOptions { verify: Some("test \"$TO\" = nowhere".into()), ..options() };
    let id = world.start("alice@example.org", change).await.unwrap();
    let record = ended(&world.moves, id).await;
    assert_eq!(record.outcome, Some(MoveOutcome::Reverted));
    assert_eq!(record.message.as_deref(), Some("verify: the command ended with status 1"));
    assert_eq!(world.destination("alice@example.org").await, "old");
}

#[tokio::test]
async fn a_change_by_hand_during_the_move_wins() {
    let world = World::new().await;
    let marker = world.folder.path().join("go");
    let wait = format!("while ! test -e {}; do read -t 1 line || true; done", marker.display());
    let id = world.start("alice@example.org", MoveOptions { sync: Some(wait), ..options() }).await.unwrap();
    world.reaches(id, Step::Sync).await;
    world.control.execute(Order::set("alice@example.org", "third")).await.unwrap();
    std::fs::write(marker, "").unwrap();
    let record = ended(&world.moves, id).await;
    assert_eq!(record.outcome, Some(MoveOutcome::Failed));
    assert_eq!(
        record.message.as_deref(),
        Some(
            "alice@example.org was mapped to third during the move: the move was given up, and that mapping stays"
        )
    );
    assert_eq!(world.destination("alice@example.org").await, "third");
}

#[tokio::test]
async fn a_move_can_be_cancelled_until_the_flip() {
    let world = World::new().await;
    let sync = MoveOptions { sync: Some("sleep 1000".into()), ..options() };
    let id = world.start("alice@example.org", sync).await.unwrap();
    world.reaches(id, Step::Sync).await;
    world.moves.cancel(id).await.unwrap();
    assert_eq!(world.moves.get(id).await.unwrap().outcome, Some(MoveOutcome::Cancelled));
    drop(world.session("alice@example.org").await);
    assert_eq!(
        world.moves.cancel(id).await.unwrap_err().to_string(),
        format!("move {id} has ended: cancelled")
    );
}

#[tokio::test]
async fn every_mistake_of_a_request_is_reported_before_anything_starts() {
    let world = World::new().await;
    world.control.execute(Order::set("carol@example.org", "new")).await.unwrap();
    let request = |accounts: &[&str], target: &str| MoveRequest {
        accounts: accounts.iter().map(|account| Arc::from(*account)).collect(),
        target: target.into(),
        options: options(),
        rollback_of: None,
    };
    let with_sync = |command: String| MoveRequest {
        options: MoveOptions { sync: Some(command), ..options() },
        ..request(&["erin@example.org"], "new")
    };
    let requests = [
        request(&["alice@example.org"], "new"),
        request(&["@example.org"], "new"),
        request(&["bob@example.org", "carol@example.org"], "third"),
        request(&["ALICE@example.org"], "new"),
        request(&["carol@example.org"], "new"),
        request(&["dave@example.org"], "nowhere"),
        request(&[], "new"),
        request(&["*@example.org"], "new"),
        request(&["*"], "new"),
        with_sync("x".repeat(MoveOptions::MAX_COMMAND + 1)),
        with_sync("true\0".to_owned()),
        request(&["a\nb"], "new"),
    ];
    let MoveError::Problems(problems) = world.moves.start_batch("b", 0, &requests).await.unwrap_err() else {
        panic!("another error");
    };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "@example.org: a domain cannot be moved: name its accounts, in a batch",
        "carol@example.org: the account is at new, the first of its group at old: move them separately",
        "alice@example.org: the account is named twice in this batch",
        "carol@example.org: the account is at new already",
        "nowhere is not a declared destination; declared are: new, old, third",
        "no account was named",
        "*@example.org: a domain cannot be moved: name its accounts, in a batch",
        "*: a domain cannot be moved: name its accounts, in a batch",
        "the sync command has a NUL byte or more than 4096 bytes: put what it does into a script",
        "the sync command has a NUL byte or more than 4096 bytes: put what it does into a script",
    ];
    assert_eq!(problems[..10], expected);
    assert!(problems[10].starts_with("a\\nb: "), "{problems:?}");
    let error = world.moves.start_batch("empty", 0, &[]).await.unwrap_err().to_string();
    assert_eq!(error, "nothing was started: no account was named");
    assert!(matches!(world.moves.batch("empty").await, Err(MoveError::UnknownBatch(_))));
    assert!(world.moves.list(Query { limit: 10, ..Query::default() }).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_account_is_in_one_move_at_a_time() {
    let world = World::new().await;
    let sync = MoveOptions { sync: Some("sleep 1000".into()), ..options() };
    let id = world.start("alice@example.org", sync).await.unwrap();
    let error = world.start("Alice@example.org", options()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "nothing was started: alice@example.org: the account is in move {id}, which has not ended: wait for it, or cancel it"
        )
    );
    world.moves.cancel(id).await.unwrap();
    world.start("Alice@example.org", options()).await.unwrap();
}

/// A sync that deletes what only the target has destroys new mail when it runs again after a flip.
#[tokio::test]
async fn a_second_sync_onto_a_target_in_use_has_to_be_forced() {
    let world = World::new().await;
    let id = world.start("alice@example.org", options()).await.unwrap();
    ended(&world.moves, id).await;
    let error = world.moves.rollback(id, options()).await.unwrap_err().to_string();
    assert!(error.contains("what it received there would stay behind"), "{error}");
    let back = world.moves.rollback(id, left_behind()).await.unwrap();
    assert_eq!(ended(&world.moves, back).await.outcome, Some(MoveOutcome::Done));
    assert_eq!(world.destination("alice@example.org").await, "old");

    let sync = MoveOptions { sync: Some("true".into()), ..options() };
    let error = world.start("alice@example.org", sync.clone()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("move {id} has brought the account to new before")), "{error}");
    world.start("alice@example.org", MoveOptions { force: true, ..sync }).await.unwrap();
}

#[tokio::test]
async fn a_batch_pauses_after_its_failures_and_goes_on_when_resumed() {
    let world = World::new().await;
    let names: Vec<String> = (0..20).map(|number| format!("user{number}@example.org")).collect();
    let fails_at_first = format!("test -e {}", world.folder.path().join("fixed").display());
    let requests: Vec<MoveRequest> = names
        .iter()
        .map(|name| MoveRequest {
            accounts: vec![Arc::from(name.as_str())],
            target: "new".into(),
            options: MoveOptions { sync: Some(fails_at_first.clone()), ..options() },
            rollback_of: None,
        })
        .collect();
    world.moves.start_batch("all", 3, &requests).await.unwrap();
    let state = world.batch_until("all", |state| state.paused && state.running == 0).await;
    // Moves that were in progress at the third failure ended, too.
    assert!((3..3 + 4).contains(&state.not_done), "{state:?}");
    assert_eq!(state.done, 0);
    std::fs::write(world.folder.path().join("fixed"), "").unwrap();
    world.moves.resume("all").await.unwrap();
    let state = world.batch_until("all", |state| state.queued + state.running == 0).await;
    assert_eq!(state.done + state.not_done, 20, "{state:?}");
    assert!(matches!(world.moves.start_batch("all", 0, &[]).await, Err(MoveError::BatchExists(_))));
    assert!(matches!(world.moves.check(Some("all"), &requests).await, Err(MoveError::BatchExists(_))));
    let query = Query { batch: Some("all".into()), limit: 3, ..Query::default() };
    let page = world.moves.list(query).await.unwrap();
    let accounts: Vec<_> = page.iter().map(|record| record.accounts[0].to_string()).collect();
    assert_eq!(accounts, ["user19@example.org", "user18@example.org", "user17@example.org"]);
}

/// A crash at every step: the store says where the accounts are, and the journal follows.
#[tokio::test]
async fn a_restart_settles_what_a_crash_left() {
    for (step, is_flipped, outcome) in [
        (Step::Check, false, MoveOutcome::Failed),
        (Step::Hold, false, MoveOutcome::Failed),
        (Step::Drain, false, MoveOutcome::Failed),
        (Step::Sync, false, MoveOutcome::Failed),
        (Step::Flip, false, MoveOutcome::Failed),
        (Step::Flip, true, MoveOutcome::Unverified),
        (Step::Release, true, MoveOutcome::Unverified),
        (Step::Verify, true, MoveOutcome::Unverified),
        (Step::Revert, false, MoveOutcome::Reverted),
    ] {
        let world = World::new().await;
        let id = world.interrupted_at(step, is_flipped).await;
        let moves = world.reopened().await;
        let record = moves.get(id).await.unwrap();
        assert_eq!(record.outcome, Some(outcome), "{step:?} {is_flipped}: {record:?}");
        assert!(
            record
                .message
                .as_deref()
                .unwrap()
                .starts_with(&format!("interrupted in the step {}: ", step.label()))
        );
        drop(world.session("alice@example.org").await);
    }
}

#[tokio::test]
async fn a_restart_holds_what_the_store_does_not_answer_for() {
    let world = World::new().await;
    let id = world.interrupted_at(Step::Flip, true).await;
    world.store.go_down();
    let moves = world.reopened().await;
    assert_eq!(moves.get(id).await.unwrap().outcome, None);
    assert_eq!(
        moves.cancel(id).await.unwrap_err().to_string(),
        format!("move {id} was interrupted, and waits for the mapping store to say where its accounts are")
    );
    let mut login = world.registry.begin("alice@example.org", LOGIN.protocol, LOGIN.client).unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(300), login.wait_admitted()).await;
    assert!(waits.is_err(), "a login went to the default destination");
    world.store.come_back();
    tokio::time::timeout(PATIENCE, login.wait_admitted()).await.unwrap().unwrap();
    assert_eq!(ended(&moves, id).await.outcome, Some(MoveOutcome::Unverified));
    assert_eq!(world.destination("alice@example.org").await, "new");
}

/// A panic ends that move only, and its accounts are free again.
#[tokio::test]
async fn a_fault_of_the_program_is_settled_like_a_crash() {
    let world = World::new().await;
    let marker = world.folder.path().join("go");
    let wait = format!("while ! test -e {}; do read -t 1 line || true; done", marker.display());
    let id = world.start("alice@example.org", MoveOptions { sync: Some(wait), ..options() }).await.unwrap();
    world.reaches(id, Step::Sync).await;
    world.store.panic_once();
    std::fs::write(marker, "").unwrap();
    let record = ended(&world.moves, id).await;
    assert_eq!(record.outcome, Some(MoveOutcome::Failed));
    assert_eq!(
        record.message.as_deref(),
        Some("interrupted in the step flip: the accounts are at old, nothing was changed")
    );
    let again = world.start("alice@example.org", options()).await.unwrap();
    assert_eq!(ended(&world.moves, again).await.outcome, Some(MoveOutcome::Done));
}

/// The race that the hold exists for, many times over: whichever order the threads choose, a login is confirmed at the
/// old server before the move began, or at the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_login_is_confirmed_at_the_source_after_the_flip() {
    let world = World::new().await;
    for _ in 0..50 {
        let id = world.start("alice@example.org", MoveOptions { force: true, ..options() }).await.unwrap();
        let registry = world.registry.clone();
        let router = Arc::clone(&world.router);
        let store = Arc::clone(&world.store);
        let logins = tokio::spawn(async move {
            for _ in 0..20 {
                let mut login = registry.begin("alice@example.org", LOGIN.protocol, LOGIN.client).unwrap();
                login.wait_admitted().await.unwrap();
                let destination = router.resolve("alice@example.org").await.destination;
                match login.confirm(Arc::clone(&destination)) {
                    Ok(session) => {
                        assert_eq!(store.destination("alice@example.org"), *destination);
                        drop(session);
                    }
                    Err(Unconfirmed::Outdated(_)) => {}
                    Err(Unconfirmed::Busy(busy)) => panic!("{busy}"),
                }
            }
        });
        assert_eq!(ended(&world.moves, id).await.outcome, Some(MoveOutcome::Done));
        logins.await.unwrap();
        let back = world.moves.rollback(id, left_behind()).await.unwrap();
        assert_eq!(ended(&world.moves, back).await.outcome, Some(MoveOutcome::Done));
    }
}

/// An alert whose label value does not exist never fires.
#[test]
fn the_alert_names_outcomes_that_exist() {
    let alerts = include_str!("../../../contrib/prometheus/alerts.yml");
    let (_, rest) = alerts.split_once(r#"pointsman_moves_total{outcome=~""#).unwrap();
    let (outcomes, _) = rest.split_once('"').unwrap();
    assert!(outcomes.split('|').all(|label| MoveOutcome::from_label(label).is_some()), "{outcomes}");
}
