"""The POP3 login as clients write it: refused and again, pipelined, in pieces, cancelled, and never in the clear."""

import base64

from clients import sasl
from clients.pop3 import Pop3
from lab import tokens
from lab.configuration import CLEARTEXT_MECHANISMS
from lab.layout import ACCOUNTS, address

from .base import Case, secret
from .logins import Initials, Passwords, Refusals

ALICE, BOB = address("alice"), address("bob")
NAMES = {"user": ALICE, "password": ACCOUNTS[ALICE].decode()}
PLAIN = base64.b64encode(f"\0{ALICE}\0{NAMES['password']}".encode()).decode()


class Refused(Refusals, Case):
    """A refused login leaves the client at our prompt."""

    refusal, unavailable = r"^-ERR \[AUTH\]", r"^-ERR \[SYS/TEMP\]"
    client = Pop3

    def test_then_another_account_on_the_other_server(self):
        for kind in ("implicit", "starttls"):
            talk = self.dial(kind).secure()
            self.assert_no(talk.login(ALICE, secret("wrong-pop3-password-1")))
            self.old.logs.wait(client=talk.source, service="pop3-login", user=ALICE)
            self.assertIn("PLAIN", talk.mechanisms())
            self.assert_no(talk.command("STAT"))
            self.assert_ok(talk.login(BOB, ACCOUNTS[BOB]))
            self.assert_at(talk, "new")
            self.new.logs.wait(client=talk.source, service="pop3-login", what="Login", user=BOB)

    def test_three_times_ends_the_connection(self):
        talk = self.dial()
        for number in range(2):
            self.assert_no(talk.login(ALICE, secret(f"wrong-pop3-password-5{number}")))
        talk.script("""
            C: USER $user
            C: PASS $password
            S: +OK ...
            S: -ERR [AUTH] ...
            S: -ERR ...
            END
            """, user=ALICE, password=secret("wrong-pop3-password-52").decode())

    def test_what_was_pipelined_behind_it_is_not_lost(self):
        self.dial().script("""
            C: USER $user
            C: PASS $wrong
            C: NOOP
            C: USER $user
            C: PASS $password
            C: STAT
            S: +OK ...
            S: -ERR [AUTH] ...
            S: +OK ...
            S: +OK ...
            S: +OK ...
            S: +OK 1 ...
            """, wrong=secret("wrong-pop3-password-6").decode(), **NAMES)


class Pieces(Initials, Case):
    """However the bytes come, the login is the same."""

    client = Pop3

    def test_one_segment(self):
        for kind in ("implicit", "starttls"):
            for user, side in ((ALICE, "old"), (BOB, "new")):
                talk = self.dial(kind).secure()
                talk.script("""
                    C: USER $user
                    C: PASS $password
                    C: STAT
                    C: TOP 1 0
                    S: +OK ...
                    S: +OK ...
                    S: +OK 1 ...
                    S: +OK...
                    S: ...
                    S: Subject: I am $side
                    S: ...
                    S: .
                    C: QUIT
                    S: +OK ...
                    END
                    """, user=user, password=ACCOUNTS[user].decode(), side=side)

    def test_one_segment_with_an_initial_response(self):
        self.dial().script("C: AUTH PLAIN $response\nC: STAT\nS: +OK ...\nS: +OK 1 ...", response=PLAIN)

    def test_cut_in_two_at_every_byte(self):
        login = f"USER {ALICE}\r\nPASS {NAMES['password']}\r\nSTAT\r\n".encode()
        for position in range(1, len(login)):
            with self.subTest(position=position), self.dial() as talk:
                talk.send_alone(login[:position])
                talk.send(login[position:])
                talk.script("S: +OK ...\nS: +OK ...\nS: +OK 1 ...")

    def test_byte_by_byte(self):
        talk = self.dial()
        for byte in f"AUTH PLAIN {PLAIN}\r\nSTAT\r\n".encode():
            talk.send_alone(bytes([byte]))
        talk.script("S: +OK ...\nS: +OK 1 ...")

    def test_bare_line_feeds(self):
        talk = self.dial()
        talk.send(f"USER {ALICE}\nPASS {NAMES['password']}\n".encode())
        talk.script("S: +OK ...\nS: +OK ...")

    def test_cancelled_or_undecodable(self):
        # More often than failures are allowed: none of these is one.
        talk = self.dial()
        for response in ("*", "not base64!", "*", "A", "*"):
            talk.script("C: AUTH PLAIN\nS: + ...\nC: $response\nS: -ERR ...", response=response)
        self.assert_no(talk.command("AUTH PLAIN not-base64!"))
        self.assert_no(talk.command("AUTH CRAM-MD5"))
        self.assert_at_prompt(talk)

    def test_the_round_of_a_refused_token_is_carried(self):
        for make, answer in ((sasl.xoauth2, ""), (sasl.oauthbearer, "AQ==")):
            talk, mechanism = self.dial(), make(BOB, tokens.expired(BOB))
            talk.script("C: AUTH $name $response\nS: + ...\nC: $answer\nS: -ERR ...",
                        name=mechanism.name, response=sasl.encode(mechanism.first), answer=answer)
            self.assert_at_prompt(talk)


class Names(Passwords, Case):
    client = Pop3


class Stls(Case):
    """Nothing goes in the clear that must not, and nothing that came in the clear takes effect."""

    client = Pop3

    def test_injected_commands_take_no_effect(self):
        since = self.old.logs.mark()
        for injected in (f"USER {ALICE}\r\nPASS {NAMES['password']}\r\n", f"AUTH PLAIN {PLAIN}\r\n", "NO", "\r\n"):
            with self.subTest(injected):
                talk = self.dial("starttls")
                talk.send(b"STLS\r\n" + injected.encode())
                # Perhaps our +OK, and the end.
                self.assertRegex(talk.rest(), rb"^(\+OK[^\r]*\r\n)?(-ERR[^\r]*\r\n)?$")
                self.assert_unseen(self.old, since, client=talk.source)

    def test_passwords_need_it(self):
        talk, since = self.dial("starttls"), self.old.logs.mark()
        words = talk.capabilities()
        self.assertIn("STLS", words)
        self.assertNotIn("USER", words)
        self.assertEqual(talk.mechanisms(), CLEARTEXT_MECHANISMS)
        self.assert_no(talk.command(f"USER {ALICE}"))
        self.assert_no(talk.command(f"PASS {NAMES['password']}"))
        for mechanism in ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"):
            # Refused at once: the secret is not even asked for.
            self.assert_no(talk.command(f"AUTH {mechanism}"))
        self.assert_unseen(self.old, since, client=talk.source)
        words = talk.starttls().capabilities()
        self.assertIn("USER", words)
        self.assertNotIn("STLS", words)
        self.assert_no(talk.command("STLS"))
        self.assert_at_prompt(talk)

    def test_a_listener_without_tls(self):
        talk = self.dial("plain")
        self.assertNotIn("STLS", talk.capabilities())
        self.assert_no(talk.command("STLS"))
        self.assert_no(talk.command(f"USER {ALICE}"))
        # SCRAM shows nobody the password: it needs no encryption.
        self.assert_ok(talk.authenticate(sasl.ScramSha256(ALICE, ACCOUNTS[ALICE])))
        self.assert_at(talk, "old")
