//! The accept loops, and the count of what they have let in.

use std::sync::Arc;

use admin::Audit;
use listen::{BoundListener, ConnectionLimiter, bind};
use plan::{Listener, Name};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::protocol::Protocol;

use crate::management;
use crate::start::{App, StartError};

/// Every door of the program.
pub(crate) struct Doors {
    /// Sessions and accept loops; drained when it is empty.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the doors close.
    pub(crate) closing: CancellationToken,
    /// Each listener's connections.
    pub(crate) places: Vec<(Name, ConnectionLimiter)>,
}

/// Binds everything, the management API's addresses too, then begins to accept: either all doors open or none.
/// Gives the audit log, where there is one.
pub(crate) fn open(app: &Arc<App>) -> Result<(Doors, Option<Audit>), StartError> {
    let mut doors =
        Doors { tasks: TaskTracker::new(), closing: CancellationToken::new(), places: Vec::new() };
    let mut bound = Vec::new();
    for listener in &app.plan().plan.listeners {
        bound.push((Arc::clone(listener), bind(listener)?));
        doors.places.push((Arc::clone(&listener.name), ConnectionLimiter::new()));
    }
    let (server, audit) = management::bind(app, &doors)?.unzip();
    for ((listener, sockets), (_, places)) in bound.into_iter().zip(&doors.places) {
        for door in sockets {
            tracing::info!(
                listener = %listener.name,
                protocol = %listener.protocol,
                address = %door.address,
                "listening"
            );
            let entrance = accept(Arc::clone(app), Arc::clone(&listener), door, places.clone(), &doors);
            doors.tasks.spawn(entrance);
        }
    }
    if let Some(server) = server {
        management::serve(server);
    }
    Ok((doors, audit))
}

fn accept(
    app: Arc<App>,
    bound_as: Arc<Listener>,
    door: BoundListener,
    places: ConnectionLimiter,
    doors: &Doors,
) -> impl Future<Output = ()> + use<> {
    let (tasks, closing) = (doors.tasks.clone(), doors.closing.clone());
    async move {
        loop {
            let accepted = tokio::select! {
                accepted = door.accept(&bound_as, &places) => accepted,
                () = closing.cancelled() => return,
            };
            let plan = app.plan();
            // A reload may have changed what the listener of this name asks for; its sockets stay.
            let listener = plan.plan.listeners.iter().find(|listener| listener.name == bound_as.name);
            let listener = Arc::clone(listener.unwrap_or(&bound_as));
            let is_http = listener.protocol == Protocol::Http;
            match (accepted.permit.is_ok(), is_http) {
                (true, true) => {
                    tasks.spawn(app.web().clone().serve(listener, accepted, closing.clone()));
                }
                (true, false) => {
                    let draining = closing.clone().cancelled_owned();
                    tasks.spawn(app.mail().clone().serve(listener, accepted, draining));
                }
                (false, true) => web::Service::turn_away(&plan, &listener, &accepted),
                (false, false) => app.mail().turn_away(&plan, &listener, &accepted),
            }
        }
    }
}
