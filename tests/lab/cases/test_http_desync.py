"""Messages whose length or target could be read in two ways: refused with 400, the connection closed, nothing of them forwarded.

Every row is raw bytes with a second request hidden in it or behind it. What the backends were sent is read in all the ways
of `reading.READINGS`: none may see a request that the proxy did not route.
"""

import itertools
import threading

import h2.exceptions

from clients.talk import Closed
from lab.waiting import until
from lab.web import reading

from .web import Web, login

HOST = "Host: mail.example.org\r\n"
HIDDEN = "GET /hidden HTTP/1.1\r\nHost: mail.example.org\r\nX-Hidden: yes\r\n\r\n"
CHUNKED_END = "0\r\n\r\n"
BEHIND = CHUNKED_END + HIDDEN


def post(*fields, body=BEHIND, host=HOST, line="POST /x HTTP/1.1"):
    return f"{line}\r\n{host}" + "".join(f"{field}\r\n" for field in fields) + f"\r\n{body}"


def get(*fields, host=HOST, line="GET /x HTTP/1.1"):
    return post(*fields, host=host, line=line, body=HIDDEN)


LENGTH, CHUNKED = f"Content-Length: {len(BEHIND)}", "Transfer-Encoding: chunked"

REFUSED = {
    "both lengths": post(LENGTH, CHUNKED),
    "both lengths, the other way round": post(CHUNKED, LENGTH),
    "both, one of them nothing": post("Content-Length: 0", CHUNKED),
    "two different lengths": post(LENGTH, "Content-Length: 0"),
    "two different lengths in one field": post(f"Content-Length: 0, {len(BEHIND)}"),
    "one length in two writings": post(LENGTH, f"Content-Length: 0{len(BEHIND)}"),
    "a length with a sign": post(f"Content-Length: +{len(BEHIND)}"),
    "a negative length": post("Content-Length: -1"),
    "a length in hex": post("Content-Length: 0x10"),
    "a length with a space in it": post("Content-Length: 1 0"),
    "a length with a letter behind": post("Content-Length: 5a"),
    "no length in the field": post("Content-Length:"),
    "a length past 64 bits": post("Content-Length: 18446744073709551621"),
    "an obsolete fold": get("X-One: a\r\n b"),
    "a fold that hides the encoding": post("X-One: a\r\n Transfer-Encoding: chunked", LENGTH),
    "the encoding, folded": post("Transfer-Encoding:\r\n chunked"),
    "a fold before the first field": get(" X: y", HOST.rstrip(), host=""),
    "a space before the colon": post("Transfer-Encoding : chunked", LENGTH),
    "a tab before the colon": post("Content-Length\t: 5"),
    "a space before the name": post("X: y", " Transfer-Encoding: chunked", LENGTH),
    "no colon": get("Transfer-Encoding chunked"),
    "no name": get(": value"),
    "a name with a control character": get("X-\x01: y"),
    "a name with a space": get("X Y: z"),
    "a bare CR in a value": post("X: y\rTransfer-Encoding: chunked", LENGTH),
    "a bare CR for a line's end": "GET /x HTTP/1.1\rHost: mail.example.org\r\r" + HIDDEN,
    "a bare CR in the request line": get(line="GET /x\r HTTP/1.1"),
    "a NUL in a value": get("X: y\0z"),
    "another encoding": post("Transfer-Encoding: gzip"),
    "another encoding first": post("Transfer-Encoding: gzip, chunked"),
    "chunked twice": post("Transfer-Encoding: chunked, chunked"),
    "chunked in two fields": post(CHUNKED, CHUNKED),
    "two encodings in two fields": post(CHUNKED, "Transfer-Encoding: identity"),
    "chunked with a letter more": post("Transfer-Encoding: xchunked"),
    "chunked, quoted": post('Transfer-Encoding: "chunked"'),
    "chunked with a control character": post("Transfer-Encoding: \x0bchunked"),
    "chunked with a parameter": post("Transfer-Encoding: chunked;q=1"),
    "identity": post("Transfer-Encoding: identity", LENGTH),
    "an empty encoding": post("Transfer-Encoding:", LENGTH),
    "chunked in HTTP/1.0": post(CHUNKED, line="POST /x HTTP/1.0"),
    "HTTP/0.9": "GET /x\r\n" + HIDDEN,
    "HTTP/2 in the clear": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": get(line="GET /x HTTP/1.2"),
    "a version in small letters": get(line="GET /x http/1.1"),
    "two spaces": get(line="GET  /x HTTP/1.1"),
    "a tab for a space": get(line="GET\t/x\tHTTP/1.1"),
    "a space at the end": get(line="GET /x HTTP/1.1 "),
    "a space in the target": get(line="GET /x y HTTP/1.1"),
    "a control character in the target": get(line="GET /x\x7f HTTP/1.1"),
    "a method that is none": get(line="G(T /x HTTP/1.1"),
    "no Host": get(host=""),
    "two Hosts": get("Host: mail.example.org"),
    "two different Hosts": get("Host: other.example.org"),
    "an empty Host": get(host="Host:\r\n"),
    "a Host with a path": get(host="Host: mail.example.org/x\r\n"),
    "a Host with a user": get(host="Host: a@mail.example.org\r\n"),
    "a Host with a list": get(host="Host: mail.example.org, other.example.org\r\n"),
    "an absolute form of another host": get(line="GET https://other.example.org/x HTTP/1.1"),
    "an absolute form with a user": get(line="GET https://a@mail.example.org/x HTTP/1.1"),
    "a target without a slash": get(line="GET x HTTP/1.1"),
    "an authority for a target": get(line="GET mail.example.org:443 HTTP/1.1"),
    "two Authorizations": get(*["Authorization: Basic YTpi", "Authorization: Basic Yjpj"]),
    "an Authorization past ASCII": get("Authorization: Bearer caf\xe9"),
    "an Authorization with a tab": get("Authorization: Bearer\tx"),
}

