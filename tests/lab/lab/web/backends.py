"""All of HTTP's backends, of both sides."""

from ..layout import SIDES
from ..waiting import answers, until
from . import cyrus, layout
from .nginx import Nginx
from .recorder import Recorder
from .sockets import Sockets


class Backends:
    """Started for the first test that asks for them. By side: `told` demands a PROXY header, `untold` does not, `clear` is without TLS."""

    def __init__(self, lab):
        self.lab, self.started = lab, []
        self.told, self.untold, self.clear, self.dav, self.sockets, self.jmap = {}, {}, {}, {}, {}, {}
        try:
            for name in SIDES:
                self._start(name, lab.sides[name])
            for name in SIDES:
                side = lab.sides[name]
                for port in (layout.port("dav"), layout.port("dav", True)):
                    until(lambda: answers(side.host, port), f"nginx of {name} does not answer on {port}")
        except BaseException:
            self.stop()
            raise

    def _start(self, name, side):
        self.told[name] = self._keep(Recorder(name, side.host, layout.port("recorder", True), side.pair, is_proxied=True))
        self.untold[name] = self._keep(Recorder(name, side.host, layout.port("recorder"), side.pair))
        self.clear[name] = self._keep(Recorder(name, side.host, layout.port("clear")))
        self.sockets[name] = self._keep(Sockets(name, side.host, layout.port("socket"), side.pair))
        self.dav[name] = self._keep(Nginx(side))
        self.dav[name].start()

    def with_jmap(self):
        """Cyrus takes a second to start, which only some tests need."""
        if not self.jmap:
            for name, side in self.lab.sides.items():
                self.jmap[name] = self._keep(cyrus.Cyrus(side))
                self.jmap[name].start()
        return self.jmap

    def _keep(self, backend):
        self.started.append(backend)
        return backend

    def stop(self):
        while self.started:
            self.started.pop().stop()
