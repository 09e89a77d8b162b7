//! Every order that changes where accounts go, or ends their sessions.
//!
//! The crate exists so that there is one way to change a mapping, a hold or a session: [`Control::execute`]. It carries an
//! [`Order`] out in full (the store, then the cache, then the logins under way, then the other proxies), whether or not
//! its caller still waits. [`mapping::RouterControl`] and [`sessions::RegistryControl`], which can change things, are owned
//! here and cannot be had elsewhere. What must never happen here: an order that is answered before it has taken effect;
//! an order that stops half-way because its caller is gone; an account that is looked for in another spelling than the
//! one under which it is kept.
//!
//! | module | subject |
//! |---|---|
//! | `order` | [`Order`], [`OrderError`]: what can be asked for, and why it can fail |
//! | `execute` | [`Control`], [`Executed`], [`HeldAccounts`]: an order's effect on this proxy, and its results |
//! | `publish` | sends orders to the other proxies |
//! | `cluster_sync` | applies the orders of the other proxies |
//! | `hold` | the holds in force, of this proxy and of others |
//! | `wire` | an order as JSON |

mod cluster_sync;
mod execute;
mod hold;
mod order;
mod publish;
mod wire;

pub use execute::{Control, Executed, HeldAccounts, KickedSessions};
pub use order::{HoldNumber, Order, OrderError};
pub use sessions::SessionFilter;

#[cfg(test)]
mod tests;
