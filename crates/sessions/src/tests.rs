use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, advance};
use types::protocol::Protocol;

use super::*;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn registry() -> RegistryControl {
    Registry::new(Limits { logins_in_flight: 3, connections: 2 }).1
}

fn begin(registry: &Registry, identifier: &str) -> LoginTicket {
    registry.begin(identifier, Protocol::Imap, CLIENT).unwrap()
}

fn session(registry: &Registry, identifier: &str, destination: &str) -> SessionTicket {
    begin(registry, identifier).confirm(destination.into()).unwrap()
}

fn counts(registry: &Registry) -> (usize, usize, usize) {
    let Counts { accounts, logins, sessions } = registry.counts();
    (accounts, logins, sessions)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Polls a future once and returns its output, if it is ready.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_login_becomes_a_session_and_leaves_nothing_behind() {
    let registry = registry();
    let mut login = begin(&registry, "alice");
    assert_eq!(login.wait_admitted().await, Ok(()));
    assert_eq!(counts(&registry), (1, 1, 0));
    let session = login.confirm("new".into()).unwrap();
    assert_eq!(counts(&registry), (1, 0, 1));
    session.traffic().to_client.fetch_add(5, Ordering::Relaxed);
    let listed = registry.sessions();
    let [info] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((info.id, info.account.as_deref(), &*info.destination), (session.id(), Some("alice"), "new"));
    assert_eq!((info.protocol, info.client), (Protocol::Imap, CLIENT));
    assert_eq!(info.traffic.to_client.load(Ordering::Relaxed), 5);
    assert_eq!(now(session.ended()).await, None);
    drop(session);
    drop(begin(&registry, "bob"));
    assert_eq!(counts(&registry), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn sessions_without_an_account_are_listed_and_drained_and_under_no_rule() {
    let registry = registry();
    let mut tickets = Vec::new();
    for _ in 0..5 {
        let mut login = registry.begin_anonymous(Protocol::Smtp, CLIENT);
        assert_eq!(login.wait_admitted().await, Ok(()));
        tickets.push(login);
    }
    assert_eq!(counts(&registry), (0, 5, 0));
    let sessions: Vec<_> = tickets.into_iter().map(|login| login.confirm("old".into()).unwrap()).collect();
    assert_eq!(counts(&registry), (0, 0, 5));
    assert_eq!(
        (registry.sessions()[0].account.clone(), registry.sessions_where(2, |_| true).len()),
        (None, 2)
    );
    assert_eq!(
        registry.kick_where(|info| info.protocol == Protocol::Smtp),
        Kicked { sessions: 5, logins: 0 }
    );
    assert_eq!(now(sessions[0].ended()).await, Some(EndReason::Kick));
    drop(sessions);
    assert_eq!(counts(&registry), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_account_has_bounds_that_may_change() {
    let registry = registry();
    let logins: Vec<_> = (0..3).map(|_| begin(&registry, "alice")).collect();
    let mut sessions = Vec::new();
    for (number, login) in logins.into_iter().enumerate() {
        match login.confirm("new".into()) {
            Ok(session) => sessions.push(session),
            Err(Unconfirmed::Busy(Busy::Connections)) => assert_eq!(number, 2),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(counts(&registry), (1, 0, 2));
    assert_eq!(registry.begin("alice", Protocol::Imap, CLIENT).unwrap_err(), Busy::Connections);
    registry.set_limits(Limits { logins_in_flight: 0, connections: 0 });
    let more: Vec<_> = (0..50).map(|_| begin(&registry, "alice")).collect();
    sessions.extend(more.into_iter().map(|login| login.confirm("new".into()).unwrap()));
    assert_eq!(counts(&registry), (1, 0, 52));
}

#[tokio::test(start_paused = true)]
async fn a_kick_ends_sessions_and_catches_logins_under_way() {
    let registry = registry();
    let session = session(&registry, "alice", "old");
    let mut login = begin(&registry, "alice");
    login.wait_admitted().await.unwrap();
    assert_eq!(registry.kick_account("alice"), Kicked { sessions: 1, logins: 1 });
    assert_eq!(registry.kick_account("alice"), Kicked { sessions: 0, logins: 1 }, "already asked");
    assert_eq!(registry.kick_account("bob"), Kicked::default());
    assert_eq!(session.ended().await, EndReason::Kick);
    let Err(Unconfirmed::Outdated(mut login)) = login.confirm("old".into()) else { panic!("not caught") };
    assert_eq!(counts(&registry), (1, 1, 1));
    login.wait_admitted().await.unwrap();
    let again = login.confirm("new".into()).unwrap();
    assert_eq!(now(again.ended()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_bump_has_logins_looked_up_again_and_ends_no_session() {
    let registry = registry();
    let session = session(&registry, "alice", "old");
    let login = begin(&registry, "alice");
    let other = begin(&registry, "bob");
    registry.bump("alice");
    registry.bump("nobody");
    assert!(matches!(login.confirm("old".into()), Err(Unconfirmed::Outdated(_))));
    assert!(other.confirm("old".into()).is_ok());
    assert_eq!(now(session.ended()).await, None);
    assert_eq!(counts(&registry).0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_kick_by_pattern_ends_what_matches() {
    let registry = registry();
    let alice = session(&registry, "alice@a", "old");
    let bob = session(&registry, "bob@b", "new");
    let login = begin(&registry, "carol@c");
    let kicked =
        registry.kick_where(|info| info.account.as_deref().is_some_and(|account| account.ends_with("@a")));
    assert_eq!(kicked, Kicked { sessions: 1, logins: 1 });
    assert_eq!(now(alice.ended()).await, Some(EndReason::Kick));
    assert_eq!(now(bob.ended()).await, None);
    assert!(
        matches!(login.confirm("old".into()), Err(Unconfirmed::Outdated(_))),
        "it may be one that matches"
    );
    let found = registry.sessions_where(10, |info| &*info.destination == "new");
    assert_eq!(found.iter().map(|info| info.id).collect::<Vec<_>>(), [bob.id()]);
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_waited_for_clamped_and_can_be_ended() {
    let registry = registry();
    let began = Instant::now();
    registry.delay("alice", Duration::from_secs(1_000_000));
    assert_eq!(counts(&registry), (1, 0, 0));
    begin(&registry, "alice").wait_admitted().await.unwrap();
    assert_eq!(began.elapsed(), MAX_DELAY);
    assert_eq!(counts(&registry), (0, 0, 0), "a past delay keeps no entry");

    registry.delay("alice", Duration::from_secs(60));
    let mut login = begin(&registry, "alice");
    let mut waiting = pin!(login.wait_admitted());
    assert_eq!(now(waiting.as_mut()).await, None);
    registry.delay("alice", Duration::ZERO);
    assert_eq!(now(waiting).await, Some(Ok(())));
    begin(&registry, "bob").wait_admitted().await.unwrap();
    assert_eq!(began.elapsed(), MAX_DELAY);
}

#[tokio::test(start_paused = true)]
async fn past_delays_do_not_pile_up() {
    let registry = registry();
    for number in 0..20_000 {
        registry.delay(&format!("user{number}"), Duration::from_secs(1));
        if number % 1_000 == 999 {
            advance(Duration::from_secs(2)).await;
        }
    }
    let accounts = counts(&registry).0;
    assert!(accounts <= 2_000, "{accounts}");
}

#[tokio::test(start_paused = true)]
async fn a_hold_makes_logins_wait_wherever_they_are() {
    let registry = registry();
    let session = session(&registry, "alice", "old");
    let mut looked_up = begin(&registry, "alice");
    looked_up.wait_admitted().await.unwrap();
    let hold = registry.hold(&["alice", "alice@example.org", "alice"], soon()).unwrap();
    assert_eq!(hold.accounts().len(), 2);
    assert_eq!(registry.hold(&["bob", "alice"], soon()).unwrap_err(), HoldError::AlreadyHeld("alice".into()));
    assert_eq!(counts(&registry).0, 2, "bob was let go again");

    let Err(Unconfirmed::Outdated(mut caught)) = looked_up.confirm("old".into()) else {
        panic!("not caught")
    };
    let mut caught_waits = Box::pin(caught.wait_admitted());
    let mut new = begin(&registry, "alice@example.org");
    let mut new_waits = Box::pin(new.wait_admitted());
    assert_eq!((now(caught_waits.as_mut()).await, now(new_waits.as_mut()).await), (None, None));

    assert_eq!((hold.sessions(), hold.end_sessions(), hold.end_sessions()), (1, 1, 0));
    let mut emptied = Box::pin(hold.emptied());
    assert_eq!(now(emptied.as_mut()).await, None);
    assert_eq!(session.ended().await, EndReason::Move);
    drop(session);
    assert_eq!(now(emptied).await, Some(()));

    advance(Duration::from_secs(3)).await;
    let stats = hold.stats();
    hold.release();
    assert_eq!((caught_waits.await, new_waits.await), (Ok(()), Ok(())));
    assert_eq!((stats.logins(), stats.longest()), (2, Duration::from_secs(3)));
    assert!(caught.confirm("new".into()).is_ok() && new.confirm("new".into()).is_ok());
    assert_eq!(counts(&registry), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hold_past_its_time_lets_nobody_through_until_it_is_released() {
    let registry = registry();
    let began = Instant::now();
    let hold = registry.hold(&["alice"], soon()).unwrap();
    let mut login = begin(&registry, "alice");
    assert_eq!(login.wait_admitted().await, Err(HeldTooLong));
    assert_eq!(began.elapsed(), Duration::from_secs(60));
    assert_eq!(login.wait_admitted().await, Err(HeldTooLong));
    assert!(matches!(login.confirm("old".into()), Err(Unconfirmed::Outdated(_))));
    drop(hold);
    let mut login = begin(&registry, "alice");
    assert_eq!(login.wait_admitted().await, Ok(()));
    assert!(login.confirm("old".into()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_did_not_wait_is_caught_after_the_release() {
    let registry = registry();
    let hold = registry.hold(&["alice"], soon()).unwrap();
    // Looked up before the flip, whether it waited or not.
    let login = begin(&registry, "alice");
    hold.release();
    assert!(matches!(login.confirm("old".into()), Err(Unconfirmed::Outdated(_))));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_login_waits_for_a_hold_that_comes_later() {
    let registry = registry();
    registry.delay("alice", Duration::from_secs(5));
    let mut login = begin(&registry, "alice");
    let mut waiting = pin!(login.wait_admitted());
    assert_eq!(now(waiting.as_mut()).await, None);
    let hold = registry.hold(&["alice"], soon()).unwrap();
    advance(Duration::from_secs(6)).await;
    assert_eq!(now(waiting.as_mut()).await, None);
    hold.release();
    assert_eq!(now(waiting).await, Some(Ok(())));
}

#[test]
fn groups_have_bounds() {
    let registry = registry();
    let until = Instant::now();
    assert_eq!(registry.hold(&[], until).unwrap_err(), HoldError::NoAccount);
    let many = vec!["alice"; Hold::MAX_GROUP + 1];
    assert_eq!(registry.hold(&many, until).unwrap_err(), HoldError::TooMany(1_001));
    assert_eq!(counts(&registry), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_spreads_and_a_kick_does_not_wait_for_it() {
    let registry = Registry::new(Limits::default()).1;
    let sessions: Vec<_> =
        (0..200).map(|number| session(&registry, &format!("user{number}"), "old")).collect();
    let login = begin(&registry, "late");
    let began = Instant::now();
    registry.drain(Duration::from_secs(100));
    registry.drain(Duration::ZERO);
    let late = login.confirm("old".into()).unwrap();
    assert_eq!(registry.kick_account("user7"), Kicked { sessions: 1, logins: 0 });
    assert_eq!((sessions[7].ended().await, began.elapsed()), (EndReason::Kick, Duration::ZERO));

    let mut by_quarter = [0; 4];
    let ends: Vec<_> = sessions
        .into_iter()
        .chain([late])
        .map(|session| tokio::spawn(async move { (session.ended().await, began.elapsed().as_secs() / 25) }))
        .collect();
    for end in ends {
        let (reason, quarter) = end.await.unwrap();
        if reason == EndReason::Drain {
            by_quarter[usize::try_from(quarter).unwrap()] += 1;
        }
    }
    assert_eq!(by_quarter.iter().sum::<usize>(), 200);
    assert!(by_quarter.iter().all(|count| (35..=65).contains(count)), "{by_quarter:?}");
    assert_eq!(counts(&registry), (0, 0, 0));
}

/// Logs in over and over, as `mapping` says, and ends every other session only when it is asked to.
async fn log_in_until(
    registry: Registry,
    mapping: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    outdated: Arc<AtomicUsize>,
) {
    while !is_over.load(Ordering::SeqCst) {
        let mut login = begin(&registry, "alice");
        let session = loop {
            login.wait_admitted().await.unwrap();
            let destination = mapping.load(Ordering::SeqCst).to_string();
            // The backend's answer takes its time; holds come in between.
            tokio::task::yield_now().await;
            match login.confirm(destination.into()) {
                Ok(session) => break session,
                Err(Unconfirmed::Outdated(again)) => login = again,
                Err(Unconfirmed::Busy(busy)) => panic!("{busy}"),
            }
            outdated.fetch_add(1, Ordering::SeqCst);
        };
        if session.id() % 2 == 0 {
            assert_eq!(session.ended().await, EndReason::Move);
        }
    }
}

/// Logins against moves, at full speed. `mapping` is flipped only while the account is held and has no
/// session, so a session with another destination than the mapping's is one that slipped through.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_is_ever_on_the_server_that_its_account_has_left() {
    const LOGINS: usize = 8;
    const ROUNDS: usize = 300;
    const CAUGHT: usize = 20;
    let registry = Registry::new(Limits::default()).1;
    let mapping = Arc::default();
    let is_over = Arc::default();
    let outdated = Arc::default();
    let log_in = || {
        let mapping = Arc::clone(&mapping);
        let is_over = Arc::clone(&is_over);
        tokio::spawn(log_in_until(registry.clone(), mapping, is_over, Arc::clone(&outdated)))
    };
    let logins: Vec<_> = (0..LOGINS).map(|_| log_in()).collect();
    let mut round = 0;
    while round < ROUNDS || outdated.load(Ordering::SeqCst) < CAUGHT {
        assert!(round < 1_000 * ROUNDS, "hardly a login is ever caught: the test tests nothing");
        while registry.counts().logins == 0 && registry.counts().sessions < LOGINS {
            tokio::task::yield_now().await;
        }
        let hold = registry.hold(&["alice"], soon()).unwrap();
        let here = round.to_string();
        for info in registry.sessions() {
            assert_eq!(*info.destination, *here, "round {round}");
        }
        hold.end_sessions();
        hold.emptied().await;
        for _ in 0..4 {
            tokio::task::yield_now().await;
            assert_eq!(hold.sessions(), 0, "confirmed while held");
        }
        round += 1;
        mapping.store(round, Ordering::SeqCst);
        hold.release();
    }
    is_over.store(true, Ordering::SeqCst);
    for login in logins {
        end(&registry, login).await;
    }
    assert_eq!(counts(&registry), (0, 0, 0));
}

/// Waits for a task whose last session may have been confirmed after the last hold.
async fn end(registry: &RegistryControl, mut task: tokio::task::JoinHandle<()>) {
    loop {
        tokio::select! {
            ended = &mut task => return ended.unwrap(),
            () = tokio::task::yield_now() => {
                registry.hold(&["alice"], soon()).unwrap().end_sessions();
            }
        }
    }
}

/// A kick meets every login of its account, as a session or under way: none that was looked up before the
/// kick is a session that was not asked to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_login_slips_through_a_kick() {
    let registry = Arc::new(Registry::new(Limits::default()).1);
    for round in 0..500 {
        let mut login = begin(&registry, "alice");
        login.wait_admitted().await.unwrap();
        let confirm = tokio::spawn(async move { login.confirm("old".into()) });
        let kicked = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move { registry.kick_account("alice") }
        });
        let confirmed = confirm.await.unwrap();
        let kicked = kicked.await.unwrap();
        assert_eq!(kicked.sessions + kicked.logins, 1, "round {round}");
        match confirmed {
            Ok(session) => assert_eq!(session.ended().await, EndReason::Kick, "round {round}"),
            Err(Unconfirmed::Outdated(_)) => assert_eq!(kicked.logins, 1, "round {round}"),
            Err(Unconfirmed::Busy(busy)) => panic!("{busy}"),
        }
    }
    assert_eq!(counts(&registry), (0, 0, 0));
}

/// After a kick somebody can wait until what was kicked has left; sessions that came later are not waited for.
#[tokio::test]
async fn the_end_of_what_was_kicked_can_be_awaited() {
    let registry = registry();
    let first = session(&registry, "alice", "old");
    let bystander = session(&registry, "bob", "old");
    assert_eq!(registry.kick_account("alice").sessions, 1);
    let later = session(&registry, "alice", "new");
    let ending = registry.ending(|info| &*info.destination == "old");
    assert_eq!(ending.count(), 1, "bob was not kicked");
    assert_eq!(now(ending.all_left()).await, None);
    drop(first);
    assert_eq!((now(ending.all_left()).await, ending.count()), (Some(()), 0));
    assert_eq!(registry.ending(|_| true).count(), 0);
    drop((later, bystander));
}
