//! The listeners: bound sockets and their accept loops.

use std::sync::Arc;

use listen::{BoundListener, ConnectionLimiter, Ipv4Ports, bind};
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
    /// The connections of each listener.
    limiters: Vec<(Name, ConnectionLimiter)>,
    /// Bound and not yet served.
    bound: Vec<(Arc<Listener>, Vec<BoundListener>)>,
}

// === impl Listeners ===

impl Listeners {
    /// Binds every listener of the plan in force. Nothing is accepted yet.
    ///
    /// # Errors
    /// When an address cannot be bound; none stays bound then.
    pub(crate) fn bind(app: &App) -> Result<Self, StartError> {
        let ipv4_ports = Ipv4Ports::of(&app.plan().plan);
        let mut limiters = Vec::new();
        let mut bound = Vec::new();
        for listener in &app.plan().plan.listeners {
            bound.push((Arc::clone(listener), bind(listener, &ipv4_ports)?));
            limiters.push((Arc::clone(&listener.name), ConnectionLimiter::new()));
        }
        Ok(Self { tasks: TaskTracker::new(), closing: CancellationToken::new(), limiters, bound })
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
                };
                self.tasks.spawn(accept_loop.run());
            }
        }
    }

    /// Closes the listeners. Sessions go on.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
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
    socket: BoundListener,
    limiter: ConnectionLimiter,
    tasks: TaskTracker,
    closing: CancellationToken,
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
                    self.tasks.spawn(service.serve(listener, accepted, self.closing.clone()));
                }
                Protocol::Http => web::Service::turn_away(&active, &listener, &accepted),
                _ if has_room => {
                    let draining = self.closing.clone().cancelled_owned();
                    self.tasks.spawn(self.app.mail().clone().serve(listener, accepted, draining));
                }
                _ => self.app.mail().turn_away(&active, &listener, &accepted),
            }
        }
    }
}
