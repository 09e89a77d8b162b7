"""SMTP to Postfix and LMTP to Dovecot, passed through: whole, to the byte, and in the client's name."""

import hashlib
import itertools

from clients.imap import Imap
from clients.smtp import Lmtp, Smtp
from lab.configuration import PASSING_LISTENERS
from lab.layout import ACCOUNTS, DOMAIN, FORWARDINGS, address
from lab.waiting import until

from .passing import Passing
from .test_imap_load import MIB, big_message

BIG, SENDER = address("big"), f"sender@{DOMAIN}"
SIZE, PIECE = 40 * MIB, MIB


def message(subject, body):
    return f"From: <{SENDER}>\r\nTo: <{BIG}>\r\nSubject: {subject}\r\n\r\n".encode() + body


def big_body():
    """Of SIZE bytes: text that is like nothing else, with lines that begin with dots."""
    text = b".\r\n..two dots\r\n.one\r\n" + big_message(SIZE - 5).partition(b"\r\n\r\n")[2]
    return text + b"x" * (SIZE - len(text) - 2) + b"\r\n"


class Mail:
    """The tests, for either protocol."""

    BODY = big_body()

    def test_a_big_message_arrives_as_it_was_sent(self):
        self.assertEqual(len(self.BODY), SIZE)
        wanted = hashlib.sha256(self.BODY).hexdigest()
        # Both verbs over both listeners, and every forwarding once at least.
        for forwarding, kind, verb in (("none", "plain", "DATA"), ("proxy", "plain", "BDAT"),
                                       ("xclient", "implicit", "DATA"), ("none", "implicit", "BDAT")):
            with self.subTest(forwarding, listener=kind, verb=verb):
                talk, subject = self.through(forwarding, kind), f"{self.client.protocol} {forwarding} {kind} {verb}"
                offered = talk.begin(SENDER, BIG)
                if verb == "BDAT":
                    self.assertIn("CHUNKING", offered)
                    done = talk.bdat(message(subject, self.BODY), PIECE)
                else:
                    done = talk.data(message(subject, self.BODY))
                talk.expect("250", done, verb)
                talk.quit()
                self.assertEqual(hashlib.sha256(self.delivered(subject)).hexdigest(), wanted)

    def delivered(self, subject):
        """The body of the message with that subject, once it is there; it is removed."""
        talk = self.dial_endpoint(self.new.endpoint("imaps"), Imap)
        self.assert_ok(talk.login(BIG, ACCOUNTS[BIG]))

        def found():
            talk.ok("SELECT INBOX")
            return talk.ok(f'SEARCH SUBJECT "{subject}"')[-1].split()[2:]
        number, = until(found, f"{subject!r} is not delivered", limit=30, every=0.1)
        talk.say(f"f FETCH {number} BODY.PEEK[TEXT]")
        body = talk.read(int(talk.line().rpartition("{")[2].rstrip("}")))
        self.assert_ok(talk.reply("f")[0])
        talk.ok(f"STORE {number} +FLAGS.SILENT (\\Deleted)")
        talk.ok("EXPUNGE")
        return body

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
                self.assertEqual(self.delivered(subject), b"Hello.\r\n")

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
