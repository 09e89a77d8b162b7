"""Mail that is submitted, by Dovecot and by Postfix: whole, to the byte, and in the client's name."""

import hashlib
import itertools

from clients.submission import HELO, Submission
from lab.layout import ACCOUNTS, DOMAIN, FORWARDINGS, address, leg_name

from .base import Case
from .mail import BIG, PIECE, Delivered, big_body, message


class Mail(Delivered, Case):
    """The old side submits by Dovecot, the new one by Postfix."""

    client, needs_postfix = Submission, True

    def logged_in(self, account, kind="implicit", **how):
        talk = self.dial(kind, **how).secure()
        self.assert_ok(talk.login(account, ACCOUNTS[account]))
        return talk

    def test_a_big_message_arrives_as_it_was_sent(self):
        wanted = hashlib.sha256(big_body()).hexdigest()
        for side, kind, verb in (("old", "implicit", "DATA"), ("old", "starttls", "BDAT"),
                                 ("new", "starttls", "DATA"), ("new", "implicit", "BDAT")):
            with self.subTest(side, listener=kind, verb=verb):
                account, subject = address(leg_name(side, "starttls", "xclient")), f"{side} {kind} {verb}"
                talk = self.logged_in(account, kind)
                self.assertIn("CHUNKING", talk.begin(account, BIG))
                whole = message(subject, big_body(), account)
                talk.expect("250", talk.bdat(whole, PIECE) if verb == "BDAT" else talk.data(whole), verb)
                talk.quit()
                self.assertEqual(hashlib.sha256(self.delivered(subject, self.lab.sides[side])[1]).hexdigest(), wanted)

    def test_the_trace_names_the_client(self):
        # In the line that the submission server adds: who the client said it is, where it came from, who logged in.
        # By XCLIENT the servers learn the client's name as well, by a PROXY header its address alone.
        names = {"xclient": HELO, "proxy": f"proxy.{DOMAIN}", "none": f"proxy.{DOMAIN}"}
        for side, forwarding in itertools.product(self.lab.sides.values(), FORWARDINGS):
            with self.subTest(side.name, forwarding=forwarding):
                account, subject = address(leg_name(side.name, "starttls", forwarding)), f"trace {side.name} {forwarding}"
                talk = self.logged_in(account)
                self.send(talk, account, subject)
                head = self.delivered(subject, side)[0].decode()
                line = next(line for line in head.replace("\r\n\t", " ").split("\r\n") if f"from {names[forwarding]} " in line)
                self.assertIn(f"[{'127.0.0.1' if forwarding == 'none' else talk.source}])", line)
                if side.submits_by_postfix:
                    self.assertIn(f"(Authenticated sender: {account})", head)

    def send(self, talk, account, subject):
        talk.ok(f"MAIL FROM:<{account}>")
        talk.ok(f"RCPT TO:<{BIG}>")
        talk.expect("250", talk.data(message(subject, b"Hello.\r\n", account)), "DATA")

    def test_names_that_clients_make_up(self):
        # What could end a line or begin another attribute is not told; the rest arrives, or does no harm.
        hostile = [b"a\xff", b"two words", b"x" * 256, b"a=b+c", b"[192.0.2.1]", b"ADDR=203.0.113.66", b"-", b"x" * 255,
                   b'"quoted;$(id)"', b"caf\xc3\xa9", b"a\tLOGIN=admin"]
        for side, name in itertools.product(self.lab.sides.values(), hostile):
            with self.subTest(side.name, name=name):
                account, talk, since = address(leg_name(side.name, "plain", "xclient")), self.dial(), side.logs.mark()
                talk.send(b"EHLO " + name + b"\r\n")
                talk.offered = talk.expect("250", talk.reply(), "EHLO")
                self.assert_ok(talk.login(account, ACCOUNTS[account]))
                talk.ok(f"MAIL FROM:<{account}>")
                talk.ok(f"RCPT TO:<{BIG}>")
                talk.quit()
                service = "postfix/smtpd" if side.submits_by_postfix else "submission-login"
                side.logs.wait(since, service=service, user=account, client=talk.source)
