//! Which message of one folder is which of the other.

use crate::messages::Message;

/// A message of one folder or of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paired {
    /// On both servers.
    Both { source: Message, target: Message },
    /// At the source only.
    Missing(Message),
    /// At the target only.
    Added(Message),
}

/// Pairs the messages of both folders by their fingerprints, and passes each pair to `each`. Of several messages with the
/// same fingerprint, those with the same UID are paired first.
pub(crate) fn pair(source: &mut [Message], target: &mut [Message], mut each: impl FnMut(Paired)) {
    for messages in [&mut *source, &mut *target] {
        messages.sort_unstable_by_key(|message| (message.fingerprint, message.uid));
    }
    let mut rest = &*target;
    for group in source.chunk_by(|one, two| one.fingerprint == two.fingerprint) {
        let fingerprint = group[0].fingerprint;
        let before = rest.partition_point(|message| message.fingerprint < fingerprint);
        for message in &rest[..before] {
            each(Paired::Added(*message));
        }
        rest = &rest[before..];
        let same = rest.partition_point(|message| message.fingerprint == fingerprint);
        pair_group(group, &rest[..same], &mut each);
        rest = &rest[same..];
    }
    for message in rest {
        each(Paired::Added(*message));
    }
}

/// Pairs messages that all have the same fingerprint, in the order of their UIDs.
fn pair_group(source: &[Message], target: &[Message], each: &mut impl FnMut(Paired)) {
    let mut source_left = Vec::new();
    let mut target_left = Vec::new();
    let mut targets = target.iter().copied().peekable();
    for &message in source {
        while let Some(other) = targets.next_if(|other| other.uid < message.uid) {
            target_left.push(other);
        }
        match targets.next_if(|other| other.uid == message.uid) {
            Some(other) => each(Paired::Both { source: message, target: other }),
            None => source_left.push(message),
        }
    }
    target_left.extend(targets);
    let common = source_left.len().min(target_left.len());
    for (&source, &target) in source_left.iter().zip(&target_left) {
        each(Paired::Both { source, target });
    }
    for &message in &source_left[common..] {
        each(Paired::Missing(message));
    }
    for &message in &target_left[common..] {
        each(Paired::Added(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fingerprint: u64, uid: u32) -> Message {
        Message { fingerprint, flags: 0, uid, size: 1 }
    }

    /// Returns the UIDs of pairs, of missing messages and of added ones.
    fn paired(source: &[(u64, u32)], target: &[(u64, u32)]) -> (Vec<(u32, u32)>, Vec<u32>, Vec<u32>) {
        let mut source: Vec<Message> = source.iter().map(|&(id, uid)| message(id, uid)).collect();
        let mut target: Vec<Message> = target.iter().map(|&(id, uid)| message(id, uid)).collect();
        let (mut both, mut missing, mut added) = (Vec::new(), Vec::new(), Vec::new());
        pair(&mut source, &mut target, |paired| match paired {
            Paired::Both { source, target } => both.push((source.uid, target.uid)),
            Paired::Missing(message) => missing.push(message.uid),
            Paired::Added(message) => added.push(message.uid),
        });
        both.sort_unstable();
        (both, missing, added)
    }

    #[test]
    fn messages_are_paired_by_fingerprint() {
        let (both, missing, added) = paired(&[(9, 1), (5, 2), (7, 3)], &[(7, 30), (1, 10), (9, 11)]);
        assert_eq!(both, [(1, 11), (3, 30)]);
        assert_eq!((missing, added), (vec![2], vec![10]));
    }

    #[test]
    fn copies_of_one_message_are_counted() {
        let (both, missing, added) = paired(&[(5, 1), (5, 2), (5, 3)], &[(5, 2), (5, 9)]);
        assert_eq!(both, [(1, 9), (2, 2)]);
        assert_eq!((missing, added), (vec![3], vec![]));
        let (both, missing, added) = paired(&[(5, 4)], &[(5, 1), (5, 4), (5, 7)]);
        assert_eq!(both, [(4, 4)]);
        assert_eq!((missing, added), (vec![], vec![1, 7]));
    }

    #[test]
    fn empty_folders() {
        assert_eq!(paired(&[], &[(1, 1)]), (vec![], vec![], vec![1]));
        assert_eq!(paired(&[(1, 1)], &[]), (vec![], vec![1], vec![]));
    }
}
