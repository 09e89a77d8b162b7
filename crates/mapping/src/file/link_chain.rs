//! The way to a file: every folder in which a link on it could be turned, or the file be replaced.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Where a path leads now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LinkChain {
    /// Folders that are there, each once.
    pub(super) folders: Vec<WatchedFolder>,
    /// The name of the file itself, behind all links.
    pub(super) name: OsString,
}

/// A folder. One that was removed and made anew under the same name is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WatchedFolder {
    pub(super) folder: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// Follows `path` link by link. What is not there is left out.
pub(super) fn link_chain(path: &Path) -> LinkChain {
    let mut chain = LinkChain { folders: Vec::new(), name: OsString::new() };
    let mut at = PathBuf::from("/");
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut ahead = steps(&absolute);
    let mut links = 0;
    while let Some(step) = ahead.pop_front() {
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
                let mut behind = steps(&target);
                behind.append(&mut ahead);
                ahead = behind;
            }
            _ if ahead.is_empty() => {
                chain.add(&at);
                chain.name = step;
            }
            _ => at = next,
        }
    }
    chain
}

/// The names of a path, and `..`.
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
        let place = WatchedFolder { folder: folder.to_owned(), id: (metadata.dev(), metadata.ino()) };
        if !self.folders.contains(&place) {
            self.folders.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_folder_on_the_way_is_found() {
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
            let found: Vec<_> = chain.folders.iter().map(|place| place.folder.clone()).collect();
            let folders: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
            assert_eq!((found, &*chain.name), (folders, name.as_ref()), "{path}");
        }
        let before = link_chain(&root.join("srv/v2/mapping"));
        fs::rename(root.join("srv/v2"), root.join("srv/away")).unwrap();
        fs::create_dir(root.join("srv/v2")).unwrap();
        assert_ne!(link_chain(&root.join("srv/v2/mapping")), before, "another folder of the same name");
    }
}
