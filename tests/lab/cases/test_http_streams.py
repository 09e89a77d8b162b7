"""Bodies pass as they come, whatever their size: nothing is held whole, nobody who reads slowly makes us hold more."""

import hashlib
import os
import threading

from clients.talk import Closed
from lab.waiting import until

from .web import Web, login

MIB = 1024 * 1024
# Each way. `make soak` asks for 2048; at a debug build's speed that would take minutes.
SIZE = int(os.environ.get("POINTSMAN_LAB_MIB", "256")) * MIB
# What the proxy may hold more of than before, whatever passes.
ROOM = 12 * MIB
BLOCK = os.urandom(MIB)


class Large(Web):
    def growth(self, act):
        """The most that the proxy grew by while `act` ran."""
        before, most, done = self.proxy.memory(), [0], threading.Event()

        def watch():
            while not done.wait(0.01):
                most[0] = max(most[0], self.proxy.memory() - before)
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            act()
        finally:
            done.set()
            watcher.join()
        return most[0]

    def expected(self):
        digest = hashlib.sha256()
        for _ in range(SIZE // MIB):
            digest.update(BLOCK)
        return digest.hexdigest()

    def test_up(self):
        answers = []

        def swallow(exchange):
            digest = hashlib.sha256()
            for piece in exchange.pieces:
                digest.update(piece)
            exchange.respond(200, digest.hexdigest().encode())
        self.made(swallow, keeps=False)

        def upload():
            for framing in ("length", "chunked"):
                client = self.http1()
                client.send(self.upload_head(framing))
                for _ in range(SIZE // MIB):
                    client.socket.sendall(b"%x\r\n%b\r\n" % (MIB, BLOCK) if framing == "chunked" else BLOCK)
                if framing == "chunked":
                    client.send(b"0\r\n\r\n")
                answers.append(client.answer().body.decode())
        self.assertLess(self.growth(upload), ROOM)
        self.assertEqual(answers, [self.expected()] * 2)

    def upload_head(self, framing):
        field = f"Content-Length: {SIZE}" if framing == "length" else "Transfer-Encoding: chunked"
        return f"PUT /made/big HTTP/1.1\r\nHost: mail.example.org\r\n{field}\r\n\r\n".encode()

    def test_down(self):
        self.made(pour, keeps=False)
        digests = []

        def download():
            for client in (self.http1(), self.http1()):
                client.ask("GET", "/made/length" if not digests else "/made/chunked")
                answer, digest = client.head(), hashlib.sha256()
                for piece in client.pieces(answer):
                    digest.update(piece)
                digests.append(digest.hexdigest())
        self.assertLess(self.growth(download), ROOM)
        self.assertEqual(digests, [self.expected()] * 2)

    def test_both_ways_over_h2(self):
        """A part of it: the client is the slower one here."""
        size = min(SIZE, 16 * MIB)
        self.made(lambda exchange: exchange.respond(200, exchange.read()), keeps=False)
        client, answers = self.http2(), []
        self.assertLess(self.growth(lambda: answers.append(client.request("POST", "/made/echo", [], BLOCK * (size // MIB)))), ROOM)
        self.assertEqual(hashlib.sha256(answers[0].body).digest(), hashlib.sha256(BLOCK * (size // MIB)).digest())

    def test_a_client_that_does_not_read_does_not_fill_us(self):
        self.made(pour, keeps=False)

        def ask():
            waiting = [self.http1() for _ in range(4)]
            for client in waiting:
                client.ask("GET", "/made/length")
                self.assertEqual(client.head().status, 200)
            slow = self.http2()
            for _ in range(8):
                slow.ask("GET", "/made/length")  # whose windows stay shut when they are full
            for _ in range(10):
                self.assertEqual(self.side_of(self.http1().get("/x", login("bob"))), "new")  # meanwhile others are served
        self.assertLess(self.growth(ask), ROOM)

    def test_a_backend_that_does_not_read_does_not_fill_us(self):
        may_go = threading.Event()
        self.addCleanup(may_go.set)

        def wait(exchange):
            may_go.wait(20)
            exchange.end()
        self.made(wait, keeps=False)

        def upload():
            for _ in range(4):
                client = self.http1()
                client.send(b"PUT /made/x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
                client.socket.settimeout(0.3)
                try:
                    for _ in range(64):
                        client.socket.sendall(BLOCK)
                    self.fail("64 MiB went somewhere")
                except TimeoutError:
                    pass
        self.assertLess(self.growth(upload), ROOM)


def pour(exchange):
    """SIZE bytes, by the framing that the target names."""
    is_chunked = exchange.request.target.endswith("chunked")
    exchange.say(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % SIZE) + b"\r\n\r\n")
    for _ in range(SIZE // MIB):
        exchange.say(b"%x\r\n%b\r\n" % (MIB, BLOCK) if is_chunked else BLOCK)
    if is_chunked:
        exchange.say(b"0\r\n\r\n")


class AsItComes(Web):
    def test_server_sent_events(self):
        """Each event arrives before the next one is sent."""
        heard = threading.Semaphore(0)

        def tell(exchange):
            exchange.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(5):
                event = b"data: %d\n\n" % number
                exchange.say(b"%x\r\n%b\r\n" % (len(event), event))
                if not heard.acquire(timeout=10):
                    return
            exchange.say(b"0\r\n\r\n")
        self.made(tell)
        client = self.http1()
        client.ask("GET", "/made/events")
        answer = client.head()
        events = []
        for piece in client.pieces(answer):
            events.append(piece)
            heard.release()
        self.assertEqual(b"".join(events), b"".join(b"data: %d\n\n" % number for number in range(5)))
        client = self.http2()
        stream = client.ask("GET", "/made/events")
        client.head(stream)
        for number in range(5):
            client.wait(lambda: client.answers[stream].body.endswith(b"data: %d\n\n" % number))
            heard.release()
        client.answer(stream)

    def test_a_request_is_answered_while_it_is_sent(self):
        def echo(exchange):
            exchange.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in exchange.pieces:
                exchange.say(b"%x\r\n%b\r\n" % (len(piece), piece))
            exchange.say(b"0\r\n\r\n")
        self.made(echo)
        client = self.http1()
        client.send(b"POST /made/echo HTTP/1.1\r\nHost: mail.example.org\r\nTransfer-Encoding: chunked\r\n\r\n")
        pieces = None
        for word in (b"one", b"two", b"three"):
            client.send(b"%x\r\n%b\r\n" % (len(word), word))
            pieces = pieces or client.pieces(client.head())
            self.assertEqual(next(pieces), word)
        client.send(b"0\r\n\r\n")
        self.assertEqual(list(pieces), [])
        self.assertEqual(self.side_of(client.get("/x")), "old")

    def test_a_body_in_the_smallest_pieces(self):
        """Nothing is wrong with chunks of one byte: a stream of keystrokes, an event stream that says "still here"."""
        count = 20_000

        def echo(exchange):
            body = exchange.read()
            exchange.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        self.made(echo)
        client = self.http1()
        client.send(b"POST /made/echo HTTP/1.1\r\nHost: mail.example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + b"1\r\nx\r\n" * count + b"0\r\n\r\n")
        self.assertEqual(client.answer().body, b"x" * count)
        client = self.http2()
        self.assertEqual(client.request("POST", "/made/echo", [], b"x" * count).body, b"x" * count)

    def test_an_early_answer_ends_the_upload(self):
        """413 while the client is still sending: it hears of it, and what it sends on does no harm."""
        def refuse(exchange):
            exchange.respond(413, b"too large", [("Connection", "close")])
            exchange.end()
        self.made(refuse, keeps=False)
        for _ in range(3):
            client = self.http1()
            client.send(b"PUT /made/x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
            try:
                for _ in range(64):
                    client.socket.sendall(BLOCK)
            except ConnectionError:
                pass
            try:
                self.assertEqual(client.answer().status, 413)
            except Closed:
                self.fail("the early answer is lost")
        client = self.http2()
        stream = client.ask("PUT", "/made/x", is_last=False)
        self.assertEqual(client.head(stream).status, 413)
        self.assertEqual(self.side_of(client.get("/x", login("bob"))), "new")

    def test_expect(self):
        client = self.http1()
        client.send(b"PUT /x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(client.head(skips_1xx=False).status, 100)
        client.send(b"hello")
        self.assertEqual(client.answer().json()["size"], 5)

    def test_expect_refused(self):
        """The backend wants no body: the client sends none, and the connection is closed or in step."""
        def refuse(exchange):
            exchange.respond(401, b"who are you?")
            exchange.end()
        self.made(refuse)
        client = self.http1()
        client.send(b"PUT /made/x HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(client.answer().status, 401)

    def test_early_hints_pass(self):
        def hint(exchange):
            exchange.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
            exchange.respond(200, b"hello")
        self.made(hint)
        client = self.http1()
        client.ask("GET", "/made/x")
        first = client.head(skips_1xx=False)
        if first.status == 103:
            self.assertEqual(first.get("link"), "</a.css>; rel=preload")
            first = client.head()
        self.assertEqual(first.status, 200)

    def test_trailers_both_ways(self):
        def trail(exchange):
            exchange.read()
            seen = {name.lower(): value for name, value in exchange.request.trailers}.get("x-sum", "none")
            exchange.say(f"HTTP/1.1 200 OK\r\nTrailer: X-Seen\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Seen: {seen}\r\n\r\n".encode())
        self.made(trail)
        client = self.http1()
        client.send(b"POST /made/x HTTP/1.1\r\nHost: mail.example.org\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"5\r\nhello\r\n0\r\nX-Sum: 12\r\n\r\n")
        self.assertEqual([(name.lower(), value) for name, value in client.answer().trailers], [("x-seen", "12")])
        client = self.http2()
        stream = client.ask("POST", "/made/x", [("te", "trailers")], b"hello", is_last=False)
        client.h2.send_headers(stream, [("x-sum", "13")], end_stream=True)
        client.flush()
        self.assertEqual(client.answer(stream).trailers, [("x-seen", "13")])

    def test_answers_without_a_body(self):
        """Whose length is not that of what follows: the connection stays in step."""
        def say(exchange):
            kind = exchange.request.target.rpartition("/")[2]
            exchange.say({"head": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "204": b"HTTP/1.1 204 No Content\r\n\r\n",
                          "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: x\r\n\r\n",
                          "head-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}[kind])
        self.made(say)
        for name, client in self.clients():
            for kind, status in (("head", 200), ("204", 204), ("304", 304), ("head-chunked", 200)):
                with self.subTest(kind, version=name):
                    answer = client.request("HEAD" if "head" in kind else "GET", f"/made/{kind}")
                    self.assertEqual((answer.status, answer.body), (status, b""))
                    self.assertEqual(self.side_of(client.get("/x", login("bob"))), "new")

    def test_until_the_end_of_the_connection(self):
        def say(exchange):
            exchange.say(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
            exchange.end()
        self.made(say)
        for name, client in self.clients():
            with self.subTest(name):
                self.assertEqual(client.get("/made/x").body, b"until the end")


class CutShort(Web):
    def test_an_answer_that_breaks_off_is_not_made_whole(self):
        bodies = {"length": b"Content-Length: 100\r\n\r\nhello", "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}
        for kind, rest in bodies.items():
            with self.subTest(kind):
                def cut(exchange, rest=rest):
                    exchange.say(b"HTTP/1.1 200 OK\r\n" + rest)
                    exchange.end()
                backend = self.made(cut)
                client = self.http1()
                client.ask("GET", "/made/x")
                with self.assertRaises(Closed):
                    client.answer()
                client = self.http2()
                stream = client.ask("GET", "/made/x")
                client.wait(lambda: stream in client.reset_by_peer or stream in client.ended)
                self.assertIn(stream, client.reset_by_peer)
                self.assertEqual(self.side_of(client.get("/x", login("bob"))), "new")
                backend.stop()

    def test_a_client_that_goes_ends_the_backends_work(self):
        for version in ("HTTP/1.1", "HTTP/2"):
            with self.subTest(version):
                seen = []

                def pour_on(exchange):
                    seen.append(exchange)
                    exchange.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while True:
                        exchange.say(b"400\r\n" + b"x" * 1024 + b"\r\n")
                backend, client = self.made(pour_on), dict(self.clients())[version]
                stream = client.ask("GET", "/made/x")
                client.head(stream) if version == "HTTP/2" else client.head()
                if version == "HTTP/2":
                    client.h2.reset_stream(stream)
                    client.flush()
                else:
                    client.close()
                until(lambda: seen and seen[0].connection.has_ended.is_set(), "the backend still sends to nobody")
                backend.stop()


    def test_a_stream_given_up_ends_the_backends_work_before_it_answers(self):
        """And in the middle of an answer that pauses: an event stream with nothing to tell."""
        for begins in (False, True):
            with self.subTest(begins=begins):
                has_left = threading.Event()

                def wait(exchange):
                    if begins:
                        exchange.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n")
                    if exchange.hear() == b"":
                        has_left.set()
                    exchange.end()
                backend, client = self.made(wait), self.http2()
                stream = client.ask("GET", "/made/x")
                if begins:
                    client.head(stream)
                until(backend.requests, "the backend was asked nothing")
                client.h2.reset_stream(stream)
                client.flush()
                self.assertTrue(has_left.wait(10), "the backend's connection is held for nobody")
                self.assertEqual(self.side_of(client.get("/x", login("bob"))), "new")
                backend.stop()


class Endless(Web):
    """What a backend sends without an end is bounded: 502, not a bigger process."""

    def flood(self, start, again):
        def pour_on(exchange):
            exchange.say(start)
            for _ in range(40_000):
                exchange.say(again)
        backend = self.made(pour_on, keeps=False)
        before = self.proxy.memory()
        for name, client in self.clients():
            with self.subTest(name):
                self.assertEqual(client.get("/made/x").status, 502)
        backend.stop()
        self.assertLess(self.proxy.memory() - before, ROOM)

    def test_interim_answers(self):
        self.flood(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * 10)

    def test_a_head(self):
        self.flood(b"HTTP/1.1 200 OK\r\n", b"X-More: of it\r\n" * 10)

    def test_a_line(self):
        self.flood(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 100)

    def test_trailers(self):
        def pour_on(exchange):
            exchange.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
            for _ in range(40_000):
                exchange.say(b"X-More: of it\r\n" * 10)
        self.made(pour_on, keeps=False)
        client = self.http1()
        client.ask("GET", "/made/x")
        with self.assertRaises(Closed):
            client.answer()  # the answer has begun: it breaks off


class Limits(Web):
    def test_a_head_too_large(self):
        for name, field in (("one long field", ("X", "y" * 70_000)), ("a long path", None)):
            with self.subTest(name):
                client = self.http1()
                self.assertIn(client.get("/x", field).status if field else client.get("/" + "x" * 70_000).status, (414, 431))
        many = [(f"X-{number}", "y") for number in range(129)]
        self.assertEqual(self.http1().get("/x", *many).status, 431)
        self.assertEqual(self.side_of(self.http1().get("/x", *many[:100])), "old")

    def test_of_keeping_alive(self):
        def few(document):
            document["http"] |= {"max_keepalive_requests": 3, "keepalive_timeout": "1s"}
        proxy = self.web_proxy(few)
        client = self.http1(proxy=proxy)
        answers = [client.get(f"/{number}") for number in range(3)]
        self.assertEqual(answers[-1].get("connection", "").lower(), "close")
        client.has_ended()
        client = self.http1(proxy=proxy)
        client.get("/x")
        client.has_ended()  # of boredom

    def test_a_head_in_no_hurry(self):
        def hurried(document):
            for listener in document["listener"].values():
                listener["preauth_timeout"] = "1s"
        proxy = self.web_proxy(hurried)
        for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: "):
            client = self.http1("plain", proxy=proxy)
            client.send(sent)
            self.assertIn(client.rest()[:13], (b"", b"HTTP/1.1 408 "))
