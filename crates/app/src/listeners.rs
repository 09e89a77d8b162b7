//! The listeners: bound sockets and their accept loops.

use std::sync::{Arc, Weak};

use listen::{Binder, BoundListener, ConnectionLimiter};
use plan::{Listener, Name};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::protocol::Protocol;

use crate::start::{App, StartError};

/// Every listener of the program.
pub(crate) struct Listeners {
    /// Sessions and accept loops; the program is drained when none is left.
    tasks: TaskTracker,
    /// Cancelled when the listeners close.
    closing: CancellationToken,
    /// Cancelled when clients that are connected have to leave.
    draining: CancellationToken,
    /// The connections of each listener.
    limiters: Vec<(Name, ConnectionLimiter)>,
    /// Bound and not yet served.
    bound: Vec<(Arc<Listener>, Vec<Arc<BoundListener>>)>,
}

// === impl Listeners ===

impl Listeners {
    /// Binds every listener of the plan in force. Nothing is accepted yet.
    ///
    /// # Errors
    /// When an address cannot be bound; none stays bound then.
    pub(crate) fn bind(app: &App, binder: &mut Binder) -> Result<Self, StartError> {
        let mut limiters = Vec::new();
        let mut bound = Vec::new();
        for listener in &app.plan().plan.listeners {
            let sockets = binder.bind(listener)?.into_iter().map(Arc::new).collect();
            bound.push((Arc::clone(listener), sockets));
            limiters.push((Arc::clone(&listener.name), ConnectionLimiter::new()));
        }
        Ok(Self {
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            draining: CancellationToken::new(),
            limiters,
            bound,
        })
    }

    /// Returns the listening sockets, which are closed by [`Listeners::close`]. Call it before [`Listeners::accept`].
    pub(crate) fn sockets(&self) -> Vec<Weak<BoundListener>> {
        self.bound.iter().flat_map(|(_, sockets)| sockets).map(Arc::downgrade).collect()
    }

    /// Begins to accept connections.
    pub(crate) fn accept(&mut self, app: &Arc<App>) {
        for ((listener, sockets), (_, limiter)) in self.bound.drain(..).zip(&self.limiters) {
            for socket in sockets {
                tracing::info!(
                    listener = %listener.name,
                    protocol = %listener.protocol,
                    address = %socket.address,
                    "listening"
                );
                let accept_loop = AcceptLoop {
                    app: Arc::clone(app),
                    bound_as: Arc::clone(&listener),
                    socket,
                    limiter: limiter.clone(),
                    tasks: self.tasks.clone(),
                    closing: self.closing.clone(),
                    draining: self.draining.clone(),
                };
                self.tasks.spawn(accept_loop.run());
            }
        }
    }

    /// Closes the listeners. Clients that are connected may go on, and log in.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
    }

    /// Asks clients that have not logged in, and those of HTTP, to leave. Sessions go on.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Resolves when every session has ended after [`Listeners::close`].
    pub(crate) async fn drained(&self) {
        self.tasks.wait().await;
    }

    /// Returns the connections of each listener.
    pub(crate) fn limiters(&self) -> &[(Name, ConnectionLimiter)] {
        &self.limiters
    }

    /// Returns the token that is cancelled when the listeners close.
    pub(crate) const fn closing(&self) -> &CancellationToken {
        &self.closing
    }
}

/// Accepts the connections of one socket.
struct AcceptLoop {
    app: Arc<App>,
    /// The listener as the plan of the start declared it.
    bound_as: Arc<Listener>,
    socket: Arc<BoundListener>,
    limiter: ConnectionLimiter,
    tasks: TaskTracker,
    closing: CancellationToken,
    draining: CancellationToken,
}

// === impl AcceptLoop ===

impl AcceptLoop {
    async fn run(self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept(&self.bound_as, &self.limiter) => accepted,
                () = self.closing.cancelled() => return,
            };
            let active = self.app.plan();
            // A reload may have changed the settings of the listener of this name; its sockets stay.
            let declared = active.plan.listeners.iter().find(|listener| listener.name == self.bound_as.name);
            let listener = Arc::clone(declared.unwrap_or(&self.bound_as));
            let has_room = accepted.permit.is_ok();
            match listener.protocol {
                Protocol::Http if has_room => {
                    let service = self.app.web().clone();
                    self.tasks.spawn(service.serve(listener, accepted, self.draining.clone()));
                }
                Protocol::Http => web::Service::turn_away(&active, &listener, &accepted),
                _ if has_room => {
                    let draining = self.draining.clone().cancelled_owned();
                    self.tasks.spawn(self.app.mail().clone().serve(listener, accepted, draining));
                }
                _ => mail::Service::turn_away(&active, &listener, &accepted),
            }
        }
    }
}
