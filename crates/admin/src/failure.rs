//! Error responses as RFC 9457 defines them, each with a fitting status and a way to fix the error.

use api::{Diagnostic, Problem};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use control::OrderError;
use mapping::store::{LoadError, StoreError};

use crate::app_handle::ReloadError;
use crate::diagnostics;

/// An error response. Boxed, since it is large and rare.
#[derive(Debug)]
pub(crate) struct Failure(Box<Inner>);

#[derive(Debug)]
struct Inner {
    problem: Problem,
    header: Option<(HeaderName, HeaderValue)>,
}

/// The result of a call.
pub(crate) type CallResult<T> = Result<T, Failure>;

/// `Retry-After` for a store that is busy, in seconds.
const RETRY_SECONDS: u64 = 1;

// === impl Failure ===

impl Failure {
    /// Makes an error response. `detail` says what was found, what was expected and how to fix it.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let problem = Problem { title, detail: detail.into(), status: status.as_u16(), problems: Vec::new() };
        Self(Box::new(Inner { problem, header: None }))
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn unauthorized(detail: &str) -> Self {
        let header = (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pointsman\""));
        Self::new(StatusCode::UNAUTHORIZED, detail).and(header)
    }

    /// Makes an error response with `Retry-After`, in whole seconds.
    pub(crate) fn later(status: StatusCode, seconds: u64, detail: impl Into<String>) -> Self {
        Self::new(status, detail).and((RETRY_AFTER, HeaderValue::from(seconds)))
    }

    fn and(mut self, header: (HeaderName, HeaderValue)) -> Self {
        self.0.header = Some(header);
        self
    }

    pub(crate) fn with(mut self, problems: Vec<Diagnostic>) -> Self {
        self.0.problem.problems = problems;
        self
    }

    pub(crate) const fn status(&self) -> u16 {
        self.0.problem.status
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Inner { problem, header } = *self.0;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Serializing plain data cannot fail; an empty body would still have its status.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let media = HeaderValue::from_static(api::problem::MEDIA_TYPE);
        let mut response = (status, [(CONTENT_TYPE, media)], body).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::BadIdentifier { .. } | StoreError::UnknownDestination { .. } => {
                Self::bad_request(detail)
            }
            StoreError::ReadOnly(_) => Self::new(StatusCode::NOT_IMPLEMENTED, detail),
            StoreError::NoSpace(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, detail),
            StoreError::Unreadable(error) => {
                Self::new(StatusCode::CONFLICT, detail).with(diagnostics::of_mapping(&error))
            }
            StoreError::Unreachable(_) | StoreError::TimedOut(_) | StoreError::Busy(_) => {
                Self::later(StatusCode::SERVICE_UNAVAILABLE, RETRY_SECONDS, detail)
            }
            StoreError::NotDurable { .. } | StoreError::Io { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Store(error) => error.into(),
            OrderError::Load(error) => error.into(),
            OrderError::Hold(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            OrderError::Interrupted => {
                Self::later(StatusCode::SERVICE_UNAVAILABLE, RETRY_SECONDS, error.to_string())
            }
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).with(diagnostics::of_mapping(&error))
    }
}

impl From<ReloadError> for Failure {
    fn from(error: ReloadError) -> Self {
        let refused = |detail: String| Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        match error {
            ReloadError::Config { ref problems, .. } => {
                let problems = problems.clone();
                refused(format!("nothing was changed: {error}; see `problems`")).with(problems)
            }
            ReloadError::Mapping(error) => {
                refused(format!("nothing was changed: {error}")).with(diagnostics::of_mapping(&error))
            }
            ReloadError::Other(error) => refused(format!("nothing was changed: {error}")),
        }
    }
}
