"""Backends that are away, that cannot prove who they are, or that say what no backend should: no credential is sent."""

from clients.addresses import fresh
from lab.configuration import SCRIPTED_HOST
from lab.layout import ACCOUNTS, address
from lab.scripted import Scripted

from .base import Case

CAPABILITIES = "IMAP4rev1 SASL-IR LITERAL+ ID"
GREETING = f"* OK [CAPABILITY {CAPABILITIES} AUTH=PLAIN] Scripted ready."
BEFORE_TLS = f"* OK [CAPABILITY {CAPABILITIES} STARTTLS LOGINDISABLED] Scripted ready."


class Away(Case):
    def test_unavailable_is_not_a_failed_login(self):
        for name in ("down", "unproven", "plainless"):
            with self.subTest(name):
                since, talk = self.old.logs.mark(), self.dial()
                # More often than failures are allowed: none of these is one.
                for _ in range(4):
                    self.assertRegex(talk.login(address(name), ACCOUNTS[address(name)]), r"^NO \[UNAVAILABLE\]")
                self.assert_unseen(self.old, since, user=address(name))
                self.assert_at_prompt(talk, "bob", "new")


class Made(Case):
    """Against a backend that a test makes up."""

    def scripted(self, converse, is_implicit=True):
        port = self.old.port("imaps" if is_implicit else "imap")
        backend = Scripted(self.lab.block.host(SCRIPTED_HOST), port, converse, self.old.pair if is_implicit else None)
        self.addCleanup(backend.stop)
        return backend

    def assert_nothing_given_away(self, backend, name):
        """The login ends as unavailable, and of its password the backend has seen nothing."""
        talk = self.dial()
        self.assertRegex(talk.login(address(name), ACCOUNTS[address(name)]), r"^NO \[UNAVAILABLE\]")
        for connection in backend.connections:
            self.assertTrue(connection.has_ended.wait(10), "the leg is still open")
        received = backend.received()
        for word in (b"LOGIN", b"AUTHENTICATE", ACCOUNTS[address(name)]):
            self.assertNotIn(word, received)
        self.assert_at_prompt(talk, "bob", "new")

    def test_what_no_greeting_says(self):
        greetings = {
            "of another protocol": ["+OK POP3 ready"],
            "of another protocol yet": ["220 smtp.example.org ESMTP"],
            "authenticated already": [f"* PREAUTH [CAPABILITY {CAPABILITIES}] You are alice."],
            "goodbye": ["* BYE Too busy"],
            "a line without an end": ["* OK " + "x" * 70000],
            "a NUL": ["* OK \0[CAPABILITY IMAP4rev1 AUTH=PLAIN]"],
        }
        for name, lines in greetings.items():
            with self.subTest(name):
                backend = self.scripted(lambda connection: connection.say(*lines))
                self.assert_nothing_given_away(backend, "scripted")
                backend.stop()

    def test_no_end_of_untagged_lines(self):
        def converse(connection):
            connection.say("* OK Scripted ready.")
            connection.line()
            for _ in range(100000):
                connection.say(*["* OK still thinking"] * 100)
        self.assert_nothing_given_away(self.scripted(converse), "scripted")

    def test_bytes_behind_the_answer_to_starttls(self):
        def converse(connection):
            connection.say(BEFORE_TLS)
            tag = connection.line().split()[0]
            connection.say(f"{tag} OK Begin TLS", f"* CAPABILITY {CAPABILITIES} AUTH=PLAIN")
        self.assert_nothing_given_away(self.scripted(converse, is_implicit=False), "scripted-starttls")

    def test_starttls_not_announced_or_refused(self):
        def silent(connection):
            connection.say(GREETING)

        def refusing(connection):
            connection.say(BEFORE_TLS)
            connection.say(f"{connection.line().split()[0]} NO Not today")
        for converse in (silent, refusing):
            with self.subTest(converse.__name__):
                backend = self.scripted(converse, is_implicit=False)
                self.assert_nothing_given_away(backend, "scripted-starttls")
                backend.stop()

    def test_what_stands_behind_the_ok_reaches_the_client(self):
        def converse(connection):
            connection.say(GREETING)
            connection.say(f"{tag_of_login(connection)} OK [CAPABILITY IMAP4rev1] Welcome", "* OK a first word", "* OK a second word")
            connection.say(f"* OK you said {connection.line()}")
        self.scripted(converse)
        self.dial().script("""
            C: a LOGIN $user $password
            C: b SELECT INBOX
            S: a OK [CAPABILITY IMAP4rev1] Welcome
            S: * OK a first word
            S: * OK a second word
            S: * OK you said b SELECT INBOX
            """, user=address("scripted"), password=ACCOUNTS[address("scripted")].decode())

    def test_the_leg_resumes_its_tls_session(self):
        def converse(connection):
            connection.say(GREETING)
            connection.say(f"{tag_of_login(connection)} OK [CAPABILITY IMAP4rev1] Welcome")
        backend = self.scripted(converse)
        for _ in range(3):
            talk = self.dial()
            self.assert_ok(talk.login(address("scripted"), ACCOUNTS[address("scripted")]))
            talk.close()
        self.assertEqual([connection.is_resumed for connection in backend.connections], [False, True, True])

    def test_the_clients_id_is_passed_on_without_its_claims(self):
        def converse(connection):
            connection.say(GREETING)
            tag = tag_of_login(connection)
            connection.say(f"{tag} OK [CAPABILITY IMAP4rev1] Welcome")
        backend, source = self.scripted(converse), fresh()
        talk = self.dial(source=source)
        talk.ok('ID ("name" "Thunderbolt" "x-originating-ip" "203.0.113.66")')
        self.assert_ok(talk.login(address("scripted"), ACCOUNTS[address("scripted")]))
        self.assertNotIn(b"203.0.113.66", backend.received())


def tag_of_login(connection):
    """Answers whatever comes before the login, and returns the login's tag."""
    while True:
        tag, verb, *_ = connection.line().split(" ", 2)
        if verb.upper() in ("LOGIN", "AUTHENTICATE"):
            return tag
        connection.say(f"{tag} OK Done")
