"""What a client that has not logged in cannot do: send without end, wait without end, come without end."""

import time

from clients.addresses import fresh
from lab.layout import ACCOUNTS, address
from lab.waiting import until

from .base import Case

ALICE = address("alice")
LOGIN = b"b LOGIN %s %s\r\n" % (ALICE.encode(), ACCOUNTS[ALICE])


class Sizes(Case):
    def test_commands_of_later_states(self):
        talk = self.dial()
        for command in ("SELECT INBOX", "LIST \"\" *", "FETCH 1 FLAGS", "IDLE", "APPEND INBOX {3+}\r\nabc"):
            done, lines = talk.command(command)
            self.assertRegex(done, r"^(BAD|NO)\b", command)
            self.assertEqual(lines, [])
        self.assert_at_prompt(talk)

    def test_ten_unknown_commands(self):
        talk = self.dial()
        for number in range(9):
            talk.script("C: $tag FROBNICATE\nS: $tag BAD ...", tag=f"u{number}")
        talk.script("C: u9 FROBNICATE\nS: u9 BAD ...\nS: * BYE ...\nEND")

    def test_a_line_too_long(self):
        talk = self.dial()
        talk.send(b"a NOOP " + b"x" * 9000)
        talk.script("S: a BAD ...\nS: * BYE ...\nEND")

    def test_what_follows_a_line_too_long_is_no_command(self):
        talk, since = self.dial(), self.old.logs.mark()
        self.send_all(talk, b"a NOOP " + b"x" * 70000 + b"\r\n" + LOGIN)
        self.assertNotRegex(talk.rest(), rb"(?m)^b ")
        self.assert_unseen(self.old, since, client=talk.source)

    def test_a_literal_too_long_is_never_read_as_commands(self):
        talk, since = self.dial(), self.old.logs.mark()
        self.send_all(talk, b"a LOGIN {100000+}\r\n" + LOGIN)
        self.assertNotRegex(talk.rest(), rb"(?m)^b ")
        self.assert_unseen(self.old, since, client=talk.source)

    def test_an_announced_literal_too_long_is_refused_before_it_is_sent(self):
        self.dial().script("C: a LOGIN {100000}\nS: a BAD ...\nS: * BYE ...\nEND")

    def test_a_nul_is_refused(self):
        talk = self.dial()
        self.assertRegex(talk.command("LOGIN alice se\0cret")[0], r"^BAD\b")

    def test_a_request_of_a_browser_ends_the_connection(self):
        talk, since = self.dial("plain"), self.old.logs.mark()
        self.send_all(talk, b"POST / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n" + LOGIN)
        self.assertNotRegex(talk.rest(), rb"(?m)^b ")
        self.assert_unseen(self.old, since, client=talk.source)

    def send_all(self, talk, data):
        try:
            talk.send(data)
        except OSError:
            pass  # it hangs up before it has read all of it, and may


class Times(Case):
    def test_bytes_that_drip_do_not_extend_the_time_for_a_login(self):
        proxy = self.extra_proxy("impatient", 22, each_listener(preauth_timeout="1s"))
        for drips in (False, True):
            with self.subTest(drips=drips):
                talk, began = self.dial(proxy=proxy), time.monotonic()
                talk.socket.settimeout(0.1)
                while not self.has_more(talk) and time.monotonic() < began + 5:
                    if drips:
                        talk.send(b"x")
                self.assertRegex(talk.unread, rb"^\* BYE ")
                self.assertTrue(0.8 < time.monotonic() - began < 3, time.monotonic() - began)

    def has_more(self, talk):
        try:
            return talk.receive()
        except TimeoutError:
            return False


class Numbers(Case):
    def test_connections_of_one_address(self):
        proxy = self.extra_proxy("narrow", 23, each_listener(max_connections_per_ip=2))
        for kind in ("implicit", "starttls"):
            with self.subTest(kind):
                source = fresh()
                first, second = (self.dial(kind, proxy=proxy, source=source) for _ in range(2))
                self.assertTrue(self.is_turned_away(proxy, kind, source))
                self.assert_at_prompt(second.secure())
                self.assertFalse(self.is_turned_away(proxy, kind, fresh()))
                first.close()
                until(lambda: not self.is_turned_away(proxy, kind, source), "a place that was given back stays taken")

    def is_turned_away(self, proxy, kind, source):
        """Told that it is too busy (before TLS, perhaps: then the handshake fails), and closed."""
        try:
            talk = self.dial(kind, proxy=proxy, source=source)
        except (OSError, AssertionError):
            return True
        is_refused = talk.greeting.startswith("* BYE ")
        talk.close()
        return is_refused


def each_listener(**settings):
    def change(document):
        for listener in document["listener"].values():
            listener.update(settings)
    return change