# The head is right and the body is not: the backend may have a beginning of it, and no more.
BAD_CHUNKS = {
    "a size with a sign": "+5\r\nhello\r\n" + BEHIND,
    "a size in another writing": "0x5\r\nhello\r\n" + BEHIND,
    "a size past 64 bits": "10000000000000005\r\nhello\r\n" + BEHIND,
    "no size": "\r\nhello\r\n" + BEHIND,
    "a size that ends with LF": "5\nhello\r\n" + BEHIND,
    "a size that ends with CR": "5\rhello\r\n" + BEHIND,
    "a bare LF in an extension": "5;x\ny\r\nhello\r\n" + BEHIND,
    "a bare CR in an extension": "5;x\ry\r\nhello\r\n" + BEHIND,
    "no line's end behind the data": "5\r\nhelloXX" + BEHIND,
    "an LF alone behind the data": "5\r\nhello\n" + BEHIND,
    "a space before the size": " 5\r\nhello\r\n" + BEHIND,
    "a size with letters behind": "5xyz\r\nhello\r\n" + BEHIND,
    "an endless extension": "5;" + "x" * 70_000 + "\r\nhello\r\n" + BEHIND,
    "a fold in the trailers": "0\r\nX: y\r\n z\r\n\r\n" + HIDDEN,
    "a space before the trailer's colon": "0\r\nX : y\r\n\r\n" + HIDDEN,
}

# Read in one way by everybody: these pass, as the one request that they are.
PASSES = {
    "the same length twice": "POST /x HTTP/1.1\r\n" + HOST + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "chunked in capitals": post("Transfer-Encoding: CHUNKED", body="5\r\nhello\r\n" + CHUNKED_END),
    "an extension of a chunk": post(CHUNKED, body="5;a=b\r\nhello\r\n" + CHUNKED_END),
    "zeros before a size": post(CHUNKED, body="0005\r\nhello\r\n" + CHUNKED_END),
    "an absolute form of this host": "GET https://mail.example.org/x HTTP/1.1\r\n" + HOST + "\r\n",
    "empty lines first": "\r\n" + "GET /x HTTP/1.1\r\n" + HOST + "\r\n",
    "spaces around a value": "GET /x HTTP/1.1\r\n" + HOST + "X: \t y \t\r\n\r\n",
}


