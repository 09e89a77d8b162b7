//! The management API: HTTPS, one token, thin handlers over the rooms.
//!
//! The room exists so that an operator can see and steer what runs without a restart. What must never happen
//! here: an act without the token or without its record; a token in a log, an answer or an error; a caller,
//! however many and however slow, who takes time or memory from the mail path; an act that is half done because
//! its caller hung up.
//!
//! | module | subject |
//! |---|---|
//! | [`app_handle`] | what the program lends to the API |
//! | `door`, `patience`, `penalty` | connections: their number, their speed, TLS |
//! | `gate`, `strikes` | the token, and who has shown a wrong one too often |
//! | `routes`, `guard` | which call is where; what happens around every call |
//! | `parameters`, `failure` | what a call was given; what it answers when it cannot |
//! | `calls` | the calls, one file for each subject |
//! | [`audit`] | the record of every act |
//! | `dashboard` | the page for people, and its files |
//! | [`remarks`] | what is wrong in a file, line by line |
//! | `openapi` | the description, tested against the routes |
//!
//! A request's way through:
//!
//! ```text
//! door ──▶ TLS ──▶ guard ──▶ gate ──▶ routes ──▶ a call ──▶ a room
//!   ✗ closed        │          ✗ 401, 429  ✗ 404, 405   ✗ problem
//!                   └─ an act goes on when its caller hangs up
//! ```

pub mod app_handle;
pub mod audit;
pub mod remarks;

mod calls;
mod dashboard;
mod door;
mod failure;
mod gate;
mod guard;
mod openapi;
mod parameters;
mod patience;
mod penalty;
mod routes;
mod shared;
mod strikes;

pub use app_handle::{AppHandle, Reload, ReloadError};
pub use audit::{Act, Actor, Audit};
pub use door::Server;
