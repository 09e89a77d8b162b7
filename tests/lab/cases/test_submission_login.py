"""The submission login as clients write it: refused and again, pipelined, in pieces, cancelled, and never in the clear."""

from clients import sasl
from clients.submission import Submission
from lab import tokens
from lab.configuration import CLEARTEXT_MECHANISMS
from lab.layout import ACCOUNTS, address

from .base import Case, secret
from .logins import Initials, Passwords, Refusals

ALICE, BOB = address("alice"), address("bob")
PASSWORD = ACCOUNTS[ALICE].decode()


def response(user, password):
    """PLAIN's, in base64."""
    return sasl.encode(sasl.plain(user, password).first)


PLAIN = response(ALICE, ACCOUNTS[ALICE])


class Submitting(Case):
    """The old side submits by Dovecot, the new one by Postfix."""

    client, needs_postfix = Submission, True


class Refused(Refusals, Submitting):
    """A refused login leaves the client at our prompt."""

    refusal, unavailable = "^535 5.7.8 ", "^454 4.7.0 "

    def test_then_another_account_on_the_other_server(self):
        for kind in ("implicit", "starttls"):
            talk = self.dial(kind).secure()
            self.assertRegex(talk.login(ALICE, secret("wrong-smtp-password-1")), "^535 5.7.8 ")
            self.old.logs.wait(client=talk.source, service="submission-login", user=ALICE)
            self.assertRegex(talk.command(f"MAIL FROM:<{ALICE}>"), "^530 5.7.0 ")
            self.assert_ok(talk.login(BOB, ACCOUNTS[BOB]))
            self.assert_at(talk, "new")
            talk.ok(f"MAIL FROM:<{BOB}>")
            talk.ok(f"RCPT TO:<{BOB}>")
            self.new.logs.wait(client=talk.source, service="postfix/smtpd", what="message", user=BOB)
            # And the other way round.
            talk = self.dial(kind).secure()
            self.assertRegex(talk.login(BOB, secret("wrong-smtp-password-1")), "^535 5.7.8 ")
            self.assert_ok(talk.login(ALICE, ACCOUNTS[ALICE]))
            self.assert_at(talk, "old")
            self.old.logs.wait(client=talk.source, service="submission-login", what="Login", user=ALICE)

    def test_three_times_ends_the_connection(self):
        talk = self.dial()
        for number in range(2):
            self.assert_no(talk.login(BOB, secret(f"wrong-smtp-password-6{number}")))
        talk.script("C: AUTH PLAIN $response\nS: 535 5.7.8 ...\nS: 421 4.7.0 ...\nEND",
                    response=response(BOB, secret("wrong-smtp-password-62")))

    def test_what_was_pipelined_behind_it_is_not_lost(self):
        self.dial().script("""
            C: EHLO client.example.org
            C: AUTH PLAIN $wrong
            C: NOOP
            C: AUTH PLAIN $right
            C: MAIL FROM:<$user>
            S: 250-...
            S: ...
            S: 250 ...
            S: 535 5.7.8 ...
            S: 250 2.0.0 ...
            S: 235 2.7.0 ...
            S: 250 2.1.0 ...
            """, wrong=response(ALICE, secret("wrong-smtp-password-7")), right=response(BOB, ACCOUNTS[BOB]), user=BOB)


