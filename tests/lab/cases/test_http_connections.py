"""Many requests on one connection: each is routed for itself, and answered in its place."""

import itertools
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from clients.addresses import fresh
from clients.http1 import Http
from lab.web import layout
from lab.web.recorder import describe
from lab.waiting import until

from .web import Web, login

# 100 requests of ten accounts, in an order that is no pattern, and the same every time.
ORDER = random.Random(4).sample([name for name in layout.TEN for _ in range(10)], 100)


class Interleaved(Web):
    def assert_right(self, answers):
        for number, (name, answer) in enumerate(zip(ORDER, answers, strict=True)):
            document = answer.json()
            self.assertEqual((document["side"], document["target"]), (layout.TEN[name], f"/jmap/{number}/{name}"))
            # HTTP/2 has names in small letters only.
            fields = [[field.lower(), value] for field, value in document["fields"]]
            self.assertIn(["authorization", login(name)[1]], fields)

    def test_one_after_the_other(self):
        client = self.http1()
        self.assert_right([client.get(f"/jmap/{number}/{name}", login(name)) for number, name in enumerate(ORDER)])

    def test_pipelined(self):
        client = self.http1()
        head = "GET /jmap/{}/{} HTTP/1.1\r\nHost: mail.example.org\r\n{}: {}\r\n\r\n"
        sent = "".join(head.format(number, name, *login(name)) for number, name in enumerate(ORDER))
        client.send(sent.encode())
        self.assert_right([client.answer() for _ in ORDER])

    def test_pipelined_with_bodies_and_in_odd_pieces(self):
        client, sent = self.http1(), b""
        for number, name in enumerate(ORDER):
            body = f"body {number}".encode() * (number % 7)
            framing = b"Content-Length: %d\r\n\r\n" % len(body) + body
            if number % 2:
                framing = b"Transfer-Encoding: chunked\r\n\r\n" + (b"%x\r\n" % len(body) + body + b"\r\n" if body else b"") + b"0\r\n\r\n"
            sent += "POST /jmap/{}/{} HTTP/1.1\r\nHost: mail.example.org\r\n{}: {}\r\n".format(number, name, *login(name)).encode() + framing
        for at in range(0, len(sent), 997):
            client.send(sent[at:at + 997])
        answers = [client.answer() for _ in ORDER]
        self.assert_right(answers)
        self.assertEqual([answer.json()["size"] for answer in answers], [len(f"body {number}") * (number % 7) for number in range(100)])

    def test_multiplexed(self):
        client = self.http2()
        # 100 at once: below the 128 that are allowed.
        streams = [client.ask("GET", f"/jmap/{number}/{name}", [login(name)]) for number, name in enumerate(ORDER)]
        self.assert_right([client.answer(stream) for stream in streams])

    def test_an_answer_that_waits_holds_up_nobody_else(self):
        """On h2 the others overtake it; on h1 they keep their place."""
        may_go = self.made_late(b"at last")
        client = self.http2()
        slow = client.ask("GET", "/made/slow")
        self.assertEqual([self.side_of(client.get("/x", login(name))) for name in ("alice", "bob")], ["old", "new"])
        may_go.set()
        self.assertEqual(client.answer(slow).body, b"at last")


class Moves(Web):
    """An account moves: the same connection's next request goes to the other side."""

    def test_on_a_connection_that_stays(self):
        for (name, client), (side, other) in itertools.product(self.clients(), [("old", "new")]):
            with self.subTest(name):
                self.assertEqual(self.side_of(client.get("/x", login("mover"))), side)
                self.addCleanup(self.proxy.map, "mover@example.org", side)
                self.proxy.map("mover@example.org", other)
                until(lambda: self.side_of(client.get("/x", login("mover"))) == other, "requests do not follow the mapping")
                self.proxy.map("mover@example.org", side)
                until(lambda: self.side_of(client.get("/x", login("mover"))) == side, "requests do not follow the mapping back")


class Pool(Web):
    """Connections to backends are kept for the next request, and never for another client where a PROXY header named one."""

    def test_one_connection_serves_many_requests(self):
        backend, client = self.made(describe), self.http1()
        for _ in range(20):
            self.assertEqual(self.side_of(client.get("/made/x")), "made")
        self.assertLessEqual(len(backend.connections), 2)

    def test_an_idle_one_that_the_backend_closed_is_replaced(self):
        backend = self.made(describe)
        for client in (self.http1(), self.http2()):
            for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
                with self.subTest(method):
                    self.assertEqual(client.request(method, "/made/x", [], b"" if method == "PUT" else None).status, 200)
                    backend.hang_up()
                    # It may not have heard of it yet: the request is sent again, which these methods bear.
                    self.assertEqual(client.request(method, "/made/x", [], b"" if method == "PUT" else None).status, 200)

    def test_nothing_is_sent_twice_that_could_do_something_twice(self):
        def vanish(exchange):
            exchange.read()
            if exchange.request.method == "POST":
                exchange.end()
            else:
                describe(exchange)
        backend, client = self.made(vanish), self.http1()
        client.get("/made/first")
        self.assertIn(client.request("POST", "/made/order", [], b"one, please").status, (502, 503))
        self.assertEqual([request.method for request in backend.requests()].count("POST"), 1)

    def test_the_proxy_header_is_always_the_clients(self):
        """50 addresses at once, on both versions, over pooled connections."""
        sources = [fresh() for _ in range(50)]

        def one(number):
            client = (self.http1 if number % 2 else self.http2)(source=sources[number])
            seen = []
            for turn in range(6):
                answer = client.get(f"/{turn}", login("alice" if turn % 2 else "bob")).json()
                seen.append((answer["client"][0], answer["side"]))
            return seen
        with ThreadPoolExecutor(25) as pool:
            for source, seen in zip(sources, pool.map(one, range(50)), strict=True):
                self.assertEqual(seen, [(source, "old" if turn % 2 else "new") for turn in range(6)])

    def test_its_port_and_the_address_connected_to(self):
        client = self.http1()
        client.get("/x", login("alice"))
        proxied = next(connection.proxied for connection in reversed(self.backends.told["old"].connections)
                       if connection.proxied.source[0] == client.source)
        self.assertEqual(proxied.source, (client.source, client.local_port))
        self.assertEqual(proxied.destination, (self.proxy.host, client.endpoint.port))


class Leaving(Web):
    """A client that goes away while its backend has not said a word does not keep that backend's connection busy."""

    def test_it_leaves_as_it_likes(self):
        backend = self.made(describe)
        for via, leave in itertools.product(("implicit", "plain"), (Http.close, Http.reset)):
            with self.subTest(via=via, how=leave.__name__):
                heard, ended = threading.Event(), []

                def silent(exchange, heard=heard, ended=ended):
                    heard.set()
                    # Nothing comes but the end; patience that runs out is no end, and marks nothing.
                    ended.append(exchange.hear())
                    exchange.end()
                backend.answer = silent
                client = self.http1(via)
                client.ask("GET", "/made/poll")
                self.assertTrue(heard.wait(10))
                self.assertEqual(ended, [])
                leave(client)
                until(lambda ended=ended: ended == [b""], "the backend is still held")

    def test_one_that_closes_its_side_alone_is_answered(self):
        may_go = self.made_late(b"late, but whole")
        client = self.http1("plain")
        client.ask("GET", "/made/late")
        client.socket.shutdown(socket.SHUT_WR)
        may_go.set()
        self.assertEqual(client.answer().body, b"late, but whole")
        self.assertTrue(client.has_ended())
