"""What the tests with stand-ins for Stalwart share."""

import urllib.parse
from pathlib import Path

from clients.http1 import Http
from clients.http2 import Http2
from lab.endpoint import Endpoint
from lab.layout import DOMAIN, PLAIN, address
from lab.stalwart.server import Stalwart
from lab.web import configuration

from . import api, base
from .base import Case

STAND_IN_HOST = 33
# The first of the addresses of proxies in front of stand-ins.
PROXY_HOST = 24
ALICE, BOB = address("alice"), address("bob")
# The clients of the web interfaces, which are mapped like accounts.
WEB_CLIENTS = {"webadmin": "old", "stalwart-webui": "new"}


class WithStalwart(Case):
    """Starts stand-ins, which end with the test."""

    def stand_in(self, name, version, host_number):
        server = Stalwart(name, self.lab.block.host(host_number), self.lab.dir / f"{self.id().rpartition('.')[2]}-{version}", version)
        self.addCleanup(server.stop)
        return server


class Scenario(Case):
    """A published example in front of stand-ins. Only the places are changed: addresses, ports, certificates."""

    # Name of the example, and number of the first host for its stand-ins.
    example, first_host = "", 0
    proxies = 0

    @classmethod
    def start(cls, lab):
        """Returns the two servers and the proxy: (`old`, `new`, proxy)."""
        raise NotImplementedError

    def setUp(self):
        kind = type(self)
        if "running" not in vars(kind):
            kind.running = kind.start(self.lab)
        self.old_server, self.new_server, self.scenario_proxy = kind.running

    @classmethod
    def keep(cls, name, lab, host_number, version):
        server = Stalwart(name, lab.block.host(host_number), lab.dir / cls.__name__, version)
        base.at_end(server.stop)
        return server

    @classmethod
    def run_proxy(cls, places, table):
        change = configuration.scenario_at(cls.example, places)
        Scenario.proxies += 1
        return base.start_proxy(cls.__name__.lower(), PROXY_HOST + Scenario.proxies, change, table)

    # Clients.

    def listener(self, port, is_implicit):
        """The listener that the example has at this well-known port."""
        proxy = self.scenario_proxy
        return Endpoint(proxy.host, port + PLAIN, is_implicit, proxy.pairs["mail"].ca, f"mail.{DOMAIN}")

    def mail(self, client, port, is_implicit):
        return self.dial_endpoint(self.listener(port, is_implicit), client).secure()

    def http(self, client=Http):
        return self.dial_endpoint(self.listener(443, True), client)

    def http_clients(self):
        return ("HTTP/1.1", self.http(Http)), ("HTTP/2", self.http(Http2))

    def order(self, method, path, **parameters):
        """Sends an order to the management API, as the guide has it."""
        proxy = self.scenario_proxy
        token = Path(proxy.document["admin"]["bearer_token_file"]).read_text().strip()
        return api.fetch(proxy, f"{path}?{urllib.parse.urlencode(parameters, quote_via=urllib.parse.quote)}", method, {"Authorization": f"Bearer {token}"})
