//! `[moves]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::read::{Located, Table};
use plan::{CommandsFromApi, CompareLogin, Moves};

/// The values of `moves.commands_from_api`.
const COMMANDS_FROM_API: [(&str, CommandsFromApi); 3] =
    [("off", CommandsFromApi::Off), ("loopback", CommandsFromApi::Loopback), ("any", CommandsFromApi::Any)];

/// `[moves]`, which may be missing.
pub(super) fn read(root: &Table<'_>, folder: &Path, references: &mut Vec<Located<String>>) -> Moves {
    let mut moves = Moves {
        journal: None,
        hold: Duration::from_secs(60),
        grace: Duration::from_secs(10),
        sync: None,
        verify: None,
        commands_from_api: CommandsFromApi::default(),
        parallel: 4,
        max_rounds: 3,
        compare: BTreeMap::new(),
    };
    let Some(table) = root.table("moves") else { return moves };
    moves.journal = table.string("journal").map(|at| folder.join(at.value));
    moves.hold = table.duration("hold", moves.hold);
    moves.grace = table.duration("grace", moves.grace);
    moves.sync = table.string("sync").map(|at| at.value);
    moves.verify = table.string("verify").map(|at| at.value);
    if let Some(from) = table.word("commands_from_api", &COMMANDS_FROM_API) {
        moves.commands_from_api = from.value;
    }
    moves.parallel = usize::try_from(table.integer("parallel", 4, 1..=64)).unwrap_or(4);
    moves.max_rounds = u32::try_from(table.integer("max_rounds", 3, 1..=10)).unwrap_or(3);
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
    table.finish();
    moves
}

fn compare_login(entry: &Table<'_>, folder: &Path) -> Option<CompareLogin> {
    let master_user = entry.string("master_user").map(|at| at.value);
    let separator = entry.string("separator").map(|at| at.value);
    let password = entry.secret("password", folder);
    if password.is_none() && !entry.has("password") {
        entry.missing("password", "write \"file:PATH\" or \"env:NAME\"");
    }
    password.map(|at| CompareLogin { master_user, separator, password: at.value })
}
