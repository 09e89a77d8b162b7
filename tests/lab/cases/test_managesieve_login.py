"""The ManageSieve login as clients write it: refused and again, pipelined, in pieces, cancelled, and never in the clear."""

import base64

from clients import sasl
from clients.managesieve import ManageSieve
from lab import tokens
from lab.configuration import CLEARTEXT_MECHANISMS
from lab.layout import ACCOUNTS, MASTER, MASTER_PASSWORD, ODD_PASSWORDS, address

from .base import Case, secret

ALICE, BOB = address("alice"), address("bob")
PLAIN = base64.b64encode(f"\0{ALICE}\0{ACCOUNTS[ALICE].decode()}".encode()).decode()


def wrong(number):
    return base64.b64encode(b"\0%s\0%s" % (ALICE.encode(), secret(f"wrong-sieve-password-{number}"))).decode()


class Refused(Case):
    """A refused login leaves the client at our prompt."""

    client = ManageSieve

    def test_then_another_account_on_the_other_server(self):
        for kind in ("implicit", "starttls"):
            talk = self.dial(kind).secure()
            self.assert_no(talk.login(ALICE, secret("wrong-sieve-password-1")))
            self.old.logs.wait(client=talk.source, service="managesieve-login", user=ALICE)
            self.assertIn("PLAIN", talk.mechanisms())
            self.assert_no(talk.command("LISTSCRIPTS")[0])
            self.assert_ok(talk.login(BOB, ACCOUNTS[BOB]))
            self.assert_at(talk, "new")
            self.new.logs.wait(client=talk.source, service="managesieve-login", what="Login", user=BOB)

    def test_by_every_mechanism_then_another(self):
        for mechanism in (sasl.plain(ALICE, secret("wrong-sieve-password-2")), sasl.login(ALICE, secret("wrong-sieve-password-3")),
                          sasl.ScramSha256(ALICE, secret("wrong-sieve-password-4")),
                          sasl.xoauth2(ALICE, secret("wrong-sieve-token-1").decode()),
                          sasl.oauthbearer(ALICE, secret("wrong-sieve-token-2").decode())):
            with self.subTest(mechanism.name):
                talk = self.dial()
                self.assert_no(talk.authenticate(mechanism))
                self.assert_ok(talk.authenticate(sasl.ScramSha256(BOB, ACCOUNTS[BOB])))
                self.assert_at(talk, "new")

    def test_three_times_ends_the_connection(self):
        talk = self.dial()
        for number in (50, 51):
            talk.script('C: AUTHENTICATE "PLAIN" "$response"\nS: NO ...', response=wrong(number))
        talk.script('C: AUTHENTICATE "PLAIN" "$response"\nS: NO ...\nS: BYE ...\nEND', response=wrong(52))

    def test_what_was_pipelined_behind_it_is_not_lost(self):
        self.dial().script("""
            C: AUTHENTICATE "PLAIN" "$wrong"
            C: NOOP "tag"
            C: AUTHENTICATE "PLAIN" "$right"
            C: HAVESPACE "x" 5
            S: NO ...
            S: OK (TAG "tag")...
            S: OK ...
            S: OK ...
            """, wrong=wrong(6), right=PLAIN)

    def test_unavailable_is_not_a_failed_login(self):
        for name in ("down", "unproven", "plainless"):
            with self.subTest(name):
                since, talk = self.old.logs.mark(), self.dial()
                # More often than failures are allowed: none of these is one.
                for _ in range(4):
                    self.assertRegex(talk.login(address(name), ACCOUNTS[address(name)]), r"^NO \(TRYLATER\)")
                self.assert_unseen(self.old, since, user=address(name))
                self.assert_at_prompt(talk, "bob", "new")


