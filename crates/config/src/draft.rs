//! A configuration that was read and not yet checked: the plan, with the places in the file that the rules across tables
//! report.

use std::net::SocketAddr;
use std::ops::Range;

use plan::{Name, Plan};
use types::protocol::Protocol;

use crate::read::Located;

/// Everything that was read, with the places that the rules across tables need.
pub(crate) struct Draft {
    pub(crate) plan: Plan,
    pub(crate) listeners: Vec<ListenerPlaces>,
    pub(crate) destinations: Vec<DestinationPlaces>,
    /// The name of every destination, those that could not be read included.
    pub(crate) declared: Vec<String>,
    /// References to destinations by name, from anywhere.
    pub(crate) references: Vec<Located<String>>,
    /// Where `server.hostname` stands.
    pub(crate) hostname: Range<usize>,
    /// Where `[routing]` stands.
    pub(crate) routing: Range<usize>,
    /// Where the management API listens.
    pub(crate) admin_bind: Vec<Located<SocketAddr>>,
}

/// Where a listener's parts stand, for the rules that span tables.
pub(crate) struct ListenerPlaces {
    pub(crate) path: String,
    pub(crate) protocol: Range<usize>,
    pub(crate) tls: Range<usize>,
    pub(crate) bind: Vec<Located<SocketAddr>>,
}

/// Where a destination's parts stand, for the rules that span tables.
pub(crate) struct DestinationPlaces {
    pub(crate) name: Name,
    pub(crate) path: String,
    /// Of the table's header.
    pub(crate) header: Range<usize>,
    pub(crate) host: Range<usize>,
    /// Of each leg's `tls`, by protocol.
    pub(crate) legs: Vec<(Protocol, Range<usize>)>,
    pub(crate) login_domain_separator: Option<Range<usize>>,
}
