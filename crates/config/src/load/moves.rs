//! `[moves]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::implemented;
use crate::read::{Located, Table};
use plan::{CompareLogin, Moves};

/// `[moves]`, which may be missing.
pub(super) fn read(root: &Table<'_>, folder: &Path, references: &mut Vec<Located<String>>) -> Moves {
    let mut moves = Moves {
        journal: None,
        hold: Duration::from_secs(60),
        grace: Duration::from_secs(10),
        sync: None,
        verify: None,
        parallel: 4,
        compare: BTreeMap::new(),
    };
    let Some(table) = root.table("moves") else { return moves };
    moves.journal = table.string("journal").map(|at| folder.join(at.value));
    moves.hold = table.duration("hold", moves.hold);
    moves.grace = table.duration("grace", moves.grace);
    moves.sync = table.string("sync").map(|at| at.value);
    moves.verify = table.string("verify").map(|at| at.value);
    moves.parallel = usize::try_from(table.integer("parallel", 4, 1..=64)).unwrap_or(4);
    if let Some(compare) = table.table("compare") {
        for (name, entry) in compare.named() {
            references.push(Located {
                value: name.clone(),
                span: entry.span.clone(),
                key: entry.path.clone(),
            });
            if let Some(login) = compare_login(&entry, folder) {
                moves.compare.insert(name.into(), login);
            }
            entry.finish();
        }
    }
    if !implemented::MOVES {
        let message = "moves are not implemented yet: these keys are checked but not used";
        table.problems.warning(
            &table.path,
            table.span.clone(),
            message,
            "move accounts by changing their line in the mapping file",
        );
    }
    table.finish();
    moves
}

fn compare_login(entry: &Table<'_>, folder: &Path) -> Option<CompareLogin> {
    let master_user = entry.string("master_user").map(|at| at.value);
    let password = entry.secret("password", folder);
    if password.is_none() && !entry.has("password") {
        entry.missing("password", "write \"file:PATH\" or \"env:NAME\"");
    }
    password.map(|at| CompareLogin { master_user, password: at.value })
}
