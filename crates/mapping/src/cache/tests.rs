use std::future::pending;

use tokio::time::advance;

use super::*;

pub(super) const POLICY: CachePolicy = CachePolicy {
    generation: 0,
    positive_ttl: Duration::from_secs(600),
    negative_ttl: Duration::from_secs(30),
};

fn found(name: &str) -> MappingAnswer {
    MappingAnswer::Found(name.into())
}

/// Looks `key` up with a store that returns `stored`. Also returns whether the store was queried.
async fn look_up(
    cache: &Cache,
    key: &str,
    stored: Result<Option<&str>, StoreError>,
) -> (MappingAnswer, bool) {
    let stored = stored.map(|name| name.map(Name::from));
    let found = cache.lookup(key, &POLICY, || async { stored }).await;
    (found.answer, !found.is_cached)
}

fn down() -> Result<Option<&'static str>, StoreError> {
    Err(StoreError::Unreachable("refused".into()))
}

#[tokio::test(start_paused = true)]
async fn answers_are_fresh_until_they_expire() {
    let cache = Cache::new(10);
    assert_eq!(look_up(&cache, "a", Ok(Some("new"))).await, (found("new"), true));
    assert_eq!(look_up(&cache, "b", Ok(None)).await, (MappingAnswer::Absent, true));
    assert_eq!(look_up(&cache, "c", down()).await, (MappingAnswer::Down { last: None }, true));
    advance(Duration::from_millis(4_999)).await;
    assert_eq!(look_up(&cache, "c", Ok(None)).await, (MappingAnswer::Down { last: None }, false));
    advance(Duration::from_millis(1)).await;
    assert_eq!(look_up(&cache, "c", Ok(None)).await, (MappingAnswer::Absent, true));
    advance(Duration::from_millis(24_999)).await;
    assert_eq!(look_up(&cache, "b", Ok(Some("new"))).await, (MappingAnswer::Absent, false));
    advance(Duration::from_millis(1)).await;
    assert_eq!(look_up(&cache, "b", Ok(Some("new"))).await, (found("new"), true));
    advance(Duration::from_millis(569_999)).await;
    assert_eq!(look_up(&cache, "a", Ok(None)).await, (found("new"), false));
    advance(Duration::from_millis(1)).await;
    assert_eq!(look_up(&cache, "a", Ok(None)).await, (MappingAnswer::Absent, true));
}

#[tokio::test(start_paused = true)]
async fn an_expired_destination_stays_available_through_an_outage() {
    let cache = Cache::new(10);
    look_up(&cache, "a", Ok(Some("new"))).await;
    for _ in 0..3 {
        advance(Duration::from_secs(600)).await;
        assert_eq!(
            look_up(&cache, "a", down()).await,
            (MappingAnswer::Down { last: Some("new".into()) }, true)
        );
    }
    assert_eq!(cache.last_known("a"), found("new"));
    assert_eq!(cache.abandoned("a").answer, MappingAnswer::Down { last: Some("new".into()) });
    advance(DOWN_TTL).await;
    assert_eq!(look_up(&cache, "a", Ok(None)).await, (MappingAnswer::Absent, true));
    assert_eq!(cache.last_known("a"), MappingAnswer::Absent);
}

#[tokio::test(start_paused = true)]
async fn stale_answers_are_looked_up_again_and_kept_for_an_outage() {
    let cache = Cache::new(10);
    look_up(&cache, "a", Ok(Some("old"))).await;
    cache.invalidate("a");
    assert_eq!(look_up(&cache, "a", down()).await, (MappingAnswer::Down { last: Some("old".into()) }, true));
    cache.record_write("a", Some(&"new".into()));
    assert_eq!(look_up(&cache, "a", down()).await, (MappingAnswer::Down { last: Some("new".into()) }, true));
    cache.record_write("a", None);
    assert_eq!(look_up(&cache, "a", down()).await, (MappingAnswer::Down { last: None }, true));
    cache.invalidate("nobody");
    assert_eq!((cache.len(), cache.is_empty()), (1, false));

    let policy = |generation| CachePolicy { generation, ..POLICY };
    let found = cache.lookup("b", &policy(cache.flushes()), || async { Ok(Some("new".into())) }).await;
    assert!(!found.is_cached);
    cache.flush();
    let found = cache.lookup("b", &policy(cache.flushes()), || async { Ok(None) }).await;
    assert_eq!((found.answer, found.is_cached), (MappingAnswer::Absent, false));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_lookup_is_taken_over_and_leaves_no_trace() {
    let cache = Arc::new(Cache::new(10));
    let first = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.lookup("a", &POLICY, pending).await }
    });
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.lookup("a", &POLICY, || async { Ok(Some("new".into())) }).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(cache.in_flight_count(), 1, "both callers share one lookup");
    first.abort();
    assert!(first.await.is_err());
    assert_eq!(second.await.unwrap().answer, found("new"));
    assert_eq!(cache.in_flight_count(), 0);

    let alone = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.lookup("b", &POLICY, pending).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(cache.in_flight_count(), 1);
    alone.abort();
    assert!(alone.await.is_err());
    assert_eq!(cache.in_flight_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_cache_is_bounded_and_may_be_empty() {
    for bound in [0, 1, 100] {
        let cache = Cache::new(bound);
        for number in 0..2_000 {
            look_up(&cache, &format!("user{number}"), Ok(Some("new"))).await;
            assert!(cache.len() <= bound, "{} > {bound}", cache.len());
        }
        assert_eq!(cache.in_flight_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_time_to_live_is_a_year() {
    let policy = CachePolicy { positive_ttl: Duration::MAX, ..POLICY };
    let cache = Cache::new(10);
    cache.lookup("a", &policy, || async { Ok(Some("new".into())) }).await;
    advance(Duration::from_secs(300 * 24 * 3_600)).await;
    assert_eq!(look_up(&cache, "a", Ok(None)).await, (found("new"), false));
}
