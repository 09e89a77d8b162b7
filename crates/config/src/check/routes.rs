//! Warnings about the routes of `[http]`: configurations that are valid but answer requests with an error.

use types::protocol::Protocol;

use crate::diagnostic::Problems;
use crate::draft::Draft;

/// Warns about a listener without routes, and about routes to a destination without HTTP.
pub(super) fn all(draft: &Draft, problems: &Problems) {
    let listeners = draft.plan.listeners.iter().zip(&draft.listeners);
    let Some((_, places)) = listeners.into_iter().find(|(listener, _)| listener.protocol == Protocol::Http)
    else {
        return;
    };
    if draft.plan.http.routes.is_empty() {
        let key = format!("{}.protocol", places.path);
        let message = "there is no [[http.route]]: every request will be answered with 404";
        let help = "add routes, such as match = \"/**\" with extract = { from = \"authorization\" }";
        problems.warning(&key, places.protocol.clone(), message, help);
    }
    for at in draft.references.iter().filter(|at| at.key.starts_with("http.route[")) {
        let destination = draft.plan.destinations.get(&*at.value);
        if destination.is_some_and(|destination| destination.leg(Protocol::Http).is_none()) {
            let name = at.value.escape_debug();
            let message = format!("\"{name}\" has no leg for \"http\": requests will be answered with 502");
            let help = format!("add [destination.{name}.protocol.http]");
            problems.warning(&at.key, at.span.clone(), message, help);
        }
    }
}
