//! Places for guesses: logins whose verdict is not known yet, and wrong ones whose answer is delayed.
//!
//! A delayed answer slows down a client that waits for it. A guesser does not wait: what is not accepted at once is wrong.
//! So a wrong credential keeps its place until its delay is over, whatever its client does, and a client network can try
//! only so many credentials of an account in that time, over all protocols together. Logins with the same credential
//! share a place: a repetition tests nothing new, and the owner's many requests do not wait for each other.
//!
//! What must never happen here: a login that is refused for lack of a place, or that waits for the guesses of another
//! network. The waiting logins need no bound of their own: each is a connection, or a request in progress.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// The guesses of all client networks and accounts. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guesses {
    in_flight: Arc<Mutex<HashMap<Subject, InFlight>>>,
}

/// A client network, and the keyed hash of an account.
pub(crate) type Subject = (IpAddr, u64);

/// The guesses of one network at one account.
#[derive(Debug)]
struct InFlight {
    permits: Arc<Semaphore>,
    places: Vec<Arc<Place>>,
}

#[derive(Debug)]
struct Place {
    /// The keyed hash of the credential, where its repetitions may share the place.
    credential: Option<u64>,
    permits: Arc<Semaphore>,
    /// Filled by the first login that has waited for it.
    permit: OnceCell<Option<OwnedSemaphorePermit>>,
}

/// The place of a login. Dropping it frees the place, unless another login shares it.
#[derive(Debug)]
#[must_use = "dropping it frees the place"]
pub struct Guess {
    guesses: Guesses,
    subject: Subject,
    /// `Some` until it is dropped.
    place: Option<Arc<Place>>,
}

// === impl Guesses ===

impl Guesses {
    /// Waits for one of `limit` places of the subject, in the order of arrival.
    pub(crate) async fn enter(&self, subject: Subject, limit: usize, credential: Option<u64>) -> Guess {
        let place = Some(self.place(subject, limit, credential));
        let guess = Guess { guesses: self.clone(), subject, place };
        if let Some(place) = &guess.place {
            // The semaphore is never closed.
            let permit = || async { Arc::clone(&place.permits).acquire_owned().await.ok() };
            place.permit.get_or_init(permit).await;
        }
        guess
    }

    fn place(&self, subject: Subject, limit: usize, credential: Option<u64>) -> Arc<Place> {
        let mut in_flight = self.lock();
        let guesses = in_flight.entry(subject).or_insert_with(|| InFlight {
            permits: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            places: Vec::new(),
        });
        let shared =
            guesses.places.iter().find(|place| credential.is_some() && place.credential == credential);
        if let Some(place) = shared {
            return Arc::clone(place);
        }
        let permits = Arc::clone(&guesses.permits);
        let place = Arc::new(Place { credential, permits, permit: OnceCell::new() });
        guesses.places.push(Arc::clone(&place));
        place
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Guess ===

impl Drop for Guess {
    fn drop(&mut self) {
        let mut in_flight = self.guesses.lock();
        let Some(place) = self.place.take() else { return };
        let Some(guesses) = in_flight.get_mut(&self.subject) else { return };
        // Each reference but the table's is that of a `Guess`, made and dropped under the lock.
        let is_shared = Arc::strong_count(&place) > 2;
        guesses.places.retain(|other| is_shared || !Arc::ptr_eq(other, &place));
        drop(place);
        if guesses.places.is_empty() {
            in_flight.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::Poll;

    use super::*;

    const SUBJECT: Subject = (IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), 1);
    const OTHER: Subject = (IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)), 1);

    /// Polls once.
    async fn has_place(wait: &mut Pin<&mut impl Future<Output = Guess>>) -> Option<Guess> {
        std::future::poll_fn(|context| match wait.as_mut().poll(context) {
            Poll::Ready(guess) => Poll::Ready(Some(guess)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn as_many_credentials_of_an_account_are_tried_at_once_as_there_are_places() {
        let guesses = Guesses::default();
        let first = guesses.enter(SUBJECT, 2, Some(1)).await;
        let second = guesses.enter(SUBJECT, 2, Some(2)).await;
        let mut third = pin!(guesses.enter(SUBJECT, 2, Some(3)));
        assert!(has_place(&mut third).await.is_none());
        let other = guesses.enter(OTHER, 2, Some(3)).await;
        drop(first);
        let third = has_place(&mut third).await.expect("a place is free");
        drop((second, third, other));
        assert!(guesses.lock().is_empty(), "nothing is left of them");
    }

    #[tokio::test]
    async fn logins_with_the_same_credential_share_a_place() {
        let guesses = Guesses::default();
        let first = guesses.enter(SUBJECT, 1, Some(1)).await;
        let again = guesses.enter(SUBJECT, 1, Some(1)).await;
        let mut other = pin!(guesses.enter(SUBJECT, 1, Some(2)));
        assert!(has_place(&mut other).await.is_none());
        drop(first);
        assert!(has_place(&mut other).await.is_none(), "the other one still has it");
        drop(again);
        drop(has_place(&mut other).await.expect("a place is free"));
        assert!(guesses.lock().is_empty());
    }

    #[tokio::test]
    async fn logins_without_a_hash_share_nothing() {
        let guesses = Guesses::default();
        let first = guesses.enter(SUBJECT, 1, None).await;
        let mut second = pin!(guesses.enter(SUBJECT, 1, None));
        assert!(has_place(&mut second).await.is_none());
        drop(first);
        assert!(has_place(&mut second).await.is_some());
    }

    #[tokio::test]
    async fn a_login_that_gives_up_waiting_leaves_nothing() {
        let guesses = Guesses::default();
        let first = guesses.enter(SUBJECT, 1, Some(1)).await;
        {
            let mut second = pin!(guesses.enter(SUBJECT, 1, Some(2)));
            assert!(has_place(&mut second).await.is_none());
        }
        assert_eq!(guesses.lock()[&SUBJECT].places.len(), 1);
        drop(first);
        assert!(guesses.lock().is_empty());
    }
}
