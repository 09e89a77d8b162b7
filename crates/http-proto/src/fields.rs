//! The fields of a head or of a trailer section, in their order.

use std::fmt;

use bytes::Bytes;

/// The name of a field, in the spelling of its sender.
pub type Name = Bytes;

/// Fields in their order (RFC 9110 section 5). Names are compared case-insensitively.
///
/// Names and values are slices of the buffer in which the head was received; a buffer that wipes itself on drop wipes
/// them. `Debug` prints names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Name, Bytes)>);

// === impl Fields ===

impl Fields {
    /// No fields. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.get_all(name).next()
    }

    /// Returns the values of all fields of that name, in their order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &Bytes> {
        self.0.iter().filter(move |(it, _)| is(it, name)).map(|(_, value)| value)
    }

    /// Returns the value of the only field of that name; `None` when there are several, since servers disagree on
    /// which of them counts.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&Bytes> {
        let mut values = self.get_all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Returns the members of the comma-separated list that all fields of that name form, trimmed and without empty
    /// ones (RFC 9110 section 5.6.1). Not for lists whose members may be quoted.
    pub fn members(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.get_all(name).flat_map(|value| members(value))
    }

    /// Returns whether the list of that name has this member, compared case-insensitively.
    #[must_use]
    pub fn lists(&self, name: &str, member: &str) -> bool {
        self.members(name).any(|it| is(it, member))
    }

    /// Appends a field.
    pub fn push(&mut self, name: impl Into<Name>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// Replaces all fields of that name by one, at the place of the first of them or else at the end.
    pub fn set(&mut self, name: &'static str, value: impl Into<Bytes>) {
        let field = (Bytes::from_static(name.as_bytes()), value.into());
        let Some(place) = self.0.iter().position(|(it, _)| is(it, name)) else {
            self.0.push(field);
            return;
        };
        self.remove(name);
        self.0.insert(place, field);
    }

    /// Replaces the value of the first field of that name, and keeps the spelling of the name.
    pub fn replace(&mut self, name: &str, value: impl Into<Bytes>) {
        if let Some((_, old)) = self.0.iter_mut().find(|(it, _)| is(it, name)) {
            *old = value.into();
        }
    }

    /// Removes all fields of that name and returns how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let before = self.len();
        self.retain(|it, _| !is(it, name));
        before - self.len()
    }

    /// Keeps the fields for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Name, &Bytes) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// Returns all fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Bytes)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Returns the number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl FromIterator<(Name, Bytes)> for Fields {
    fn from_iter<T: IntoIterator<Item = (Name, Bytes)>>(fields: T) -> Self {
        Self(fields.into_iter().collect())
    }
}

/// Returns the members of one field value that is a list.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Returns whether two names or tokens are equal, ignoring case.
pub(super) fn is(name: &[u8], other: &str) -> bool {
    name.eq_ignore_ascii_case(other.as_bytes())
}