class Pieces(Case):
    """However the bytes come, the login is the same."""

    client = ManageSieve

    def test_one_segment(self):
        for kind in ("implicit", "starttls"):
            for user, side in ((ALICE, "old"), (BOB, "new")):
                talk = self.dial(kind).secure()
                response = base64.b64encode(f"\0{user}\0{ACCOUNTS[user].decode()}".encode()).decode()
                talk.send(b'AUTHENTICATE "PLAIN" "%s"\r\nPUTSCRIPT "a" {7+}\r\nkeep;\r\n\r\nLISTSCRIPTS\r\nDELETESCRIPT "a"\r\nCAPABILITY\r\n'
                          % response.encode())
                self.assert_ok(talk.line())
                self.assert_ok(talk.reply()[0])
                self.assertIn('"a"', talk.reply()[1])
                self.assert_ok(talk.reply()[0])
                self.assertIn(f'"IMPLEMENTATION" "Dovecot {side}"', talk.reply()[1])

    def test_a_response_as_a_literal(self):
        # RFC 5804 section 4 has clients send the first form alone; nobody is served by refusing the other.
        for form in ("{%d+}", "{%d}"):
            talk = self.dial()
            talk.send(f'AUTHENTICATE "PLAIN" {form % len(PLAIN)}\r\n{PLAIN}\r\n'.encode())
            self.assert_ok(talk.line())
            self.assert_at(talk, "old")

    def test_cut_in_two_at_every_byte(self):
        login = f'AUTHENTICATE "PLAIN" {{{len(PLAIN)}+}}\r\n{PLAIN}\r\nHAVESPACE "x" 5\r\n'.encode()
        for position in range(1, len(login)):
            with self.subTest(position=position), self.dial() as talk:
                talk.send_alone(login[:position])
                talk.send(login[position:])
                talk.script("S: OK ...\nS: OK ...")

    def test_byte_by_byte(self):
        talk = self.dial()
        for byte in f'AUTHENTICATE "PLAIN" "{PLAIN}"\r\nHAVESPACE "x" 5\r\n'.encode():
            talk.send_alone(bytes([byte]))
        talk.script("S: OK ...\nS: OK ...")

    def test_without_an_initial_response(self):
        for mechanism in (sasl.plain(BOB, ACCOUNTS[BOB]), sasl.ScramSha256(BOB, ACCOUNTS[BOB]),
                          sasl.xoauth2(BOB, tokens.long(BOB)), sasl.oauthbearer(BOB, tokens.long(BOB))):
            with self.subTest(mechanism.name):
                talk = self.dial()
                self.assert_ok(talk.authenticate(mechanism, is_initial=False))
                self.assert_at(talk, "new")

    def test_cancelled_or_undecodable(self):
        # More often than failures are allowed: none of these is one.
        talk = self.dial()
        for response in ("*", "not base64!", "*", "A", "*"):
            talk.script('C: AUTHENTICATE "PLAIN"\nS: ""\nC: "$response"\nS: NO ...', response=response)
        self.assert_no(talk.command('AUTHENTICATE "PLAIN" "not-base64!"')[0])
        self.assert_no(talk.command('AUTHENTICATE "CRAM-MD5"')[0])
        self.assert_at_prompt(talk)


class Names(Case):
    client = ManageSieve

    def test_odd_passwords(self):
        for name, password in ODD_PASSWORDS.items():
            user = address(name)
            with self.subTest(name):
                self.assert_ok(self.dial().login(user, password))
                self.assert_ok(self.dial().authenticate(sasl.login(user, password)))
                self.assert_no(self.dial().login(user, secret(password + b" ")))

    def test_a_master_user_opens_the_account_where_it_is(self):
        for account, side in ((ALICE, "old"), (BOB, "new")):
            talk = self.dial()
            self.assert_ok(talk.login(f"{account}*{MASTER}", MASTER_PASSWORD.encode()))
            self.assert_at(talk, side)
            talk = self.dial()
            self.assert_ok(talk.authenticate(sasl.plain(MASTER, MASTER_PASSWORD.encode(), authzid=account)))
            self.assert_at(talk, side)


class Starttls(Case):
    """Nothing goes in the clear that must not, and nothing that came in the clear takes effect."""

    client = ManageSieve

    def test_injected_commands_take_no_effect(self):
        since = self.old.logs.mark()
        for injected in (f'AUTHENTICATE "PLAIN" "{PLAIN}"\r\n', "NO", "\r\n"):
            with self.subTest(injected):
                talk = self.dial("starttls")
                talk.send(b"STARTTLS\r\n" + injected.encode())
                # Perhaps our OK, and the end.
                self.assertRegex(talk.rest(), rb"^(OK[^\r]*\r\n)?((NO|BYE)[^\r]*\r\n)?$")
                self.assert_unseen(self.old, since, client=talk.source)

    def test_passwords_need_it(self):
        talk, since = self.dial("starttls"), self.old.logs.mark()
        words = talk.capabilities()
        self.assertIn("STARTTLS", words)
        self.assertEqual(talk.mechanisms(), CLEARTEXT_MECHANISMS)
        for mechanism in ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"):
            # Refused at once: the secret is not even asked for.
            self.assertRegex(talk.command(f'AUTHENTICATE "{mechanism}"')[0], r"^NO \(ENCRYPT-NEEDED\)")
        self.assert_unseen(self.old, since, client=talk.source)
        words = talk.starttls().capabilities()
        self.assertIn("PLAIN", words["SASL"])
        self.assertNotIn("STARTTLS", words)
        self.assert_no(talk.command("STARTTLS")[0])
        self.assert_at_prompt(talk)

    def test_a_listener_without_tls(self):
        talk = self.dial("plain")
        self.assertNotIn("STARTTLS", talk.capabilities())
        self.assert_no(talk.command("STARTTLS")[0])
        # SCRAM shows nobody the password: it needs no encryption.
        self.assert_ok(talk.authenticate(sasl.ScramSha256(ALICE, ACCOUNTS[ALICE])))
        self.assert_at(talk, "old")
