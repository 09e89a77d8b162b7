//! Holds a mapping file in memory, in about forty bytes per account.
//!
//! Records lie one after another in an arena, each with the index of its destination and its key; a hash table holds
//! their offsets. A lookup reads one bucket and one key, takes no lock and allocates nothing.
//!
//! Invariant: a record never moves and never changes its length. A removed record is marked dead and stays in the arena
//! until the file is parsed again.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use plan::Name;

use crate::store::{Entry, Listing};

/// The entries of one file.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Offsets of live records in the arena.
    index: HashTable<u32>,
    /// Records: destination (2 bytes), length and [`DEAD`] (2 bytes), key.
    arena: Vec<u8>,
    /// The operator chooses the keys, so a fast hash is enough.
    hasher: DefaultHashBuilder,
    destinations: Arc<[Name]>,
    /// Live entries of each destination.
    counts: Vec<usize>,
    /// Bytes of the arena in dead records.
    dead: usize,
    domains: usize,
}

/// The arena cannot grow: its offsets have 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArenaFull;

/// The entry that a key had before an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreviousEntry {
    Absent,
    At(u16),
}

/// A record of the arena.
struct Record<'a> {
    /// `None` if the record is dead.
    key: Option<&'a str>,
    /// Index of the destination.
    destination: u16,
    key_length: usize,
}

/// Room for new records in a copy, in bytes. Without it, the first one would double the arena.
const ROOM: usize = 64 * 1024;

/// Bytes before each key.
const HEADER: usize = 4;

/// Marks a removed record. Keys are at most 320 bytes long, so the bit is free.
const DEAD: u16 = 0x8000;

// === impl Table ===

impl Table {
    /// Makes an empty table for entries with these destinations, with room for about `bytes` bytes of records.
    pub(crate) fn with_capacity(destinations: &[Name], bytes: usize) -> Self {
        Self {
            arena: Vec::with_capacity(bytes),
            destinations: destinations.into(),
            counts: vec![0; destinations.len()],
            ..Self::default()
        }
    }

