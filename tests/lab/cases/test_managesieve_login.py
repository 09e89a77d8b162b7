"""The ManageSieve login as clients write it: refused and again, pipelined, in pieces, cancelled, never in the clear."""

from clients import sasl
from clients.managesieve import ManageSieve, escaped, parsed
from lab import tokens
from lab.configuration import CLEARTEXT_MECHANISMS
from lab.layout import ACCOUNTS, address

from .base import Case, secret
from .logins import Initials, Passwords, Refusals

ALICE, BOB = address("alice"), address("bob")


def response(user, password):
    """PLAIN's, in base64."""
    return sasl.encode(sasl.plain(user, password).first)


PLAIN = response(ALICE, ACCOUNTS[ALICE])
LOGIN = f'AUTHENTICATE "PLAIN" "{PLAIN}"\r\n'


class Refused(Refusals, Case):
    """A refused login leaves the client at our prompt."""

    refusal, unavailable = "^NO ", r"^NO \(TRYLATER\)"
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

    def test_three_times_ends_the_connection(self):
        talk = self.dial()
        for number in range(2):
            self.assert_no(talk.login(ALICE, secret(f"wrong-sieve-password-6{number}")))
        talk.script('C: AUTHENTICATE "PLAIN" "$response"\nS: NO ...\nS: BYE ...\nEND',
                    response=response(ALICE, secret("wrong-sieve-password-62")))

    def test_what_was_pipelined_behind_it_is_not_lost(self):
        self.dial().script("""
            C: AUTHENTICATE "PLAIN" "$wrong"
            C: NOOP "between"
            C: AUTHENTICATE "PLAIN" "$right"
            C: NOOP "behind"
            S: NO ...
            S: OK (TAG "between") ...
            S: OK ...
            S: OK (TAG "behind") ...
            """, wrong=response(ALICE, secret("wrong-sieve-password-7")), right=response(BOB, ACCOUNTS[BOB]))


class Pieces(Initials, Case):
    """However the bytes come, the login is the same."""

    client = ManageSieve

    def test_one_segment(self):
        for kind in ("implicit", "starttls"):
            for user, side in ((ALICE, "old"), (BOB, "new")):
                self.dial(kind).secure().script("""
                    C: AUTHENTICATE "PLAIN" "$response"
                    C: HAVESPACE "a" 100
                    C: CAPABILITY
                    C: LOGOUT
                    S: OK ...
                    S: OK ...
                    S: "IMPLEMENTATION" "Dovecot $side"
                    S: ...
                    S: OK ...
                    S: OK ...
                    END
                    """, response=response(user, ACCOUNTS[user]), side=side)

    def test_every_form_of_a_string(self):
        for before, after in (('"PLAIN" "%s"', ""), ('"PLAIN" {%d+}\r\n%s', ""), ('{5+}\r\nPLAIN "%s"', ""),
                              ('"plain" {%d}\r\n%s', ""), ('"PLAIN"\r\n"%s"', '""'), ('"PLAIN"\r\n{%d+}\r\n%s', '""')):
            with self.subTest(before):
                talk = self.dial()
                text = before % ((len(PLAIN), PLAIN) if "%d" in before else PLAIN)
                talk.send(f"AUTHENTICATE {text}\r\n".encode())
                if after:
                    self.assertEqual(talk.line(), after)
                self.assert_ok(talk.line())
                self.assert_at(talk, "old")

    def test_cut_in_two_at_every_byte(self):
        login = f'AUTHENTICATE "PLAIN" {{{len(PLAIN)}+}}\r\n{PLAIN}\r\nNOOP "x"\r\n'.encode()
        for position in range(1, len(login)):
            with self.subTest(position=position), self.dial() as talk:
                talk.send_alone(login[:position])
                talk.send(login[position:])
                talk.script('S: OK ...\nS: OK (TAG "x") ...')

    def test_byte_by_byte(self):
        talk = self.dial()
        for byte in f'{LOGIN}NOOP "x"\r\n'.encode():
            talk.send_alone(bytes([byte]))
        talk.script('S: OK ...\nS: OK (TAG "x") ...')

    def test_bare_line_feeds(self):
        talk = self.dial()
        talk.send(LOGIN.replace("\r\n", "\n").encode())
        talk.script("S: OK ...")

    def test_cancelled_or_undecodable(self):
        # More often than failures are allowed: none of these is one.
        talk = self.dial()
        for words in ("*", "not base64!", "*", "A", "*"):
            talk.script('C: AUTHENTICATE "PLAIN"\nS: ""\nC: "$words"\nS: NO ...', words=words)
        scram = sasl.encode(sasl.ScramSha256(BOB, ACCOUNTS[BOB]).first)
        # Cancelled in the backend's part of the exchange: its connection is given up.
        talk.script('C: AUTHENTICATE "SCRAM-SHA-256" "$first"\nS: "..."\nC: "*"\nS: NO ...', first=scram)
        self.assert_no(talk.command('AUTHENTICATE "PLAIN" "not-base64!"')[0])
        self.assert_no(talk.command('AUTHENTICATE "CRAM-MD5"')[0])
        self.assert_at_prompt(talk)

    def test_the_round_of_a_refused_token_is_carried(self):
        for make, answer in ((sasl.xoauth2, ""), (sasl.oauthbearer, "AQ==")):
            talk, mechanism = self.dial(), make(BOB, tokens.expired(BOB))
            talk.script('C: AUTHENTICATE "$name" "$response"\nS: "..."\nC: "$answer"\nS: NO ...',
                        name=mechanism.name, response=sasl.encode(mechanism.first), answer=answer)
            self.assert_at_prompt(talk)


