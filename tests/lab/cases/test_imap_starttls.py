"""STARTTLS: nothing goes in the clear that must not, and nothing that came in the clear takes effect."""

from clients import sasl
from lab.layout import ACCOUNTS, address

from .base import Case

ALICE = address("alice")
NAMES = {"user": ALICE, "password": ACCOUNTS[ALICE].decode()}


class Starttls(Case):
    def test_injected_commands_take_no_effect(self):
        injections = {
            "a login": "b LOGIN $user $password",
            "two commands": "b NOOP\r\nc LOGIN $user $password",
            "half a command": "b LOG",
            "a line feed": "",
        }
        since = self.old.logs.mark()
        for name, injected in injections.items():
            with self.subTest(name):
                talk = self.dial("starttls")
                for placeholder, value in NAMES.items():
                    injected = injected.replace(f"${placeholder}", value)
                talk.send(b"a STARTTLS\r\n" + injected.encode() + b"\r\n")
                answer = talk.rest()
                self.assertNotRegex(answer, rb"(?m)^[bc] ")
                self.assert_unseen(self.old, since, client=talk.source)

    def test_a_handshake_in_the_same_segment_is_thrown_away_too(self):
        talk = self.dial("starttls")
        client_hello = bytes.fromhex("1603010005010000010303")
        talk.send(b"a STARTTLS\r\n" + client_hello)
        # Perhaps our OK, and the end: never a byte of TLS.
        self.assertRegex(talk.rest(), rb"^(a (OK|BAD)[^\r]*\r\n)?(\* BYE[^\r]*\r\n)?$")

    def test_passwords_need_it(self):
        talk, since = self.dial("starttls"), self.old.logs.mark()
        words = talk.capabilities()
        self.assertIn("LOGINDISABLED", words)
        self.assertIn("STARTTLS", words)
        self.assertEqual([word for word in words if word in ("AUTH=PLAIN", "AUTH=LOGIN", "AUTH=XOAUTH2", "AUTH=OAUTHBEARER")], [])
        self.assert_no(talk.command(f"LOGIN {ALICE} {NAMES['password']}")[0])
        for mechanism in ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"):
            # Refused at once: the secret is not even asked for.
            self.assert_no(talk.command(f"AUTHENTICATE {mechanism}")[0])
        self.assert_unseen(self.old, since, client=talk.source)
        talk.starttls()
        self.assertNotIn("LOGINDISABLED", talk.capabilities())
        self.assert_at_prompt(talk)

    def test_a_password_literal_is_not_asked_for(self):
        talk = self.dial("starttls")
        talk.say(f"a LOGIN {ALICE} {{{len(NAMES['password'])}}}")
        self.assertRegex(talk.line(), r"^a NO ")

    def test_the_state_is_new_behind_it(self):
        talk = self.dial("starttls").starttls()
        self.assertRegex(talk.command("STARTTLS")[0], r"^BAD\b")
        self.assertNotIn("STARTTLS", talk.capabilities())
        self.assert_at_prompt(talk)

    def test_a_listener_without_tls(self):
        talk = self.dial("plain")
        self.assertIn("LOGINDISABLED", talk.greeting)
        self.assertNotIn("STARTTLS", talk.greeting)
        self.assert_no(talk.command(f"LOGIN {ALICE} {NAMES['password']}")[0])
        self.assertRegex(talk.command("STARTTLS")[0], r"^BAD\b")
        # SCRAM shows nobody the password: it needs no encryption.
        self.assertIn("AUTH=SCRAM-SHA-256", talk.capabilities())
        self.assert_ok(talk.authenticate(sasl.ScramSha256(ALICE, ACCOUNTS[ALICE])))
        self.assert_at(talk, "old")