class Pieces(Initials, Submitting):
    """However the bytes come, the login is the same."""

    def test_one_segment(self):
        for kind in ("implicit", "starttls"):
            for user, side in ((ALICE, self.old), (BOB, self.new)):
                talk, since = self.dial(kind).secure(), side.logs.mark()
                talk.script("""
                    C: EHLO client.example.org
                    C: AUTH PLAIN $response
                    C: MAIL FROM:<$user>
                    C: RCPT TO:<$user>
                    C: RSET
                    C: EHLO again.example.org
                    C: QUIT
                    S: 250-proxy.example.org
                    S: ...
                    S: 235 2.7.0 ...
                    S: 250 2.1.0 ...
                    S: 250 2.1.5 ...
                    S: 250 2.0.0 ...
                    S: 250-$hostname
                    S: ...
                    S: 221 2.0.0 ...
                    END
                    """, user=user, response=response(user, ACCOUNTS[user]), hostname=side.hostname)
                service = "postfix/smtpd" if side.submits_by_postfix else "submission-login"
                side.logs.wait(since, service=service, user=user, client=talk.source)

    def test_cut_in_two_at_every_byte(self):
        login = f"AUTH PLAIN {PLAIN}\r\nMAIL FROM:<{ALICE}>\r\n".encode()
        for position in range(1, len(login)):
            with self.subTest(position=position), self.dial() as talk:
                talk.ehlo()
                talk.send_alone(login[:position])
                talk.send(login[position:])
                talk.script("S: 235 2.7.0 ...\nS: 250 2.1.0 ...")

    def test_byte_by_byte(self):
        talk = self.dial()
        talk.ehlo()
        for byte in f"AUTH PLAIN {PLAIN}\r\nMAIL FROM:<{ALICE}>\r\n".encode():
            talk.send_alone(bytes([byte]))
        talk.script("S: 235 2.7.0 ...\nS: 250 2.1.0 ...")

    def test_cancelled_or_undecodable(self):
        # More often than failures are allowed: none of these is one.
        talk = self.dial()
        talk.ehlo()
        for words, code in (("*", "501 5.7.0"), ("not base64!", "501 5.5.2"), ("*", "501 5.7.0"), ("A", "501 5.5.2")):
            talk.script("C: AUTH PLAIN\nS: 334 \nC: $words\nS: $code ...", words=words, code=code)
        talk.script("C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: $user\nS: 334 UGFzc3dvcmQ6\nC: *\nS: 501 5.7.0 ...",
                    user=sasl.encode(ALICE.encode()))
        scram = sasl.encode(sasl.ScramSha256(BOB, ACCOUNTS[BOB]).first)
        # Cancelled in the backend's part of the exchange: its connection is given up.
        talk.script("C: AUTH SCRAM-SHA-256 $first\nS: 334 ...\nC: *\nS: 501 5.7.0 ...", first=scram)
        talk.script("C: AUTH PLAIN not-base64!\nS: 501 5.5.2 ...\nC: AUTH CRAM-MD5\nS: 504 5.5.4 ...")
        self.assert_at_prompt(talk)

    def test_the_round_of_a_refused_token_is_carried(self):
        for user in (ALICE, BOB):
            for make, answer in ((sasl.xoauth2, ""), (sasl.oauthbearer, "AQ==")):
                talk, mechanism = self.dial(), make(user, tokens.expired(user))
                talk.ehlo()
                talk.script("C: AUTH $name $response\nS: 334 ...\nC: $answer\nS: 535 5.7.8 ...",
                            name=mechanism.name, response=sasl.encode(mechanism.first), answer=answer)
                self.assert_at_prompt(talk)


