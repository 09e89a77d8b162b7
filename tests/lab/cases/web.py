"""What the tests of HTTP stand on: the backends and the proxy of this run, started for the first test that wants them."""

import threading

from clients.addresses import fresh
from clients.http1 import Http, basic
from clients.http2 import Http2
from lab.endpoint import Endpoint
from lab.layout import DOMAIN
from lab.web import configuration, layout
from lab.web.backends import Backends
from lab.web.recorder import Recorder

from . import base
from .base import Case

HOST_NUMBER = 60


class Web(Case):
    """A test of HTTP. `via` is the listener, `alice` is on old and `bob` on new."""

    client = Http
    backends, shared, extra = None, None, 0

    def setUp(self):
        if Web.backends is None:
            Web.backends = Backends(self.lab)
            base.at_end(Web.backends.stop)
            base.SECRETS.update(password.encode() for password in layout.PASSWORDS.values())
        if Web.shared is None and self.needs_proxy:
            Web.shared = base.start_proxy("web", HOST_NUMBER, configuration.web(self.lab), layout.table())

    @property
    def proxy(self):
        return Web.shared

    def web_proxy(self, change=None, table=None):
        """A proxy of its own for the rest of this test, with `change(document)`."""
        Web.extra += 1
        proxy = base.start_proxy(f"web-{Web.extra}", HOST_NUMBER + Web.extra, configuration.web(self.lab, change),
                                 layout.table() if table is None else table)
        self.addCleanup(proxy.stop)
        return proxy

    # Clients.

    def endpoint(self, via="implicit", proxy=None):
        proxy, (port, settings) = proxy or self.proxy, layout.LISTENERS[via]
        return Endpoint(proxy.host, port, settings["tls"] == "implicit", proxy.pairs["mail"].ca, f"mail.{DOMAIN}")

    def http1(self, via="implicit", proxy=None, source=None, **how):
        return self.dial_endpoint(self.endpoint(via, proxy), Http, source or fresh(), **how)

    def http2(self, via="implicit", proxy=None, source=None):
        return self.dial_endpoint(self.endpoint(via, proxy), Http2, source or fresh())

    def clients(self):
        """(name, client) of each version that is spoken to clients."""
        return (("HTTP/1.1", self.http1()), ("HTTP/2", self.http2()))

    # Backends.

    def made(self, answer, **how):
        """A backend of the test's own, behind the destination `made`, which `/made/**` leads to."""
        recorder = Recorder("made", self.lab.block.host(layout.MADE_HOST), layout.MADE_PORT, self.old.pair, **how)
        recorder.answer = answer
        self.addCleanup(recorder.stop)
        return recorder

    def made_late(self, body):
        """As `made`: it answers with that body once the event that this returns is set."""
        may_go = threading.Event()

        def late(exchange):
            may_go.wait(10)
            exchange.respond(200, body)
        self.made(late)
        return may_go

    def sent_for(self, talk):
        """The bytes that both sides received for the client of `talk`, one item for each connection.

        The PROXY header names the client, so a late request of another test is not among them.
        """
        return [data for recorder in self.backends.told.values() for data in recorder.received_for(talk.source)]

    def side_of(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["side"]


def login(name):
    """The field by which this account shows itself: `alice`, or `web-DESTINATION`."""
    account = name if "@" in name else f"{name}@{DOMAIN}"
    return basic(account, layout.password(account))


def login_at(destination):
    return login(layout.account(destination))
