//! Whether one rule applies to every path below a prefix.
//!
//! Servers read an encoded slash in different ways, so a request with one is forwarded only if every reading leads to
//! the same rule ([`EncodedSeparator`](http_proto::path::EncodedSeparator)). Must never happen: `true` for a prefix
//! below which another rule applies first.

use plan::HttpRoute;

/// The characters that make a pattern more than a literal path.
const GLOB: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Returns whether the rule at `found` applies to every path below `prefix`, which has no slash at its end.
pub(crate) fn owns(routes: &[HttpRoute], found: usize, prefix: &str) -> bool {
    let earlier = &routes[..found.min(routes.len())];
    let covers = routes.get(found).is_some_and(|route| covers(&route.pattern, prefix));
    covers && !earlier.iter().any(|route| may_match_below(&route.pattern, prefix))
}

/// Returns whether the pattern matches every path below `prefix`.
fn covers(pattern: &str, prefix: &str) -> bool {
    let Some(root) = pattern.strip_suffix("/**") else { return false };
    let is_below = prefix.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !root.contains(GLOB) && is_below
}

/// Returns whether the pattern could match `prefix` with a slash, or a path below it. Errs towards `true`.
fn may_match_below(pattern: &str, prefix: &str) -> bool {
    let folder = format!("{prefix}/");
    match pattern.find(GLOB) {
        Some(at) => folder.starts_with(&pattern[..at]) || pattern[..at].starts_with(&folder),
        None => pattern.trim_end_matches('/') == prefix || pattern.starts_with(&folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_a_prefix() {
        for (pattern, prefix, expected) in [
            ("/**", "", true),
            ("/**", "/a/b", true),
            ("/jmap/**", "/jmap", true),
            ("/jmap/**", "/jmap/download/a", true),
            ("/jmap/**", "/jmapx", false),
            ("/jmap/**", "", false),
            ("/jmap/*", "/jmap", false),
            ("/jmap", "/jmap", false),
            ("/*/**", "/jmap", false),
            ("/{a,b}/**", "/a", false),
        ] {
            assert_eq!(covers(pattern, prefix), expected, "{pattern} {prefix}");
        }
    }

    #[test]
    fn a_pattern_may_match_below_a_prefix() {
        for (pattern, prefix, expected) in [
            ("/admin/**", "", true),
            ("/admin/**", "/jmap", false),
            ("/admin/**", "/admin/x", true),
            ("/jmap/download/**", "/jmap", true),
            ("/jmap/download/x", "/jmap", true),
            ("/jmap", "/jmap", true),
            ("/jmapx", "/jmap", false),
            ("/jmap/", "/jmap", true),
            ("/**/secret", "/jmap", true),
            ("/jm*", "/jmap", true),
            ("/jmap?/x", "/jmap", true),
            ("/jmapx*", "/jmap", false),
            ("/login", "/jmap", false),
        ] {
            assert_eq!(may_match_below(pattern, prefix), expected, "{pattern} {prefix}");
        }
    }
}
