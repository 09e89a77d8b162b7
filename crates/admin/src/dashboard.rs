//! The dashboard: a page that calls the API with the token that its user enters.
//!
//! The files contain no secret, so they need no token. The content security policy limits the page: it runs only this
//! server's scripts, connects only to this server, and cannot be framed.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_FRAME_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::shared::Shared;

/// Path, media type, content.
type File = (&'static str, &'static str, &'static str);

macro_rules! file {
    ($name:literal, $media:literal) => {
        (concat!("/dashboard/", $name), $media, include_str!(concat!("dashboard/", $name)))
    };
}

const PAGE: &str = "/dashboard";
const FILES: &[File] = &[
    (PAGE, "text/html; charset=utf-8", include_str!("dashboard/index.html")),
    file!("style.css", "text/css; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
    file!("main.js", "text/javascript; charset=utf-8"),
    file!("account.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("lists.js", "text/javascript; charset=utf-8"),
    file!("moves.js", "text/javascript; charset=utf-8"),
    file!("overview.js", "text/javascript; charset=utf-8"),
    file!("page.js", "text/javascript; charset=utf-8"),
];

/// Trusted types without any policy: text from clients cannot become markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Adds the page and its files to the routes.
pub(crate) fn routes(router: Router<Shared>) -> Router<Shared> {
    let root = router.route("/", get(async || (StatusCode::SEE_OTHER, [(LOCATION, PAGE)])));
    FILES.iter().fold(root, |router, &(path, media, content)| {
        router.route(path, get(async move || file(media, content)))
    })
}

/// Returns whether `path` belongs to the dashboard.
pub(crate) fn has(path: &str) -> bool {
    path == "/" || FILES.iter().any(|(file, ..)| *file == path)
}

fn file(media: &'static str, content: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, media),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (OPENER_POLICY, "same-origin"),
    ];
    (headers, Bytes::from_static(content.as_bytes())).into_response()
}
