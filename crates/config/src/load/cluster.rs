//! `[cluster]`.

use crate::read::Table;

/// Returns the configured name of this node, if there is one.
pub(super) fn node(root: &Table<'_>) -> Option<String> {
    let table = root.table("cluster")?;
    let node = table.string("node").map(|at| at.value);
    table.finish();
    node
}
