"""Spellings beyond the grammars that real servers accept: through the proxy they get the verdict that the server gives directly."""

import base64

from clients import sasl
from clients.managesieve import ManageSieve
from clients.pop3 import Pop3
from clients.submission import Submission
from lab import tokens
from lab.configuration import SCRIPTED_HOST
from lab.layout import ACCOUNTS, address
from lab.scripted import Scripted

from .base import Case

ALICE, BOB = address("alice"), address("bob")
NAMES = {name: {"user": name, "password": ACCOUNTS[name].decode(),
                "plain": base64.b64encode(b"\0%s\0%s" % (name.encode(), ACCOUNTS[name])).decode(),
                "escaped": name.replace("@", "\\@")}
         for name in (ALICE, BOB)}


def filled(text, names):
    for name, value in names.items():
        text = text.replace(f"${name}", value)
    return text


class Spellings:
    """`spellings` are commands of one connection each; `direct` is the service of a side for a direct connection."""

    spellings, direct = (), {}

    def test_the_same_verdict_as_directly(self):
        for side, user in (("old", ALICE), ("new", BOB)):
            service = self.direct.get(side)
            if service is None:
                continue
            endpoint = getattr(self, side).endpoint(service)
            for lines in self.spellings:
                lines = [filled(line, NAMES[user]) for line in lines]
                with self.subTest(lines[-1], side=side):
                    directly = self.verdict(self.dial_endpoint(endpoint), lines)
                    self.assertEqual(self.verdict(self.dial(), lines), directly)

    def verdict(self, talk, lines):
        """The first word of the response to the last of the lines."""
        for line in lines:
            talk.say(line)
            status = self.status(talk)
        return status


class ImapSpellings(Spellings, Case):
    direct = {"old": "imaps", "new": "imaps"}
    spellings = (
        ("a NOOP ",), ("a CAPABILITY  ",),
        ("a LOGIN  $user $password",), ("a LOGIN $user  $password",), ("a LOGIN $user $password ",),
        ('a LOGIN "$escaped" $password',), ('a LOGIN $user "$password" ',),
        ("a AUTHENTICATE PLAIN $plain ",),
        ("a ID NIL",), ("a ID",), ("a ID ()",), ('a ID ( "name" "x" )',), ('a ID ("name"  "x")',),
        ("a ID (" + " ".join(f'"f{number}" "x"' for number in range(40)) + ")",),
        ("a ID (" + " ".join(f'"f{number}" "{"x" * 1024}"' for number in range(30)) + ")",),
        ('a LOGIN $user "my HTTP/1.1"',),
    )

    def status(self, talk):
        while not (line := talk.line()).startswith("a "):
            pass
        return line.split()[1]


class Pop3Spellings(Spellings, Case):
    client, direct = Pop3, {"old": "pop3s", "new": "pop3s"}
    spellings = (("CAPA ",), ("QUIT ",), ("AUTH ",), ("AUTH PLAIN $plain ",), ("AUTH PLAIN  $plain",))

    def status(self, talk):
        return talk.line().split()[0]


class ManageSieveSpellings(Spellings, Case):
    client = ManageSieve
    spellings = (("NOOP ",), ("LOGOUT ",), ('NOOP  "x"',), ('AUTHENTICATE  "PLAIN" "$plain"',), ('AUTHENTICATE "PLAIN"  "$plain"',),
                 ('AUTHENTICATE "PLAIN" "$plain" ',))

    def test_the_same_verdict_as_directly(self):
        for side, user in (("old", ALICE), ("new", BOB)):
            for lines in self.spellings:
                lines = [filled(line, NAMES[user]) for line in lines]
                with self.subTest(lines[-1], side=side):
                    directly = self.verdict(self.dial_endpoint(getattr(self, side).endpoint("sieve")).secure(), lines)
                    self.assertEqual(self.verdict(self.dial("starttls").secure(), lines), directly)

    def status(self, talk):
        return talk.reply()[0].split()[0]


class SubmissionSpellings(Spellings, Case):
    client, needs_postfix, direct = Submission, True, {"new": "msas"}
    spellings = (("AUTH PLAIN $plain",), ("EHLO client.example.org", "AUTH PLAIN  $plain"), ("EHLO client.example.org", "AUTH PLAIN $plain "),
                 ("EHLO client.example.org ", "AUTH  PLAIN $plain"))

    def status(self, talk):
        while (line := talk.line())[3:4] == "-":
            pass
        return line[:3]

    def test_a_login_after_starttls_without_a_second_ehlo(self):
        for connect in (lambda: self.dial_endpoint(self.new.endpoint("msa")), lambda: self.dial("starttls")):
            talk = connect()
            talk.say("EHLO client.example.org")
            self.assertEqual(self.status(talk), "250")
            talk.say("STARTTLS")
            self.assertEqual(self.status(talk), "220")
            talk.handshake()
            self.assertEqual(self.verdict(talk, (f"AUTH PLAIN {NAMES[BOB]['plain']}",)), "235")


class Tokens(Case):
    def test_a_cancelled_token_is_a_failed_login(self):
        for user in (ALICE, BOB):
            talk = self.dial()
            for number in range(3):
                mechanism = sasl.oauthbearer(user, tokens.expired(user))
                talk.say(f"t{number} AUTHENTICATE OAUTHBEARER {sasl.encode(mechanism.first)}")
                self.assertRegex(talk.line(), r"^\+ ")
                talk.say("*")
                self.assertRegex(talk.line(), rf"^t{number} (NO|BAD) ")
            # As many as `max_auth_attempts` allows: each counted.
            self.assertRegex(talk.line(), r"^\* BYE ")


class Mechanisms(Case):
    def test_a_mechanism_that_the_backend_lacks_is_no_outage(self):
        def converse(connection):
            connection.say("* OK [CAPABILITY IMAP4rev1 SASL-IR ID AUTH=PLAIN] Scripted ready.")

        backend = Scripted(self.lab.block.host(SCRIPTED_HOST), self.old.port("imaps"), converse, self.old.pair)
        self.addCleanup(backend.stop)
        user = address("scripted")
        talk = self.dial()
        for number in range(4):
            words = talk.authenticate(sasl.xoauth2(user, tokens.long(user)))
            self.assertRegex(words, r"^NO \[CANNOT\]")
        self.assert_at_prompt(talk, "bob", "new")
