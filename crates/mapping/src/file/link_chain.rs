//! Lists every folder in which replacing a link, or the file itself, changes what a path leads to.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The folders and links that a path goes through.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LinkChain {
    /// The existing folders, each once.
    pub(super) folders: Vec<WatchedFolder>,
    /// The name of the file itself, after all links.
    pub(super) name: OsString,
}

/// A folder. A folder that is removed and created again under the same name is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WatchedFolder {
    pub(super) folder: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

/// The number of links that Linux follows.
const MAX_LINKS: usize = 40;

/// Follows `path` link by link. Parts that do not exist are left out.
pub(super) fn link_chain(path: &Path) -> LinkChain {
    let mut chain = LinkChain { folders: Vec::new(), name: OsString::new() };
    let mut at = PathBuf::from("/");
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut remaining = steps(&absolute);
    let mut links = 0;
    while let Some(step) = remaining.pop_front() {
        if step == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&step);
        match fs::read_link(&next) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                chain.add(&at);
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                let mut next_steps = steps(&target);
                next_steps.append(&mut remaining);
                remaining = next_steps;
            }
            _ if remaining.is_empty() => {
                chain.add(&at);
                chain.name = step;
            }
            _ => at = next,
        }
    }
    chain
}

/// Returns the components of a path: names and `..`.
fn steps(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}

// === impl LinkChain ===

impl LinkChain {
    fn add(&mut self, folder: &Path) {
        let Ok(metadata) = fs::metadata(folder) else {
            return;
        };
        let watched = WatchedFolder { folder: folder.to_owned(), id: (metadata.dev(), metadata.ino()) };
        if !self.folders.contains(&watched) {
            self.folders.push(watched);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_folder_of_the_chain_is_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in ["etc", "srv/v1", "srv/v2"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        symlink("v1", root.join("srv/current")).unwrap();
        symlink("../srv/current/real", root.join("etc/mapping")).unwrap();
        symlink(root.join("loop"), root.join("loop")).unwrap();
        for (path, folders, name) in [
            ("srv/v1/mapping", &["srv/v1"][..], "mapping"),
            ("srv/v1/../v1/./mapping", &["srv/v1"], "mapping"),
            ("srv/current/mapping", &["srv", "srv/v1"], "mapping"),
            ("etc/mapping", &["etc", "srv", "srv/v1"], "real"),
            ("nowhere/mapping", &[], "mapping"),
            ("loop", &[""], "loop"),
        ] {
            let chain = link_chain(&root.join(path));
            let found: Vec<_> = chain.folders.iter().map(|watched| watched.folder.clone()).collect();
            let folders: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
            assert_eq!((found, &*chain.name), (folders, name.as_ref()), "{path}");
        }
        let before = link_chain(&root.join("srv/v2/mapping"));
        fs::rename(root.join("srv/v2"), root.join("srv/away")).unwrap();
        fs::create_dir(root.join("srv/v2")).unwrap();
        assert_ne!(link_chain(&root.join("srv/v2/mapping")), before, "another folder of the same name");
    }
}