    /// Returns the destination of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Name> {
        let offset = self.find(key)?;
        self.destinations.get(usize::from(self.destination_at(offset)))
    }

    /// Returns the number of entries, domains included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Returns the number of entries for whole domains.
    #[must_use]
    pub fn domains(&self) -> usize {
        self.domains
    }

    /// Returns every destination with the number of its entries.
    #[must_use]
    pub fn entries_by_destination(&self) -> Vec<(Name, usize)> {
        self.destinations.iter().cloned().zip(self.counts.iter().copied()).collect()
    }

    /// Returns the bytes of memory that the entries take.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.arena.capacity() + self.index.allocation_size()
    }

    /// Returns at most `limit` entries in file order (later changes last), from record number `from` on.
    #[must_use]
    pub fn list(&self, from: u64, limit: usize) -> Listing {
        let mut listing = Listing::default();
        let mut number = 0;
        let mut offset = 0;
        while let Some(record) = self.record(offset) {
            if number >= from
                && let Some(key) = record.key
            {
                if listing.entries.len() == limit {
                    listing.next = Some(number);
                    return listing;
                }
                if let Some(destination) = self.name(record.destination) {
                    let destination = Arc::clone(destination);
                    listing.entries.push(Entry { identifier: key.into(), destination });
                }
            }
            number += 1;
            offset += HEADER + record.key_length;
        }
        listing
    }

    /// Returns whether dead records take more than an eighth of the arena, so that the file is worth reading again.
    pub(crate) fn is_sparse(&self) -> bool {
        self.dead > self.arena.len() / 8
    }

    /// Returns a copy with some room for new records.
    pub(crate) fn copy_to_change(&self) -> Self {
        let mut arena = Vec::with_capacity(self.arena.len() + ROOM);
        arena.extend_from_slice(&self.arena);
        Self {
            index: self.index.clone(),
            arena,
            hasher: self.hasher.clone(),
            destinations: Arc::clone(&self.destinations),
            counts: self.counts.clone(),
            dead: self.dead,
            domains: self.domains,
        }
    }

    /// Adds `key` unless it has an entry, and returns the previous entry. The key must have at most 320 bytes.
    pub(crate) fn add(&mut self, key: &str, destination: u16) -> Result<PreviousEntry, ArenaFull> {
        if let Some(offset) = self.find(key) {
            return Ok(PreviousEntry::At(self.destination_at(offset)));
        }
        let offset = u32::try_from(self.arena.len()).map_err(|_| ArenaFull)?;
        let length = u16::try_from(key.len()).ok().filter(|length| length & DEAD == 0).ok_or(ArenaFull)?;
        self.arena.extend_from_slice(&destination.to_le_bytes());
        self.arena.extend_from_slice(&length.to_le_bytes());
        self.arena.extend_from_slice(key.as_bytes());
        let arena = &self.arena;
        let hasher = &self.hasher;
        let rehash = |offset: &u32| hasher.hash_one(key_at(arena, to_index(*offset)));
        self.index.insert_unique(self.hasher.hash_one(key.as_bytes()), offset, rehash);
        self.domains += usize::from(key.starts_with('@'));
        self.count(destination, 1);
        Ok(PreviousEntry::Absent)
    }

    /// Maps `key` to `destination`, and returns whether the table changed.
    pub(crate) fn set(&mut self, key: &str, destination: u16) -> Result<bool, ArenaFull> {
        match self.add(key, destination)? {
            PreviousEntry::Absent => Ok(true),
            PreviousEntry::At(previous) if previous == destination => Ok(false),
            PreviousEntry::At(previous) => {
                if let Some(offset) = self.find(key) {
                    self.arena[offset..offset + 2].copy_from_slice(&destination.to_le_bytes());
                    self.count(previous, -1);
                    self.count(destination, 1);
                }
                Ok(true)
            }
        }
    }

    /// Removes `key`, and returns whether it had an entry.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key.as_bytes());
        let arena = &self.arena;
        let is_key = |offset: &u32| key_at(arena, to_index(*offset)) == key.as_bytes();
        let Ok(entry) = self.index.find_entry(hash, is_key) else {
            return false;
        };
        let (offset, _) = entry.remove();
        let offset = to_index(offset);
        let length = word_at(&self.arena, offset + 2) | DEAD;
        self.arena[offset + 2..offset + HEADER].copy_from_slice(&length.to_le_bytes());
        self.dead += HEADER + key.len();
        self.domains -= usize::from(key.starts_with('@'));
        self.count(self.destination_at(offset), -1);
        true
    }

    /// Frees reserved memory that is not used.
    pub(crate) fn shrink(&mut self) {
        self.arena.shrink_to_fit();
        let arena = &self.arena;
        let hasher = &self.hasher;
        self.index.shrink_to_fit(|offset| hasher.hash_one(key_at(arena, to_index(*offset))));
    }

    /// Returns the name of the destination with this index.
    pub(crate) fn name(&self, destination: u16) -> Option<&Name> {
        self.destinations.get(usize::from(destination))
    }

    fn count(&mut self, destination: u16, change: isize) {
        if let Some(count) = self.counts.get_mut(usize::from(destination)) {
            *count = count.saturating_add_signed(change);
        }
    }

    /// Returns the offset of the live record of `key`.
    fn find(&self, key: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(key.as_bytes());
        let found = self.index.find(hash, |offset| key_at(&self.arena, to_index(*offset)) == key.as_bytes());
        found.map(|offset| to_index(*offset))
    }

    fn destination_at(&self, offset: usize) -> u16 {
        word_at(&self.arena, offset)
    }

    /// Returns the record at `offset`, or `None` at the end of the arena.
    fn record(&self, offset: usize) -> Option<Record<'_>> {
        if offset >= self.arena.len() {
            return None;
        }
        let is_dead = word_at(&self.arena, offset + 2) & DEAD != 0;
        let key = key_at(&self.arena, offset);
        let live = if is_dead { None } else { str::from_utf8(key).ok() };
        Some(Record { key: live, destination: self.destination_at(offset), key_length: key.len() })
    }
}

/// Reads the 16-bit number at `offset`, which lies within a record.
fn word_at(arena: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([arena[offset], arena[offset + 1]])
}

/// Returns the key of the record at `offset`.
fn key_at(arena: &[u8], offset: usize) -> &[u8] {
    let start = offset + HEADER;
    &arena[start..start + usize::from(word_at(arena, offset + 2) & !DEAD)]
}

/// Converts an offset to an index. `usize` has at least 32 bits on every supported platform.
fn to_index(offset: u32) -> usize {
    offset as usize
}

#[cfg(test)]
mod tests;
