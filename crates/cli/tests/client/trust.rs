//! Which certificates and tokens the client accepts, and its errors for the others.

use crate::support::{Proxy, TOKEN};

#[test]
fn the_api_is_found_through_the_configuration() {
    let proxy = Proxy::start();
    let status = proxy.run_bare(&["status", "--config", "client.toml", "--pin", &proxy.pin]);
    assert!(status.ok().contains("ready"));
    let missing_file = proxy.run_bare(&["status", "--config", "missing.toml"]);
    assert_eq!(missing_file.code, 2, "{missing_file:?}");
    // The proxy's self-signed certificate is found through the configuration too.
    assert!(proxy.run_bare(&["status", "--config", "client.toml"]).ok().contains("ready"));
    std::fs::remove_file(proxy.path("state").join("admin.crt")).expect("it is there");
    // ./pointsman.toml is found, but there is no pin any more.
    let no_pin = proxy.run_bare(&["status"]);
    assert_eq!(no_pin.code, 2, "{no_pin:?}");
    assert!(no_pin.err.contains("--pin"), "{}", no_pin.err);
}

#[test]
fn another_proxys_certificate_in_the_state_directory_is_refused() {
    let proxy = Proxy::start();
    let other = Proxy::start();
    let copied = std::fs::copy(other.path("state").join("admin.crt"), proxy.path("state").join("admin.crt"));
    copied.expect("a file");
    let output = proxy.run_bare(&["status", "--config", "client.toml"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(
        output.err.contains("the token was not sent") && output.err.contains(&proxy.pin),
        "{}",
        output.err
    );
}

/// Three wrong tokens lock an address out, so a token that had reached the server would be noticed.
#[test]
fn the_token_is_never_sent_to_an_unknown_certificate() {
    let proxy = Proxy::start();
    let (url, pin) = (format!("https://{}", proxy.address), "00".repeat(32));
    std::fs::write(proxy.path("wrong"), TOKEN.replace('0', "f")).expect("a file");
    for pin in [Some(pin.as_str()), None, Some(pin.as_str()), None] {
        let mut arguments = vec!["status", "--url", &url, "--token-file", "wrong"];
        arguments.extend(pin.iter().flat_map(|pin| ["--pin", pin]));
        let output = proxy.run_bare(&arguments);
        assert_eq!((output.code, output.out.as_str()), (2, ""), "{output:?}");
        assert!(output.err.contains(&proxy.pin) || pin.is_none(), "{}", output.err);
        assert!(output.err.contains("the token was not sent"), "{}", output.err);
        assert!(
            output.err.contains("--pin") && !output.err.contains("tls_"),
            "names a configuration key: {}",
            output.err
        );
    }
    proxy.run(&["status"]).ok();
}

#[test]
fn a_wrong_token_is_reported_without_showing_it() {
    let proxy = Proxy::start();
    std::fs::write(proxy.path("token"), TOKEN.replace('0', "f")).expect("a file");
    let output = proxy.run(&["status"]);
    assert_eq!((output.code, output.out.as_str()), (1, ""), "{output:?}");
    assert!(output.err.contains("token") && !output.err.contains("ffff"), "{}", output.err);
}

#[test]
fn contradictory_arguments_exit_2() {
    let proxy = Proxy::start();
    for arguments in [
        &["status", "--url", "http://127.0.0.1:1", "--token-file", "token"][..],
        &["status", "--url", "https://127.0.0.1:1"],
        &["status", "--url", "https://127.0.0.1:1", "--token-file", "missing"],
        &["status", "--url", "https://127.0.0.1:1", "--token-file", "token", "--pin", "12"],
        &["status", "--url", "https://127.0.0.1:1", "--config", "client.toml"],
        // The configuration has its own token file: --token-file would be ignored silently.
        &["status", "--config", "client.toml", "--token-file", "token"],
        &["map"],
        &["map", "get"],
    ] {
        let output = proxy.run_bare(arguments);
        assert_eq!((output.code, output.out.as_str()), (2, ""), "{arguments:?}: {output:?}");
        assert!(!output.err.is_empty() && !output.err.contains(TOKEN), "{}", output.err);
    }
}

#[test]
fn an_unreachable_proxy_is_reported() {
    let proxy = Proxy::start();
    let pin = "00".repeat(32);
    let output =
        proxy.run_bare(&["status", "--url", "https://127.0.0.1:1", "--token-file", "token", "--pin", &pin]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(
        output.err.contains("127.0.0.1:1") && output.err.contains("is the proxy running"),
        "{}",
        output.err
    );
}
