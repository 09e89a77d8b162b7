//! A mapping file in memory: a million accounts in some forty bytes each.
//!
//! Keys lie one behind the other in an arena, each behind its destination's index; a hash table holds their
//! places. A lookup touches one bucket and one key, takes no lock and allocates nothing. A record never moves,
//! and its length never changes; what is removed stays as a dead record until the file is read again.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use plan::Name;

use crate::store::{Entry, Listing};

/// The entries of one file.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Places of live records in the arena.
    index: HashTable<u32>,
    /// Records: destination (2 bytes), length and [`DEAD`] (2 bytes), key.
    arena: Vec<u8>,
    /// The keys are the operator's, so a fast hash will do.
    hasher: DefaultHashBuilder,
    destinations: Arc<[Name]>,
    /// Live entries of each destination.
    counts: Vec<usize>,
    domains: usize,
}

/// The arena is as large as its places can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArenaFull;

/// What stood there when a key was inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreviousEntry {
    Absent,
    At(u16),
}

/// Before each key.
const HEADER: usize = 4;

/// Marks a removed record. Keys are at most 320 bytes long, so the bit is free.
const DEAD: u16 = 0x8000;

// === impl Table ===

impl Table {
    /// An empty table of entries that lead to `destinations`, with room for keys of about `bytes` bytes.
    pub(crate) fn with_capacity(destinations: &[Name], bytes: usize) -> Self {
        Self {
            arena: Vec::with_capacity(bytes),
            destinations: destinations.into(),
            counts: vec![0; destinations.len()],
            ..Self::default()
        }
    }

    /// Where `key` is mapped to.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Name> {
        let place = self.find(key)?;
        self.destinations.get(usize::from(self.destination_at(place)))
    }

    /// Entries, domains included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Entries for whole domains.
    #[must_use]
    pub fn domains(&self) -> usize {
        self.domains
    }

    /// Every destination with the number of its entries.
    #[must_use]
    pub fn census(&self) -> Vec<(Name, usize)> {
        self.destinations.iter().cloned().zip(self.counts.iter().copied()).collect()
    }

    /// Bytes of memory that the entries take.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.arena.capacity() + self.index.allocation_size()
    }

    /// At most `limit` entries in the file's order (later changes last), from the `from`th record on.
    #[must_use]
    pub fn list(&self, from: u64, limit: usize) -> Listing {
        let mut listing = Listing::default();
        let mut number = 0;
        let mut place = 0;
        while let Some((key, destination, length)) = self.record(place) {
            if number >= from
                && let Some(key) = key
            {
                if listing.entries.len() == limit {
                    listing.next = Some(number);
                    return listing;
                }
                if let Some(destination) = self.destinations.get(usize::from(destination)) {
                    listing
                        .entries
                        .push(Entry { identifier: key.into(), destination: Arc::clone(destination) });
                }
            }
            number += 1;
            place += HEADER + length;
        }
        listing
    }

    /// Adds `key` unless it is there; tells what was there. The key is at most 320 bytes long.
    pub(crate) fn add(&mut self, key: &str, destination: u16) -> Result<PreviousEntry, ArenaFull> {
        if let Some(place) = self.find(key) {
            return Ok(PreviousEntry::At(self.destination_at(place)));
        }
        let place = u32::try_from(self.arena.len()).map_err(|_| ArenaFull)?;
        let length = u16::try_from(key.len()).ok().filter(|length| length & DEAD == 0).ok_or(ArenaFull)?;
        self.arena.extend_from_slice(&destination.to_le_bytes());
        self.arena.extend_from_slice(&length.to_le_bytes());
        self.arena.extend_from_slice(key.as_bytes());
        let arena = &self.arena;
        let hasher = &self.hasher;
        let rehash = |place: &u32| hasher.hash_one(key_at(arena, index(*place)));
        self.index.insert_unique(self.hasher.hash_one(key.as_bytes()), place, rehash);
        self.domains += usize::from(key.starts_with('@'));
        self.count(destination, 1);
        Ok(PreviousEntry::Absent)
    }

    /// Maps `key` to `destination`; tells whether that is a change.
    pub(crate) fn set(&mut self, key: &str, destination: u16) -> Result<bool, ArenaFull> {
        match self.add(key, destination)? {
            PreviousEntry::Absent => Ok(true),
            PreviousEntry::At(was) if was == destination => Ok(false),
            PreviousEntry::At(was) => {
                if let Some(place) = self.find(key) {
                    self.arena[place..place + 2].copy_from_slice(&destination.to_le_bytes());
                    self.count(was, -1);
                    self.count(destination, 1);
                }
                Ok(true)
            }
        }
    }

    /// Takes `key` out; tells whether it was there.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key.as_bytes());
        let arena = &self.arena;
        let is_key = |place: &u32| key_at(arena, index(*place)) == key.as_bytes();
        let Ok(entry) = self.index.find_entry(hash, is_key) else {
            return false;
        };
        let (place, _) = entry.remove();
        let place = index(place);
        let length = word_at(&self.arena, place + 2) | DEAD;
        self.arena[place + 2..place + HEADER].copy_from_slice(&length.to_le_bytes());
        self.domains -= usize::from(key.starts_with('@'));
        self.count(self.destination_at(place), -1);
        true
    }

    /// Gives back what was reserved and not needed.
    pub(crate) fn shrink(&mut self) {
        self.arena.shrink_to_fit();
        let arena = &self.arena;
        let hasher = &self.hasher;
        self.index.shrink_to_fit(|place| hasher.hash_one(key_at(arena, index(*place))));
    }

    /// The name at an index that [`Table::add`] was given.
    pub(crate) fn name(&self, destination: u16) -> Option<&Name> {
        self.destinations.get(usize::from(destination))
    }

    fn count(&mut self, destination: u16, change: isize) {
        if let Some(count) = self.counts.get_mut(usize::from(destination)) {
            *count = count.saturating_add_signed(change);
        }
    }

    /// Place of the live record of `key`.
    fn find(&self, key: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(key.as_bytes());
        let found = self.index.find(hash, |place| key_at(&self.arena, index(*place)) == key.as_bytes());
        found.map(|place| index(*place))
    }

    fn destination_at(&self, place: usize) -> u16 {
        word_at(&self.arena, place)
    }

    /// The record at `place`: its key unless it is dead, its destination, its key's length.
    fn record(&self, place: usize) -> Option<(Option<&str>, u16, usize)> {
        if place >= self.arena.len() {
            return None;
        }
        let is_dead = word_at(&self.arena, place + 2) & DEAD != 0;
        let key = key_at(&self.arena, place);
        let live = if is_dead { None } else { str::from_utf8(key).ok() };
        Some((live, self.destination_at(place), key.len()))
    }
}

/// The number at `place`, which lies within a record.
fn word_at(arena: &[u8], place: usize) -> u16 {
    u16::from_le_bytes([arena[place], arena[place + 1]])
}

/// The key of the record at `place`.
fn key_at(arena: &[u8], place: usize) -> &[u8] {
    let start = place + HEADER;
    &arena[start..start + usize::from(word_at(arena, place + 2) & !DEAD)]
}

/// A place as an index; `usize` has at least 32 bits wherever this is built.
fn index(place: u32) -> usize {
    place as usize
}

#[cfg(test)]
mod tests;
