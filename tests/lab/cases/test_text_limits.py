"""POP3, ManageSieve and submission before the login: each protocol's own words for what a client cannot do, as raw bytes."""

import base64
import socket
import time

from clients.addresses import fresh
from clients.managesieve import ManageSieve
from clients.pop3 import Pop3
from clients.submission import Submission
from lab.layout import ACCOUNTS, address
from lab.waiting import until

from .base import Case
from .test_imap_limits import each_listener

ALICE = address("alice")
PLAIN = base64.b64encode(f"\0{ALICE}\0{ACCOUNTS[ALICE].decode()}".encode()).decode()

# A login that must not be done; what is answered to nonsense, to the tenth of it, to a line too long, to no login in time,
# and to one connection too many; how a login as it stands looks.
PROTOCOLS = {
    Pop3: {
        "login": f"AUTH PLAIN {PLAIN}",
        "unknown": b"-ERR Unknown command\r\n",
        "tenth": b"-ERR Too many unknown commands\r\n",
        "long": b"-ERR ",
        "late": b"-ERR Login took too long\r\n",
        "busy": b"-ERR [SYS/TEMP] Too many connections, try again later\r\n",
        "later": ("STAT", "LIST", "RETR 1", "DELE 1", "UIDL", "TOP 1 0"),
        "refusal": r"-ERR ",
    },
    ManageSieve: {
        "login": f'AUTHENTICATE "PLAIN" "{PLAIN}"',
        "unknown": b'NO "Unknown command"\r\n',
        "tenth": b'BYE "Too many unknown commands"\r\n',
        "long": b"BYE ",
        "late": b'BYE "Login took too long"\r\n',
        "busy": b'BYE (TRYLATER) "Too many connections, try again later"\r\n',
        "later": ("LISTSCRIPTS", 'GETSCRIPT "x"', 'SETACTIVE ""', 'HAVESPACE "x" 5', 'DELETESCRIPT "x"', 'PUTSCRIPT "x" {3+}\r\nabc'),
        "refusal": r"NO ",
    },
    Submission: {
        "login": f"AUTH PLAIN {PLAIN}",
        "unknown": b"500 5.5.1 Unknown command\r\n",
        "tenth": b"421 4.7.0 Too many unknown commands\r\n",
        "long": b"500 5.5.2 ",
        "late": b"421 4.4.2 Login took too long\r\n",
        "busy": b"421 4.3.2 Too many connections, try again later\r\n",
        "later": (f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ALICE}>", "DATA"),
        "refusal": r"(530 5\.7\.0|503 5\.5\.1) ",
    },
}


