"""SMTP to Postfix and LMTP to Dovecot, passed through: whole, to the byte, and in the client's name."""

import hashlib
import itertools

from clients.smtp import Lmtp, Smtp
from lab.configuration import PASSING_LISTENERS
from lab.layout import DOMAIN, FORWARDINGS

from .mail import BIG, PIECE, SENDER, Delivered, big_body, message
from .passing import Passing


class Mail(Delivered):
    """The tests, for either protocol."""

    def test_a_big_message_arrives_as_it_was_sent(self):
        wanted = hashlib.sha256(big_body()).hexdigest()
        # Both verbs over both listeners, and every forwarding once at least.
        for forwarding, kind, verb in (("none", "plain", "DATA"), ("proxy", "plain", "BDAT"),
                                       ("xclient", "implicit", "DATA"), ("none", "implicit", "BDAT")):
            with self.subTest(forwarding, listener=kind, verb=verb):
                talk, subject = self.through(forwarding, kind), f"{self.client.protocol} {forwarding} {kind} {verb}"
                offered = talk.begin(SENDER, BIG)
                if verb == "BDAT":
                    self.assertIn("CHUNKING", offered)
                    done = talk.bdat(message(subject, big_body()), PIECE)
                else:
                    done = talk.data(message(subject, big_body()))
                talk.expect("250", done, verb)
                talk.quit()
                self.assertEqual(hashlib.sha256(self.delivered(subject)[1]).hexdigest(), wanted)

    def test_the_backend_logs_the_client(self):
        for forwarding, kind in itertools.product(FORWARDINGS, PASSING_LISTENERS):
            with self.subTest(forwarding, listener=kind):
                since, talk = self.new.logs.mark(), self.through(forwarding, kind)
                self.assertIn(f" {self.new.hostname} ", talk.greeting)
                talk.begin(SENDER, BIG)
                subject = f"logged, {self.client.protocol} {forwarding} {kind}"
                talk.expect("250", talk.data(message(subject, b"Hello.\r\n")), "DATA")
                talk.quit()
                self.assert_logged(since, talk, is_told=forwarding != "none")
                self.assertEqual(self.delivered(subject)[1], b"Hello.\r\n")

    def test_what_the_client_says_first_is_not_lost(self):
        for forwarding, kind in itertools.product(FORWARDINGS, PASSING_LISTENERS):
            with self.subTest(forwarding, listener=kind):
                talk = self.through(forwarding, kind, is_greeted=False)
                talk.say(f"{talk.hello} client.example.org")
                talk.expect("220", talk.reply(), "the greeting")
                talk.expect("250", talk.reply(), talk.hello)
                talk.quit()

    def test_the_backends_own_refusals(self):
        talk = self.through("xclient")
        talk.ok(f"{talk.hello} client.example.org")
        talk.ok(f"MAIL FROM:<{SENDER}>")
        self.assertRegex(talk.command(f"RCPT TO:<nobody@{DOMAIN}>"), r"^550 5\.1\.1 ")
        self.assertRegex(talk.command("NONSENSE"), r"^50[02] ")
        talk.quit()


class OverSmtp(Mail, Passing):
    client = Smtp

    def assert_logged(self, since, talk, is_told):
        if is_told:
            self.new.logs.wait(since, service="postfix/smtpd", what="message", client=talk.source, port=talk.local_port)
        else:
            self.new.logs.wait(since, service="postfix/smtpd", what="message", client="127.0.0.1")


class OverLmtp(Mail, Passing):
    client = Lmtp

    def assert_logged(self, since, talk, is_told):
        self.new.logs.wait(since, service="lmtp", what="Disconnect", client=talk.source if is_told else "127.0.0.1")
