//! What the patterns of `[[http.route]]` match.

use crate::support::{BASE, Folder};

#[test]
fn patterns_match_with_and_without_a_trailing_slash() {
    let folder = Folder::new();
    for (pattern, matched, others) in [
        ("/", &["/"][..], &["/x", ""][..]),
        ("/login", &["/login", "/login/"], &["/loginx", "/login/x", "/Login", "/x/login", "/"]),
        ("/login/", &["/login", "/login/"], &["/login/x"]),
        ("/admin/**", &["/admin", "/admin/", "/admin/x", "/admin/x/", "/admin/x/y"], &["/adminx", "/"]),
        ("/**", &["/", "/x", "/x/y/z/"], &[]),
        ("/a/*/c", &["/a/b/c", "/a/b/c/"], &["/a/b/b/c", "/a/c", "/a//x/c"]),
        ("/a/**/c", &["/a/c", "/a/b/c", "/a/b/b/c/"], &["/a", "/a/b"]),
        ("/{jmap,dav}/**", &["/jmap/ws", "/dav", "/dav/cal/alice"], &["/jma", "/x/jmap"]),
        ("/a,b", &["/a,b"], &["/a", "/b"]),
        ("/*.js", &["/x.js", "/.js"], &["/x/y.js", "/x.css"]),
    ] {
        let route = format!("[[http.route]]\nmatch = \"{pattern}\"\ndestination = \"old\"");
        let loaded = config::parse(&folder.path("c.toml"), BASE.replace("#route", &route));
        let plan = loaded.unwrap_or_else(|report| panic!("{report}")).plan;
        let route = &plan.http.routes[0];
        assert_eq!(route.pattern, pattern);
        for path in matched {
            assert!(route.matcher.is_match(path), "{pattern} matches {path}");
        }
        for path in others {
            assert!(!route.matcher.is_match(path), "{pattern} does not match {path}");
        }
    }
}

/// A route shows its account where it says, and leads to the default destination where nothing else is said.
#[test]
fn targets() {
    let folder = Folder::new();
    let route = |rest: &str| {
        let text = BASE.replace("#route", &format!("[[http.route]]\nmatch = \"/x\"\n{rest}"));
        let plan =
            config::parse(&folder.path("c.toml"), text).unwrap_or_else(|report| panic!("{report}")).plan;
        format!("{:?}", plan.http.routes[0].target)
    };
    for (rest, expected) in [
        ("destination = \"new\"", "Destination(\"new\")"),
        ("extract = { from = \"authorization\" }", "Extract { from: Authorization, fallback: None }"),
        (
            "extract = { from = \"authorization\" }\nfallback = \"default\"",
            "Extract { from: Authorization, fallback: None }",
        ),
        (
            "extract = { from = \"query\", param = \"u\" }\nfallback = \"new\"",
            "Extract { from: Query(\"u\"), fallback: Some(\"new\") }",
        ),
        (
            "extract = { from = \"header\", header = \"X-A\" }",
            "Extract { from: Header(\"x-a\"), fallback: None }",
        ),
        (
            "extract = { from = \"body\", regex = \"client_id=([^&]+)\" }\nfallback = \"old\"",
            "Extract { from: Body(Regex(\"client_id=([^&]+)\")), fallback: Some(\"old\") }",
        ),
    ] {
        assert_eq!(route(rest), expected);
    }
}
