//! The points: every order that changes where accounts go, or sends their sessions away.
//!
//! The room exists so that an order is carried out in one order: the store, then the cache, then the logins
//! under way. Whoever writes a mapping past it leaves a login that was looked up a moment before to end on the
//! server that its account has just left. What must never happen here: an order that is answered before it
//! acts; an order that stops half-way because whoever gave it is gone; a name that is looked for as it was
//! typed and not as it is kept.
//!
//! | module | subject |
//! |---|---|
//! | `orders` | [`Control`]: apply, reload, invalidate, kick, delay, hold |
//! | `others` | the other proxies: told, and obeyed |

mod orders;
mod others;

pub use cluster::SessionFilter;
pub use orders::Control;

#[cfg(test)]
mod tests;
