//! Faults explained to operators: what happened, and what to check next.

use types::fault::Fault;

/// Returns the explanation of `fault`.
pub(crate) const fn describe(fault: Fault) -> &'static str {
    match fault {
        Fault::MarkedDown => "the destination is marked down",
        Fault::Dns => {
            "the host name has no address: check its spelling, and whether this host's resolver knows it"
        }
        Fault::Refused => "the connection was refused: check that the service runs on this port",
        Fault::Unreachable => "the host is unreachable: check routes, firewalls and source_ips",
        Fault::ConnectTimeout => {
            "the connection timed out: the host is down, or a firewall drops the packets"
        }
        Fault::Tls => "the TLS handshake failed",
        Fault::Greeting => {
            "the greeting is not one of this protocol: check that the port belongs to this service"
        }
        Fault::Preauth => {
            "the server sent PREAUTH: every connection is logged in already, without a password; disable that for the proxy"
        }
        Fault::NoStartTls => {
            "the server does not offer STARTTLS: enable it there, or set tls = \"implicit\" and the implicit TLS port"
        }
        Fault::StartTlsInjected => {
            "the server sent more bytes after its reply to STARTTLS: they may have been injected on the way"
        }
        Fault::Forwarding => {
            "the server refused XCLIENT: add the proxy to its trusted networks, or set forwarding = \"none\""
        }
        Fault::NoLeg => "the destination has no leg for this protocol: add it to the configuration",
        Fault::NoMechanism => "the server offers no mechanism that this login can be replayed with",
        Fault::Protocol => "the server sent a reply that the protocol does not allow",
        Fault::Closed => {
            "the server closed the connection: check whether it expects TLS or a PROXY header (tls, proxy_protocol)"
        }
        Fault::TimedOut => {
            "the server did not answer in time: check whether it waits for TLS or a PROXY header (tls, proxy_protocol)"
        }
        Fault::Loop => "the address is one of the proxy's own listeners",
        Fault::Exhausted => {
            "the proxy has no descriptor, socket memory or local port left: check source_ips, and raise LimitNOFILE"
        }
    }
}