class Order(Case):
    client = ManageSieve

    def test_before_the_login(self):
        talk = self.dial()
        talk.script(r"""
            C: NOOP
            S: OK ...
            C: NOOP "a \"tag\" \\"
            S: OK (TAG "a \"tag\" \\") ...
            C: UNAUTHENTICATE
            S: NO ...
            C: PUTSCRIPT "a" {6+}
            C: LOGOUT
            C: NOOP
            S: NO ...
            S: OK ...
            C: CAPABILITY
            S: "IMPLEMENTATION" "Pointsman"
            S: ...
            S: OK ...
            """)
        self.assert_at_prompt(talk)

    def test_scripts_are_bytes(self):
        # Lines that look like commands, strings and the ends of literals; 8-bit ones; and more than half a MiB.
        script = '# "quoted \\" {5+}\r\n# LOGOUT\r\n# pässwörd {5}\r\n'.encode() + b"# x\r\n" * 120000 + b"keep;\r\n"
        for user in (ALICE, BOB):
            for kind in ("implicit", "starttls"):
                talk = self.dial(kind).secure()
                login = f'AUTHENTICATE "PLAIN" "{response(user, ACCOUNTS[user])}"\r\n'.encode()
                # Pipelined right behind the login.
                talk.send(login + b'PUTSCRIPT "odd" {%d+}\r\n%s\r\nGETSCRIPT "odd"\r\nDELETESCRIPT "odd"\r\n'
                          % (len(script), script))
                talk.script("S: OK ...\nS: OK ...")
                self.assertTrue(talk.line() == f'"{escaped(script.decode())}"', "another script came back")
                talk.script("S: OK ...\nS: OK ...")
                talk.logout()


class Names(Passwords, Case):
    client = ManageSieve

    def test_words_that_could_be_commands(self):
        # A user name is base64 in this protocol, and decoded it may hold anything.
        for name in ("alice\r\nLOGOUT", "alice\n", "a\0b", '"alice"', "", " a b"):
            with self.subTest(name):
                talk, since = self.dial(), self.old.logs.mark()
                self.assert_no(talk.authenticate(sasl.login(name, ACCOUNTS[ALICE])))
                self.assert_unseen(self.old, since, client=talk.source)
                self.assert_at_prompt(talk)


class Starttls(Case):
    """Nothing goes in the clear that must not, and nothing that came in the clear takes effect."""

    client = ManageSieve

    def test_injected_commands_take_no_effect(self):
        since = self.old.logs.mark()
        for injected in (LOGIN, 'NOOP "x"\r\n', "NO", "\r\n"):
            with self.subTest(injected):
                talk = self.dial("starttls")
                talk.send(b"STARTTLS\r\n" + injected.encode())
                # Perhaps our OK, and the end.
                self.assertRegex(talk.rest(), rb"^(OK[^\r]*\r\n)?(BYE[^\r]*\r\n)?$")
                self.assert_unseen(self.old, since, client=talk.source)

    def test_passwords_need_it(self):
        talk, since = self.dial("starttls"), self.old.logs.mark()
        words = parsed(talk.opening[1])
        self.assertIn("STARTTLS", words)
        self.assertEqual(words["SASL"].split(), CLEARTEXT_MECHANISMS)
        for mechanism in ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"):
            # Refused at once: the secret is not even asked for.
            self.assertRegex(talk.command(f'AUTHENTICATE "{mechanism}"')[0], r"^NO \(ENCRYPT-NEEDED\)")
        self.assertRegex(talk.command(LOGIN.rstrip())[0], r"^NO \(ENCRYPT-NEEDED\)")
        self.assert_unseen(self.old, since, client=talk.source)
        talk.starttls()
        words = parsed(talk.opening[1])
        self.assertIn("PLAIN", words["SASL"].split())
        self.assertNotIn("STARTTLS", words)
        self.assertEqual(words, talk.capabilities())
        self.assert_no(talk.command("STARTTLS")[0])
        self.assert_at_prompt(talk)

    def test_a_listener_without_tls(self):
        talk = self.dial("plain")
        self.assertNotIn("STARTTLS", parsed(talk.opening[1]))
        self.assert_no(talk.command("STARTTLS")[0])
        self.assertRegex(talk.command(LOGIN.rstrip())[0], r"^NO \(ENCRYPT-NEEDED\)")
        # SCRAM shows nobody the password: it needs no encryption.
        self.assert_ok(talk.authenticate(sasl.ScramSha256(ALICE, ACCOUNTS[ALICE])))
        self.assert_at(talk, "old")
