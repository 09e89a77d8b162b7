//! The configurations of `resources/` load without a warning, and their mappings name declared destinations.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use config::Diagnostic;

const STALWART: &str = include_str!("../../../resources/config.stalwart-upgrade.toml");
const DOVECOT: &str = include_str!("../../../resources/config.dovecot-postfix.toml");
const CLUSTER: &str = include_str!("../../../resources/config.cluster.toml");
const MINIMAL: &str = include_str!("../../../resources/config.minimal.toml");
const MAPPING_STALWART: &str = include_str!("../../../resources/mapping.stalwart-upgrade");
const MAPPING_DOVECOT: &str = include_str!("../../../resources/mapping.dovecot-postfix");

/// Loads a configuration beside the files that it names, as an operator keeps them.
fn load(text: &str, mapping: &str) -> Vec<Diagnostic> {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("mode");
    let made = rcgen::generate_simple_self_signed(["mail.example.org".to_owned()]).expect("certificate");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("write");
    write("mail.example.org.pem", &made.cert.pem());
    write("mail.example.org.key", &made.signing_key.serialize_pem());
    write("admin.token", "0123456789abcdef0123456789abcdef\n");
    write("redis.url", "rediss://user:password@redis.internal.example.org:6379/0\n");
    write("mapping", mapping);
    let text = text.replace("/var/lib/pointsman", &folder.path().display().to_string());
    match config::parse(&folder.path().join("config.toml"), text) {
        Ok(loaded) => loaded.warnings.diagnostics,
        Err(report) => report.diagnostics,
    }
}

/// The configuration for an old server of 0.16 or 1.x, made as the comments in the file say.
fn stalwart_16() -> String {
    let begin = STALWART.find("# Old server 0.15 (begin)").expect("the routes for 0.15");
    let end = STALWART.find("# Old server 0.15 (end)").expect("their end");
    format!("{}{}", &STALWART[..begin], STALWART[end..].replace("\n#| ", "\n").replace("\n#|\n", "\n\n"))
}

#[test]
fn every_configuration_loads_without_a_warning() {
    for (name, text, mapping) in [
        ("stalwart-upgrade", STALWART, MAPPING_STALWART),
        ("stalwart-upgrade, 0.16", &stalwart_16(), MAPPING_STALWART),
        ("dovecot-postfix", DOVECOT, MAPPING_DOVECOT),
        ("cluster", CLUSTER, ""),
        ("minimal", MINIMAL, ""),
    ] {
        let diagnostics = load(text, mapping);
        assert!(diagnostics.is_empty(), "{name}: {diagnostics:#?}");
    }
}

#[test]
fn routes_for_both_versions() {
    let destination = |text: &str, path: &str| {
        let table: toml::Table = text.parse().expect("TOML");
        let routes = table["http"]["route"].as_array().expect("routes").clone();
        let route = routes.iter().find(|route| route["match"].as_str() == Some(path))?;
        Some(route["destination"].as_str().expect("a destination").to_owned())
    };
    assert_eq!(destination(STALWART, "/api/oauth").as_deref(), Some("old"));
    assert_eq!(destination(STALWART, "/login").as_deref(), Some("new"));
    assert_eq!(destination(&stalwart_16(), "/api/oauth"), None);
    assert_eq!(destination(&stalwart_16(), "/login").as_deref(), Some("old"));
}

#[test]
fn the_folder_has_no_other_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../resources");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("resources")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    let known = ["cluster", "dovecot-postfix", "minimal", "stalwart-upgrade"]
        .map(|name| format!("config.{name}.toml"));
    assert_eq!(names, known, "a configuration here is loaded by a test");
}