class Order(Submitting):
    def test_before_the_login(self):
        talk = self.dial()
        talk.script("""
            C: HELO client.example.org
            S: 250 proxy.example.org
            C: MAIL FROM:<$user>
            S: 530 5.7.0 ...
            C: RCPT TO:<$user>
            S: 530 5.7.0 ...
            C: DATA
            S: 530 5.7.0 ...
            C: VRFY alice
            S: 252 ...
            C: HELP
            S: 214 ...
            C: FROBNICATE
            S: 500 5.5.1 ...
            """, user=ALICE)
        # HELO is greeting enough for a login; on the other side EHLO was said.
        talk.offered = ["after HELO"]
        self.assert_at_prompt(talk)

    def test_storms(self):
        # Behind the login they are the server's to bear: Postfix takes 100 such commands between two messages.
        before, behind = 500, 20
        for user, side in ((ALICE, "old"), (BOB, "new")):
            talk = self.dial()
            talk.ehlo()
            login = f"AUTH PLAIN {response(user, ACCOUNTS[user])}\r\n".encode()
            talk.send(b"RSET\r\nNOOP\r\n" * before + login + b"RSET\r\nNOOP\r\n" * behind)
            replies = [talk.reply()[:3] for _ in range(2 * before + 1 + 2 * behind)]
            self.assertEqual(replies, ["250"] * 2 * before + ["235"] + ["250"] * 2 * behind)
            self.assert_at(talk, side)

    def test_a_second_login_behind_a_first_is_the_servers_to_refuse(self):
        for user in (ALICE, BOB):
            talk = self.dial()
            self.assert_ok(talk.login(user, ACCOUNTS[user]))
            self.assertRegex(talk.command(f"AUTH PLAIN {PLAIN}"), r"^503 5\.5\.[01] ")

    def test_lines_that_end_in_a_line_feed_alone(self):
        talk, since = self.dial(), self.old.logs.mark()
        talk.send(f"EHLO client.example.org\nAUTH PLAIN {PLAIN}\n".encode())
        talk.script("S: 500 5.5.2 ...\nEND")
        self.assert_unseen(self.old, since, client=talk.source)


class Names(Passwords, Submitting):
    def test_words_that_could_be_commands(self):
        # A user name is base64 in this protocol, and decoded it may hold anything.
        for name in (f"alice\r\nMAIL FROM:<{BOB}>", "alice\n", "a\0b", "alice\r", '"alice"', "", " a b"):
            with self.subTest(name):
                talk, since = self.dial(), self.old.logs.mark()
                self.assertRegex(talk.authenticate(sasl.login(name, ACCOUNTS[ALICE])), "^5")
                self.assert_unseen(self.old, since, client=talk.source)
                self.assert_at_prompt(talk)


class Starttls(Submitting):
    """Nothing goes in the clear that must not, and nothing that came in the clear takes effect."""

    def test_injected_commands_take_no_effect(self):
        since = self.old.logs.mark()
        for injected in (f"EHLO x\r\nAUTH PLAIN {PLAIN}\r\n", "NO", "\r\n"):
            with self.subTest(injected):
                talk = self.dial("starttls")
                talk.ehlo()
                talk.send(b"STARTTLS\r\n" + injected.encode())
                # Perhaps our 220, and the end.
                self.assertRegex(talk.rest(), rb"^(220[^\r]*\r\n)?(421[^\r]*\r\n)?$")
                self.assert_unseen(self.old, since, client=talk.source)

    def test_passwords_need_it(self):
        talk, since = self.dial("starttls"), self.old.logs.mark()
        words = talk.capabilities()
        self.assertIn("STARTTLS", words)
        self.assertEqual(talk.mechanisms(), CLEARTEXT_MECHANISMS)
        for mechanism in ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"):
            # Refused at once: the secret is not even asked for.
            self.assertRegex(talk.command(f"AUTH {mechanism}"), "^538 5.7.11 ")
        self.assertRegex(talk.command(f"AUTH PLAIN {PLAIN}"), "^538 5.7.11 ")
        self.assert_unseen(self.old, since, client=talk.source)
        talk.starttls()
        self.assertNotIn("STARTTLS", talk.capabilities())
        self.assertRegex(talk.command("STARTTLS"), "^503 5.5.1 ")
        self.assert_at_prompt(talk)

    def test_a_listener_without_tls(self):
        for user, side in ((ALICE, "old"), (BOB, "new")):
            talk = self.dial("plain")
            self.assertNotIn("STARTTLS", talk.capabilities())
            self.assertRegex(talk.command("STARTTLS"), "^502 5.5.1 ")
            self.assertRegex(talk.command(f"AUTH PLAIN {PLAIN}"), "^538 5.7.11 ")
            # SCRAM shows nobody the password: it needs no encryption.
            self.assert_ok(talk.authenticate(sasl.ScramSha1(user, ACCOUNTS[user])))
            self.assert_at(talk, side)