class Requests(Web):
    def seen_for(self, talk, how):
        """The requests that this reading finds in what the backends received for the client of `talk`."""
        return [request for data in self.sent_for(talk) for request in reading.requests_in(data, how)]

    def assert_seen_at_most(self, count, talk):
        """By no reading does a connection hold more requests than the proxy routed, nor the hidden one."""
        for name, how in reading.READINGS.items():
            # A reading that knows no chunks takes chunk lines for requests: these have no target.
            for data in self.sent_for(talk):
                seen = [request for request in reading.requests_in(data, how) if request.target]
                self.assertLessEqual(len(seen), count, (name, seen))
                self.assertFalse([request for request in seen if request.target == "/hidden" or request.get("x-hidden")], name)

    def test_refused_and_closed(self):
        for via, (name, sent) in itertools.product(("plain", "implicit"), REFUSED.items()):
            with self.subTest(name, via=via):
                talk = self.http1(via)
                talk.send(sent.encode("latin-1"))
                self.assertIn(talk.answer().status, (400, 505) if "version" in name or "HTTP/2" in name else (400,))
                talk.has_ended()
                self.assertEqual(self.sent_for(talk), [])

    def test_refused_behind_a_good_one(self):
        """The same on a connection whose first request was fine, sent with it in one segment: that is answered, then 400."""
        good = f"GET /good HTTP/1.1\r\n{HOST}\r\n"
        for name, sent in REFUSED.items():
            with self.subTest(name):
                talk = self.http1("plain")
                talk.send((good + sent).encode("latin-1"))
                self.assertEqual(self.side_of(talk.answer()), "old")
                self.assertIn(talk.answer().status, (400, 505))
                talk.has_ended()
                self.assert_seen_at_most(1, talk)

    def test_in_pieces_of_one_byte(self):
        for name in ("both lengths", "a space before the colon", "an obsolete fold", "a bare CR in a value", "two Hosts", "two Authorizations"):
            with self.subTest(name):
                talk = self.http1("plain")
                head, _, rest = REFUSED[name].partition("\r\n\r\n")
                for byte in (head + "\r\n\r\n").encode("latin-1"):
                    try:
                        talk.send_alone(bytes([byte]))
                    except ConnectionError:
                        break  # it has seen enough
                self.assertEqual(talk.answer().status, 400)
                self.assertEqual(self.sent_for(talk), [])

    def test_bodies_that_fall_apart(self):
        for name, body in BAD_CHUNKS.items():
            with self.subTest(name):
                talk = self.http1("plain")
                talk.send(post(CHUNKED, body=body).encode("latin-1"))
                answer = talk.rest()
                self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 400 "), answer[:200])
                self.assertEqual(answer.count(b"HTTP/1.1 "), min(1, len(answer)))
                self.assert_seen_at_most(1, talk)

    def test_what_is_clear_passes_as_one(self):
        for name, sent in PASSES.items():
            with self.subTest(name):
                talk = self.http1("plain")
                talk.send(sent.encode("latin-1"))
                answer = talk.answer()
                self.assertEqual(self.side_of(answer), "old")
                self.assertEqual((answer.json()["target"], answer.json()["size"]), ("/x", 5 if "hello" in sent else 0))
                self.assertEqual(self.side_of(talk.get("/next")), "old")
                self.assertEqual([request.target for request in self.seen_for(talk, reading.STRICT)], ["/x", "/next"])

    def test_a_body_of_a_get_stays_a_body(self):
        talk = self.http1("plain")
        talk.send(post(f"Content-Length: {len(HIDDEN)}", body=HIDDEN, line="GET /x HTTP/1.1").encode())
        self.assertEqual(talk.answer().json()["size"], len(HIDDEN))
        self.assertEqual([request.target for request in self.seen_for(talk, reading.STRICT)], ["/x"])

    def test_a_body_cut_short_is_no_end(self):
        """The client goes inside of its body: the backend must not take what it has for all."""
        for fields, body in (("Content-Length: 100\r\n", "hello"), (CHUNKED + "\r\n", "5\r\nhello\r\n")):
            seen = []

            def listen(exchange):
                seen.append(exchange)
                exchange.read()
            backend = self.made(listen)
            talk = self.http1("plain")
            talk.send(f"POST /made/x HTTP/1.1\r\n{HOST}{fields}\r\n{body}".encode())
            until(lambda: seen, "the backend was asked nothing")
            talk.close()
            self.assertTrue(seen[0].connection.has_ended.wait(10), "the backend still waits for the rest")
            self.assertNotIn(b"\n0\r\n\r\n", bytes(seen[0].connection.received))
            backend.stop()