class Limits(Case):
    def each(self):
        return PROTOCOLS.items()

    def test_ten_unknown_commands(self):
        for client, words in self.each():
            talk = self.dial("starttls", client)
            talk.send(b"FROBNICATE\r\n" * 10)
            rest = talk.rest()
            self.assertEqual(rest.count(words["unknown"]), rest.count(b"\r\n") - 1, rest)
            self.assertTrue(rest.endswith(words["tenth"]), rest)

    def test_commands_of_later_states(self):
        for client, words in self.each():
            talk = self.dial("starttls", client).secure()
            if client is Submission:
                talk.ehlo()
            for command in words["later"]:
                talk.say(command)
                line = talk.reply() if client is Submission else talk.line()
                self.assertRegex(line, words["refusal"], command)
            self.assert_at_prompt(talk)

    def test_what_follows_a_line_too_long_is_no_command(self):
        for client, words in self.each():
            talk, since = self.dial("implicit", client), self.old.logs.mark()
            self.send_all(talk, b"NOOP " + b"x" * 70_000 + b"\r\nEHLO x\r\n" + words["login"].encode() + b"\r\n")
            rest = talk.rest()
            self.assertTrue(rest.startswith(words["long"]), rest)
            self.assertNotRegex(rest, rb"(?m)^(\+OK Logged|OK|235)")
            self.assert_unseen(self.old, since, client=talk.source)

    def test_bytes_that_no_command_has(self):
        """CR, LF and NUL in names never reach a backend's command line; an end of line ends the command."""
        hostile = {
            Pop3: [b"USER a\0b\r\nPASS x\r\n", b"USER alice\rRETR 1\r\nPASS x\r\n", b"AUTH PLAIN " + base64.b64encode(b"\0al\r\nSTAT\0x") + b"\r\n",
                   b"AUTH PLAIN " + base64.b64encode(b"\0al\0ice\0x") + b"\r\n"],
            ManageSieve: [b'AUTHENTICATE "PLAIN" "' + base64.b64encode(b"\0al\r\nLISTSCRIPTS\0x") + b'"\r\n', b'AUTHENTICATE "PL\0AIN" "x"\r\n',
                          b'AUTHENTICATE "PLAIN" {8+}\r\nab\r\ncd\0e\r\n', b'AUTHENTICATE "PLA\rIN" ""\r\n', b'AUTHENTICATE "PLAIN" "a\\"b\\\\"\r\n'],
            Submission: [b"EHLO a\0b\r\n", b"EHLO x\rMAIL FROM:<a>\r\n", b"EHLO x\r\nAUTH PLAIN " + base64.b64encode(b"\0al\r\nMAIL\0x") + b"\r\n",
                         b"EHLO x\r\nAUTH PLAIN " + base64.b64encode(b"\0a\0b\0c") + b"\r\n"],
        }
        for client, _ in self.each():
            for sent in hostile[client]:
                with self.subTest(sent):
                    talk, since = self.dial("implicit", client), self.old.logs.mark()
                    talk.send(sent)
                    talk.send({Pop3: b"QUIT\r\n", ManageSieve: b"LOGOUT\r\n", Submission: b"QUIT\r\n"}[client])
                    self.assertNotRegex(talk.rest(), rb"(?m)^(\+OK Logged|OK \"Logged|235)")
                    self.assert_unseen(self.old, since, client=talk.source)

    def test_a_request_of_a_browser_ends_the_connection(self):
        for client, words in self.each():
            talk, since = self.dial("plain", client), self.old.logs.mark()
            self.send_all(talk, b"POST / HTTP/1.1\r\nHost: mail.example.org\r\n\r\nEHLO x\r\n" + words["login"].encode() + b"\r\n")
            self.assertNotRegex(talk.rest(), rb"(?m)^(\+OK Logged|OK|235)")
            self.assert_unseen(self.old, since, client=talk.source)

    def test_bytes_that_drip_do_not_extend_the_time_for_a_login(self):
        proxy = self.extra_proxy("impatient-text", 53, each_listener(preauth_timeout="1s"))
        for client, words in self.each():
            for drips in (False, True):
                talk, began = self.dial("implicit", client, proxy=proxy), time.monotonic()
                talk.socket.settimeout(0.1)
                while not self.has_more(talk) and time.monotonic() < began + 5:
                    if drips:
                        talk.send(b"x")
                self.assertEqual(talk.unread, words["late"])
                self.assertTrue(0.8 < time.monotonic() - began < 3, time.monotonic() - began)

    def test_connections_of_one_address(self):
        proxy = self.extra_proxy("narrow-text", 54, each_listener(max_connections_per_ip=1))
        for client, words in self.each():
            source = fresh()
            first = self.dial("starttls", client, proxy=proxy, source=source)
            self.assertEqual(self.said_to_one_more(proxy, client, source), words["busy"])
            first.close()
            until(lambda client=client, words=words, source=source: self.said_to_one_more(proxy, client, source) != words["busy"],
                  "a place that was given back stays taken")

    def said_to_one_more(self, proxy, client, source):
        """The first line, whatever it is."""

        endpoint = proxy.endpoint("starttls", client.protocol)
        with socket.create_connection((endpoint.host, endpoint.port), 10, (source, 0)) as raw:
            return raw.makefile("rb").readline()

    def has_more(self, talk):
        try:
            return talk.receive()
        except TimeoutError:
            return False

    def send_all(self, talk, data):
        try:
            talk.send(data)
        except OSError:
            pass  # it hangs up before it has read all of it, and may
