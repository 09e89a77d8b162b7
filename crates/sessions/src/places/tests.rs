use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, advance};
use types::protocol::Protocol;

use super::*;
use crate::{HeldTooLong, Limits, LoginTicket, Registry, RegistryControl, Unconfirmed};

const OWNER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
/// The default of `limits.logins_in_flight_per_account`.
const LIMIT: usize = 8;

fn registry() -> RegistryControl {
    Registry::new(Limits { logins_in_flight: LIMIT, connections: 0 }).1
}

fn begin(registry: &Registry, client: IpAddr) -> LoginTicket {
    registry.begin("alice", Protocol::Imap, client).expect("no limit is reached")
}

/// Begins logins and waits until those that can have a place have one.
async fn begin_many(registry: &Registry, client: IpAddr, count: usize) -> Vec<LoginTicket> {
    let mut logins = Vec::new();
    for _ in 0..count {
        let mut login = begin(registry, client);
        let _ = is_admitted(&mut pin!(login.wait_admitted())).await;
        logins.push(login);
    }
    logins
}

/// Polls once.
async fn is_admitted(wait: &mut Pin<&mut impl Future<Output = Result<(), HeldTooLong>>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context) == Poll::Ready(Ok(())))).await
}

#[tokio::test]
async fn logins_of_one_network_do_not_delay_those_of_another() {
    let registry = registry();
    let unfinished = begin_many(&registry, OTHER, 120).await;
    let mut sessions = Vec::new();
    for _ in 0..32 {
        let mut login = begin(&registry, OWNER);
        assert!(is_admitted(&mut pin!(login.wait_admitted())).await, "login {}", sessions.len());
        sessions.push(login.confirm("new".into()).expect("nothing has changed"));
    }
    drop(unfinished);
}

#[tokio::test]
async fn logins_beyond_the_limit_wait_in_the_order_of_arrival() {
    let registry = registry();
    let mut in_flight = begin_many(&registry, OWNER, LIMIT).await;
    let mut first = begin(&registry, OWNER);
    let mut second = begin(&registry, OWNER);
    let mut first_wait = pin!(first.wait_admitted());
    let mut second_wait = pin!(second.wait_admitted());
    assert!(!is_admitted(&mut first_wait).await && !is_admitted(&mut second_wait).await);
    let session = in_flight.pop().expect("a login").confirm("new".into()).expect("nothing has changed");
    assert!(!is_admitted(&mut second_wait).await, "the first one comes first");
    assert!(is_admitted(&mut first_wait).await, "a confirmed login gives its place back");
    drop(in_flight.pop());
    assert!(is_admitted(&mut second_wait).await, "a dropped login gives its place back");
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_waits_for_a_delay_or_a_hold_has_no_place() {
    let registry = registry();
    registry.delay("alice", Duration::from_secs(60));
    let mut delayed: Vec<_> = (0..12).map(|_| begin(&registry, OWNER)).collect();
    let mut waits: Vec<_> = delayed.iter_mut().map(|login| Box::pin(login.wait_admitted())).collect();
    for wait in &mut waits {
        assert!(!is_admitted(&mut wait.as_mut()).await);
    }
    registry.delay("alice", Duration::ZERO);
    let mut admitted = 0;
    for wait in &mut waits {
        admitted += usize::from(is_admitted(&mut wait.as_mut()).await);
    }
    assert_eq!(admitted, LIMIT, "the delay is over: as many as the limit go on, the others wait for them");
    drop(waits);
    drop(delayed);

    let mut looked_up = begin_many(&registry, OWNER, LIMIT).await;
    let hold = registry.hold(&["alice"], Instant::now() + Duration::from_secs(60)).expect("not held yet");
    let mut held: Vec<_> = looked_up.iter_mut().map(|login| Box::pin(login.wait_admitted())).collect();
    for wait in &mut held {
        assert!(!is_admitted(&mut wait.as_mut()).await);
    }
    advance(Duration::from_secs(1)).await;
    hold.release();
    let mut other = begin(&registry, OWNER);
    assert!(is_admitted(&mut pin!(other.wait_admitted())).await, "the held logins gave their places back");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_got_its_place_after_a_wait_is_held_by_a_later_hold() {
    let registry = registry();
    let mut in_flight = begin_many(&registry, OWNER, LIMIT).await;
    let mut login = begin(&registry, OWNER);
    {
        let mut wait = pin!(login.wait_admitted());
        assert!(!is_admitted(&mut wait).await);
        let hold = registry.hold(&["alice"], Instant::now() + Duration::from_secs(60)).expect("not held yet");
        drop(in_flight.pop());
        assert!(!is_admitted(&mut wait).await, "the account is held now");
        hold.release();
        assert!(is_admitted(&mut wait).await);
    }
    assert!(login.confirm("new".into()).is_ok(), "it was looked up after the hold");
}

#[tokio::test]
async fn an_outdated_login_keeps_its_place() {
    let registry = registry();
    let mut in_flight = begin_many(&registry, OWNER, LIMIT).await;
    registry.bump("alice");
    let login = in_flight.pop().expect("a login");
    let Err(Unconfirmed::Outdated(mut login)) = login.confirm("old".into()) else { panic!("confirmed") };
    assert!(is_admitted(&mut pin!(login.wait_admitted())).await);
    assert!(!is_admitted(&mut pin!(begin(&registry, OWNER).wait_admitted())).await, "all places are taken");
}

#[tokio::test]
async fn the_queue_of_a_network_is_bounded() {
    let registry = registry();
    let logins: Vec<_> = (0..MAX_LOGINS_OF_NETWORK).map(|_| begin(&registry, OTHER)).collect();
    assert_eq!(registry.begin("alice", Protocol::Imap, OTHER).expect_err("full"), Busy::Logins);
    assert!(is_admitted(&mut pin!(begin(&registry, OWNER).wait_admitted())).await, "another network");
    drop(logins);
    assert!(is_admitted(&mut pin!(begin(&registry, OTHER).wait_admitted())).await);
    assert_eq!(registry.counts().accounts, 0, "nothing is left behind");
}

#[tokio::test]
async fn a_changed_limit_applies_to_later_logins_and_zero_is_no_limit() {
    let registry = registry();
    let first = begin_many(&registry, OWNER, LIMIT).await;
    registry.set_limits(Limits { logins_in_flight: 1, connections: 0 });
    let second = begin_many(&registry, OWNER, 1).await;
    assert!(!is_admitted(&mut pin!(begin(&registry, OWNER).wait_admitted())).await);
    registry.set_limits(Limits { logins_in_flight: 0, connections: 0 });
    assert!(is_admitted(&mut pin!(begin(&registry, OWNER).wait_admitted())).await);
    drop((first, second));
}