class FromHttp2(Web):
    """What HTTP/1.1 would read otherwise must not come through from HTTP/2."""

    FIELDS = {
        "a line's end in a value": ("x", "y\r\nX-Hidden: yes"),
        "an LF in a value": ("x", "y\nX-Hidden: yes"),
        "a NUL in a value": ("x", "y\0z"),
        "a colon in a name": ("x: y\r\nx-hidden", "yes"),
        "a space in a name": ("x y", "z"),
        "a transfer encoding": ("transfer-encoding", "chunked"),
        "a connection": ("connection", "close"),
        "an upgrade": ("upgrade", "websocket"),
        "a length that is none": ("content-length", "+5"),
    }

    def test_fields(self):
        for name, field in self.FIELDS.items():
            with self.subTest(name):
                self.assert_refused(lambda client: client.ask("POST", "/x", [field], b"hello"))

    def test_pseudo_fields(self):
        for name, target in (("a line's end", "/x HTTP/1.1\r\nX-Hidden: yes\r\n\r\n"), ("a space", "/x y"), ("none", ""), ("no slash", "x")):
            with self.subTest(name):
                self.assert_refused(lambda client: client.ask("GET", target))

    def test_lengths_that_are_not_the_bodys(self):
        for length, body in (("3", b"hello"), ("7", b"hello")):
            with self.subTest(length):
                client = self.refused(lambda client: client.ask("POST", "/length", [("content-length", length)], body))
                # The head may be forwarded before the body proves it wrong: as one request.
                for data in self.sent_for(client):
                    self.assertEqual(len(reading.requests_in(data, reading.STRICT)), 1)

    def test_two_authorities(self):
        self.assert_refused(lambda client: client.ask("GET", "/x", [("host", "other.example.org")]))

    def test_two_authorizations(self):
        self.assert_refused(lambda client: client.ask("GET", "/x", [login("alice"), login("bob")]))

    def assert_refused(self, ask):
        """Refused, and nothing reaches a backend."""
        self.assertEqual(self.sent_for(self.refused(ask)), [])

    def refused(self, ask):
        """Sends a request that must end in 400, or in a reset of the stream or of the connection. Returns its client."""
        client = self.http2()
        try:
            stream = ask(client)
            answer = client.head(stream)
            self.assertTrue(answer is None or answer.status == 400, answer)
        except TimeoutError:
            raise  # no answer is not a refusal
        except (Closed, OSError, h2.exceptions.ProtocolError):
            pass
        return client


class Answers(Web):
    """The same the other way: a backend's answer that could be read in two ways does not reach the client."""

    BAD = {
        "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        "another encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nhello",
        "no status": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
        "another protocol": b"* OK IMAP4rev1 ready\r\n",
        "HTTP/0.9": b"<html>hello</html>",
        "a NUL": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "a bare CR": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "101 unasked": b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "nothing": b"",
    }

    def test_bad_heads(self):
        for (name, data), (version, client) in itertools.product(self.BAD.items(), self.clients()):
            with self.subTest(name, version=version):
                def say(exchange, data=data):
                    exchange.say(data)
                    exchange.end()
                backend = self.made(say)
                answer = client.get("/made/x")
                self.assertIn(answer.status, (502, 503))
                self.assertNotIn(b"hello", answer.body)
                backend.stop()

    def test_more_than_was_announced_is_nobodys(self):
        """What follows an answer on a pooled connection is no answer to the next request."""
        mine = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"
        stolen = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
        is_said = threading.Semaphore(0)

        def at_once(exchange):
            exchange.say(mine + stolen)
            is_said.release()

        def behind(exchange):
            exchange.say(mine)
            exchange.say(stolen)
            is_said.release()
        for how in (at_once, behind):
            for _, client in self.clients():
                backend = self.made(how)
                for _ in range(5):
                    answer = client.get("/made/x")
                    self.assertEqual((answer.status, answer.body), (200, b"mine"))
                    # What comes only when the next request is under way could be its answer, to anybody.
                    self.assertTrue(is_said.acquire(timeout=10))
                backend.stop()
