//! `[mapping]`.

use std::path::Path;
use std::time::Duration;

use crate::read::{Located, Table};
use plan::{Mapping, Source};

/// `[mapping]`, which must be there. Where something is missing another thing stands in its place, so that the
/// rest is judged all the same; the report keeps it from being run.
pub(super) fn read(root: &Table<'_>, folder: &Path) -> Mapping {
    let nowhere = Source::File { path: folder.to_owned(), watch: true };
    let Some(table) = root.table("mapping") else {
        if !root.has("mapping") {
            root.missing("mapping", "add [mapping] with source = \"file\", and [mapping.file] with path");
        }
        return defaults(nowhere);
    };
    let source = table.word("source", &[("file", "file"), ("redis", "redis"), ("sql", "sql")]);
    if !table.has("source") {
        table.missing("source", "write \"file\", \"redis\" or \"sql\"");
    }
    let file = table.table("file").and_then(|entry| file(&entry, folder));
    let redis = table.table("redis").and_then(|entry| redis(&entry, folder));
    let sql = table.table("sql").and_then(|entry| sql(&entry, folder));
    let lowercase = table.word("normalize", &[("none", false), ("lowercase", true)]);
    let mut mapping = defaults(nowhere);
    mapping.lowercase = lowercase.is_some_and(|at| at.value);
    mapping.default_domain = default_domain(&table);
    mapping.positive_ttl = table.duration("positive_ttl", mapping.positive_ttl);
    mapping.negative_ttl = table.duration("negative_ttl", mapping.negative_ttl);
    mapping.cache_max_entries =
        usize::try_from(table.integer("cache_max_entries", 1_000_000, 0..=1_000_000_000))
            .unwrap_or(usize::MAX);
    mapping.lookup_timeout = table.limit("lookup_timeout", mapping.lookup_timeout);
    mapping.domains = table.boolean("domains", false);
    let chosen = match source.as_ref().map(|at| at.value) {
        Some("file") => file,
        Some("redis") => redis,
        Some("sql") => sql,
        _ => None,
    };
    if let Some(at) = source {
        check_source(&table, &at);
    }
    if let Some(chosen) = chosen {
        mapping.source = chosen;
    }
    table.finish();
    mapping
}

/// Returns the defaults.
fn defaults(source: Source) -> Mapping {
    Mapping {
        source,
        lowercase: false,
        default_domain: None,
        positive_ttl: Duration::from_secs(600),
        negative_ttl: Duration::from_secs(30),
        cache_max_entries: 1_000_000,
        lookup_timeout: Duration::from_secs(5),
        domains: false,
    }
}

/// The domain of logins without one.
fn default_domain(table: &Table<'_>) -> Option<String> {
    let at = table.string("default_domain")?;
    if at.value.len() <= 253 && at.value.split('.').all(is_label) {
        return Some(at.value.to_ascii_lowercase());
    }
    let message = format!("found \"{}\", expected a domain", at.value.escape_debug());
    table.problems.error(&at.key, at.span, message, "write one such as \"example.org\", without \"@\"");
    None
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn check_source(table: &Table<'_>, source: &Located<&str>) {
    if !table.has(source.value) {
        let message = format!("source is \"{0}\", and there is no [mapping.{0}]", source.value);
        let help = format!("add [mapping.{}] with its keys, or name the source that is there", source.value);
        table.problems.error(&source.key, source.span.clone(), message, help);
    }
}

fn file(entry: &Table<'_>, folder: &Path) -> Option<Source> {
    let path = required(entry, "path", "give the path of the mapping file; an empty file is fine");
    let watch = entry.boolean("watch", true);
    entry.finish();
    Some(Source::File { path: folder.join(path?.value), watch })
}

fn redis(entry: &Table<'_>, folder: &Path) -> Option<Source> {
    let url = url(entry, folder, &["redis://", "rediss://", "redis+unix://", "unix://"]);
    let key_prefix = entry.string("key_prefix").map_or_else(|| "route:".to_owned(), |at| at.value);
    let pool_size = usize::try_from(entry.integer("pool_size", 16, 1..=1024)).unwrap_or(16);
    let channel = entry.string("channel").map_or_else(|| "pointsman".to_owned(), |at| at.value);
    entry.finish();
    Some(Source::Redis { url: url?, key_prefix, pool_size, channel })
}

fn sql(entry: &Table<'_>, folder: &Path) -> Option<Source> {
    let url = url(entry, folder, &["postgres://", "postgresql://", "mysql://", "mariadb://", "sqlite:"]);
    let query = required(entry, "query", "write the SELECT that finds the destination of an identifier");
    let optional = |key| entry.string(key).map(|at| at.value);
    let (upsert_query, delete_query, list_query) =
        (optional("upsert_query"), optional("delete_query"), optional("list_query"));
    if optional("count_query").is_some() {
        entry.unused("count_query", "the proxy does not count the entries of a database");
    }
    let pool_size = usize::try_from(entry.integer("pool_size", 16, 1..=1024)).unwrap_or(16);
    let channel = optional("channel").unwrap_or_else(|| "pointsman".to_owned());
    entry.finish();
    Some(Source::Sql {
        url: url?,
        query: query?.value,
        upsert_query,
        delete_query,
        list_query,
        pool_size,
        channel,
    })
}

fn url(entry: &Table<'_>, folder: &Path, schemes: &[&str]) -> Option<types::secret::Secret> {
    let found = entry.secret("url", folder);
    if found.is_none() && !entry.has("url") {
        entry.missing("url", "give the database's URL");
    }
    let at = found?;
    if schemes.iter().any(|scheme| at.value.expose().starts_with(scheme.as_bytes())) {
        return Some(at.value);
    }
    let message = format!("found another URL, expected one that begins with {}", schemes.join(", "));
    entry.problems.error(&at.key, at.span, message, "check the scheme before ://");
    None
}

fn required(entry: &Table<'_>, key: &str, help: &str) -> Option<Located<String>> {
    let found = entry.string(key);
    if found.is_none() && !entry.has(key) {
        entry.missing(key, help);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use toml::de::DeTable;

    use super::{redis, sql};
    use crate::diagnostic::Problems;
    use crate::keys::KEYS;
    use crate::read::Table;
    use plan::Source;

    /// What the table of keys says of a default.
    fn default(path: &str) -> &'static str {
        KEYS.iter().find(|key| key.path == path).map(|key| key.default).expect("a key")
    }

    #[test]
    fn defaults_of_the_stores_are_those_of_the_table_of_keys() {
        let problems = Problems::default();
        let text = "url = \"redis://h\"\nquery = \"q\"";
        let document = DeTable::parse(text).expect("TOML");
        let table = || Table::new(document.get_ref(), 0..0, String::new(), &problems);
        let Some(Source::Redis { key_prefix, pool_size, channel, .. }) = redis(&table(), Path::new(""))
        else {
            panic!("a Redis store")
        };
        assert_eq!(key_prefix, default("mapping.redis.key_prefix"));
        assert_eq!(pool_size.to_string(), default("mapping.redis.pool_size"));
        assert_eq!(channel, default("mapping.redis.channel"));
        let document = DeTable::parse("url = \"sqlite:x\"\nquery = \"q\"").expect("TOML");
        let table = Table::new(document.get_ref(), 0..0, String::new(), &problems);
        let Some(Source::Sql { pool_size, channel, .. }) = sql(&table, Path::new("")) else {
            panic!("an SQL store")
        };
        assert_eq!(pool_size.to_string(), default("mapping.sql.pool_size"));
        assert_eq!(channel, default("mapping.sql.channel"));
    }
}
