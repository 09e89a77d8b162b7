use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn table() -> Table {
    Table::with_capacity(&["new", "old"].map(Name::from), 0)
}

fn listed(listing: &Listing) -> Vec<String> {
    listing.entries.iter().map(|entry| format!("{} {}", entry.identifier, entry.destination)).collect()
}

#[test]
fn set_get_remove() {
    let mut table = table();
    assert_eq!(table.set("alice", 0), Ok(true));
    assert_eq!(table.set("alice", 0), Ok(false));
    assert_eq!(table.set("alice", 1), Ok(true));
    assert_eq!(table.add("alice", 0), Ok(PreviousEntry::At(1)));
    assert_eq!(table.get("alice").map(|name| &**name), Some("old"));
    assert_eq!(table.get("alic"), None);
    assert_eq!((table.remove("alice"), table.remove("alice")), (true, false));
    assert_eq!((table.get("alice"), table.len()), (None, 0));
}

#[test]
fn lists_in_order_and_in_pages_without_the_removed() {
    let mut table = table();
    for key in ["c", "a", "@b", "d"] {
        assert_eq!(table.set(key, 0), Ok(true));
    }
    assert!(table.remove("a"));
    let first = table.list(0, 2);
    assert_eq!((listed(&first), first.next), (vec!["c new".to_owned(), "@b new".to_owned()], Some(3)));
    let second = table.list(3, 2);
    assert_eq!((listed(&second), second.next), (vec!["d new".to_owned()], None));
    assert_eq!(table.list(u64::MAX, 2), Listing::default());
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let mut table = table();
    assert_eq!(table.add(&"a".repeat(40_000), 0), Err(ArenaFull));
    assert_eq!(table.add(&"a".repeat(70_000), 0), Err(ArenaFull));
    assert!(table.is_empty());
}

#[test]
fn a_copy_may_change_without_the_original() {
    let mut table = table();
    assert_eq!(table.set("alice", 0), Ok(true));
    let mut copy = table.copy_to_change();
    assert_eq!((copy.set("alice", 1), copy.set("bob", 1)), (Ok(true), Ok(true)));
    assert_eq!(listed(&table.list(0, 9)), ["alice new"]);
    assert_eq!(listed(&copy.list(0, 9)), ["alice old", "bob old"]);
}

/// Copies of copies must not keep the records of every account that was ever removed.
#[test]
fn many_removed_records_are_worth_reading_the_file_again() {
    let mut table = table();
    for number in 0..80 {
        assert_eq!(table.set(&format!("user{number:02}"), 0), Ok(true));
    }
    for number in 0..10 {
        assert!(table.remove(&format!("user{number:02}")));
    }
    assert!(!table.copy_to_change().is_sparse());
    assert!(table.remove("user10"));
    assert!(table.copy_to_change().is_sparse());
}

proptest! {
    #[test]
    fn behaves_as_a_map(steps in proptest::collection::vec(("[a-f@]{1,2}", 0_u16..3), 0..200)) {
        let mut table = table();
        let mut model = BTreeMap::new();
        for (key, what) in steps {
            if what == 2 {
                prop_assert_eq!(table.remove(&key), model.remove(&key).is_some());
            } else {
                prop_assert_eq!(table.set(&key, what), Ok(model.insert(key, what) != Some(what)));
            }
            prop_assert_eq!(table.len(), model.len());
        }
        table.shrink();
        for (key, destination) in &model {
            prop_assert_eq!(table.get(key), table.name(*destination));
        }
        prop_assert_eq!(table.list(0, 1_000).entries.len(), model.len());
        let of = |destination| model.values().filter(|&&at| at == destination).count();
        let counts: Vec<usize> = table.entries_by_destination().into_iter().map(|(_, count)| count).collect();
        prop_assert_eq!(counts, [of(0), of(1)]);
        prop_assert_eq!(table.domains(), model.keys().filter(|key| key.starts_with('@')).count());
    }
}
