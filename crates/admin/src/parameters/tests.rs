use proptest::prelude::*;

use super::*;

fn query(text: &str) -> CallResult<Vec<(String, String)>> {
    Parameters::of_query(text).map(|parameters| parameters.given.into_iter().collect())
}

fn body(text: &str) -> CallResult<Vec<(String, String)>> {
    let mut parameters = Parameters::default();
    parameters.add_body(text.as_bytes())?;
    Ok(parameters.given.into_iter().collect())
}

#[test]
fn parameters_are_read() {
    for (text, expected) in [
        ("", vec![]),
        ("&&", vec![]),
        ("identifier=alice@example.org", vec![("identifier", "alice@example.org")]),
        ("identifier=a%2Bb%40c&seconds=5", vec![("identifier", "a+b@c"), ("seconds", "5")]),
        ("identifier=alice+tag@example.org", vec![("identifier", "alice+tag@example.org")]),
        ("identifier=a%20b", vec![("identifier", "a b")]),
        ("identifier=%C3%A4", vec![("identifier", "ä")]),
        ("identifier", vec![("identifier", "")]),
        ("identifier=a=b", vec![("identifier", "a=b")]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        assert_eq!(query(text).expect(text), expected, "{text}");
    }
    for (text, expected) in [
        ("", vec![]),
        (" \n", vec![]),
        ("{}", vec![]),
        (r#"{"identifier":"a","x":null}"#, vec![("identifier", "a"), ("x", "")]),
        (r#"{"seconds":5}"#, vec![("seconds", "5")]),
        (r#"{"seconds":-5}"#, vec![("seconds", "-5")]),
        (r#"{"seconds":100000000000000000000000}"#, vec![("seconds", "99999999999999991611392")]),
        (r#"{"dry_run":true}"#, vec![("dry_run", "true")]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        assert_eq!(body(text).expect(text), expected, "{text}");
    }
}

#[test]
fn invalid_parameters_are_refused() {
    for text in ["a=1&a=1", "a=%", "a=%4", "a=%zz", "a=%ff", "%ff=a"] {
        assert_eq!(query(text).expect_err(text).status(), 400, "{text}");
    }
    for text in [
        "[]",
        "\"a\"",
        "{",
        r#"{"a":[]}"#,
        r#"{"a":{}}"#,
        r#"{"a":1.5}"#,
        "{} {}",
        r#"{"a":1e999}"#,
        r#"{"a":1,"a":1}"#,
    ] {
        assert_eq!(body(text).expect_err(text).status(), 400, "{text}");
    }
    let given = || Parameters::of_query("identifier=a").expect("a query");
    assert!(given().only(&["identifier"]).is_ok());
    let empty = Parameters::of_query("identifier=&destination=old").expect("a query");
    assert_eq!(empty.only(&["identifier", "destination"]).expect_err("empty").status(), 400);
    assert_eq!(given().only(&["destination"]).expect_err("unknown").status(), 400);
    assert_eq!(given().required("destination").expect_err("missing").status(), 400);
}

#[test]
fn pages_are_clamped() {
    let page = |text| Parameters::of_query(text).expect(text).page();
    assert_eq!(page("").expect("defaults"), (None, DEFAULT_LIMIT));
    assert_eq!(page("from=7&limit=0").expect("small"), (Some(7), 1));
    assert_eq!(page("limit=18446744073709551615").expect("large"), (None, MAX_LIMIT));
    assert_eq!(page("from=-1").expect_err("negative").status(), 400);
}

proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,40}|[a-z=&%+0-9]{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = query(&text);
        let _ = Parameters::default().add_body(&bytes);
    }

    /// A value that a client encodes reaches the call unchanged.
    #[test]
    fn any_value_survives(value in "\\PC{0,20}|.{0,20}") {
        let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let expected = vec![("identifier".to_owned(), value)];
        prop_assert_eq!(query(&format!("identifier={encoded}")).expect("well formed"), expected);
    }
}
