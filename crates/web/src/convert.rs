//! Converts between our heads and those of the HTTP/2 library.

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, uri};
use http_proto::{BadHead, Fields, Framing, RequestHead, ResponseHead, Version, check_h2_request};

/// Converts a request from an HTTP/2 stream. `has_body`: the head does not end the stream.
///
/// # Errors
/// When an HTTP/1 backend could read it differently, or its method is not supported.
pub(crate) fn request(parts: &http::request::Parts, has_body: bool) -> Result<RequestHead, BadHead> {
    let fields = fields(&parts.headers);
    let target = target(&parts.uri);
    let authority =
        parts.uri.authority().map(|authority| Bytes::copy_from_slice(authority.as_str().as_bytes()));
    let host = fields.get("host").cloned();
    check_h2_request(
        parts.method.as_str().as_bytes(),
        parts.uri.scheme_str().unwrap_or_default().as_bytes(),
        authority.as_deref(),
        &target,
        &fields,
    )?;
    let length = fields.get("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let framing = match length {
        _ if !has_body => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    // `check_h2_request` has accepted no other expectation.
    let expects_continue = fields.get("expect").is_some();
    Ok(RequestHead {
        method: Bytes::copy_from_slice(parts.method.as_str().as_bytes()),
        target,
        version: Version::Http2,
        authority: authority.or(host).unwrap_or_default(),
        fields,
        framing,
        keeps_alive: true,
        expects_continue,
        upgrade: None,
    })
}

/// A request for an HTTP/2 backend.
///
/// # Errors
/// When the library cannot represent it; our own checks let no such head through.
pub(crate) fn outgoing(head: &RequestHead, scheme: &'static str) -> Result<Request<()>, http::Error> {
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(uri::Authority::from_maybe_shared(head.authority.clone())?)
        .path_and_query(uri::PathAndQuery::from_maybe_shared(head.target.clone())?)
        .build()?;
    let mut request = Request::builder().method(Method::from_bytes(&head.method)?).uri(uri).body(())?;
    let mut fields = map(&head.fields);
    fields.remove("host");
    *request.headers_mut() = fields;
    Ok(request)
}

/// Converts a response from an HTTP/2 stream.
pub(crate) fn response(parts: &http::response::Parts, has_body: bool) -> ResponseHead {
    let fields = fields(&parts.headers);
    let length = fields.get("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let framing = match length {
        _ if !has_body => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    ResponseHead {
        version: Version::Http2,
        status: parts.status.as_u16(),
        reason: Bytes::from_static(parts.status.canonical_reason().unwrap_or_default().as_bytes()),
        fields,
        framing,
        keeps_alive: true,
        upgrade: None,
    }
}

/// Converts a response for an HTTP/2 client. Returns `None` when its status is not a valid code.
pub(crate) fn reply(head: &ResponseHead) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).ok()?;
    *response.headers_mut() = map(&head.fields);
    Some(response)
}

/// Converts fields for the library; one that it cannot represent is omitted. Names become lower case.
pub(crate) fn map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields.iter() {
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_maybe_shared(value.clone());
        if let (Ok(name), Ok(mut value)) = (name, value) {
            // Never indexed by the compression, where it could be guessed (RFC 7541 section 7.1.3).
            if name == "authorization" || name == "cookie" || name == "set-cookie" {
                value.set_sensitive(true);
            }
            map.append(name, value);
        }
    }
    map
}

/// Converts the library's fields; a request's cookies become one field.
pub(crate) fn fields(map: &HeaderMap) -> Fields {
    let mut fields = Fields::default();
    let mut cookies = BytesMut::new();
    for (name, value) in map {
        let value = Bytes::copy_from_slice(value.as_bytes());
        if name != "cookie" {
            fields.push(Bytes::copy_from_slice(name.as_str().as_bytes()), value);
            continue;
        }
        // RFC 9113 section 8.2.3: HTTP/2 may split the field for the compression, HTTP/1 may not.
        if !cookies.is_empty() {
            cookies.extend_from_slice(b"; ");
        }
        cookies.extend_from_slice(&value);
    }
    if !cookies.is_empty() {
        fields.push(Bytes::from_static(b"cookie"), cookies.freeze());
    }
    fields
}

fn target(uri: &Uri) -> Bytes {
    let target = uri.path_and_query().map_or("", uri::PathAndQuery::as_str);
    Bytes::copy_from_slice(target.as_bytes())
}
