//! Faults in words: what was met, and what to look at next.

use types::fault::Fault;

/// For the one who reads a probe's findings.
pub(crate) const fn of(fault: Fault) -> &'static str {
    match fault {
        Fault::MarkedDown => "it is marked down",
        Fault::Dns => "the host name has no address: is it spelt right, does this host's resolver know it?",
        Fault::Refused => "the connection was refused: does the service run there, on this port?",
        Fault::Unreachable => "the host cannot be reached: look at routes, firewalls and source_ips",
        Fault::ConnectTimeout => "connecting took too long: a firewall drops it, or the host is down",
        Fault::Tls => "the TLS handshake failed",
        Fault::Greeting => "its greeting is not one of this protocol: is the port another service's?",
        Fault::Preauth => {
            "it says that everybody is logged in already (PREAUTH): nobody would be asked for a password"
        }
        Fault::NoStartTls => {
            "it does not offer STARTTLS: enable it there, or use the implicit port and tls = \"implicit\""
        }
        Fault::StartTlsInjected => {
            "bytes stood behind its answer to STARTTLS: somebody in between put them there"
        }
        Fault::Forwarding => {
            "it refused XCLIENT: add the proxy to its trusted networks, or set forwarding = \"none\""
        }
        Fault::NoMechanism => "it offers nothing that a login could be made with",
        Fault::Protocol => "it answered what the protocol does not allow",
        Fault::Closed => {
            "it closed the connection: does it expect a PROXY header or TLS that it is not sent, or the other way round?"
        }
        Fault::TimedOut => {
            "it did not answer in time: does it wait for TLS or a PROXY header that it is not sent (tls, proxy_protocol)?"
        }
        Fault::Loop => "this address is one of the proxy's own listeners",
    }
}
