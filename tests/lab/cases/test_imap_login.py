"""The login as clients write it: refused and again, pipelined, in pieces, in literals, cancelled, undecodable."""

import base64

from clients import sasl
from lab.layout import ACCOUNTS, ODD_PASSWORDS, address

from .base import Case, secret

ALICE, BOB = address("alice"), address("bob")
NAMES = {"user": ALICE, "password": ACCOUNTS[ALICE].decode()}
PLAIN = base64.b64encode(f"\0{ALICE}\0{NAMES['password']}".encode()).decode()

# A login is answered, and what stood behind it in the same segment is.
LOGIN_SELECT_FETCH = """
    C: a LOGIN $user $password
    C: b SELECT INBOX
    C: c FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])
    S: ...
    S: a OK ...
    S: ...
    S: b OK ...
    S: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {...}
    S: Subject: I am $side
    S: 
    S: )
    S: c OK ...
    C: d LOGOUT
    S: * BYE ...
    S: d OK ...
    END
    """


class Refused(Case):
    """A refused login leaves the client at our prompt."""

    def test_then_the_same_account(self):
        talk = self.dial()
        self.assert_no(talk.login(ALICE, secret("wrong-password-1")))
        self.assert_at_prompt(talk)

    def test_then_another_account_on_the_other_server(self):
        for kind in ("implicit", "starttls"):
            talk = self.dial(kind).secure()
            self.assert_no(talk.login(ALICE, secret("wrong-password-2")))
            self.assertIn("AUTH=PLAIN", talk.capabilities())
            self.assert_ok(talk.login(BOB, ACCOUNTS[BOB]))
            self.assert_at(talk, "new")
            self.new.logs.wait(client=talk.source, what="Login", user=BOB)

    def test_by_every_mechanism_then_another(self):
        for wrong in (sasl.plain(ALICE, secret("wrong-password-3")), sasl.login(ALICE, secret("wrong-password-4")),
                      sasl.ScramSha256(ALICE, secret("wrong-password-5")),
                      sasl.xoauth2(ALICE, secret("wrong-token-1").decode()),
                      sasl.oauthbearer(ALICE, secret("wrong-token-2").decode())):
            with self.subTest(wrong.name):
                talk = self.dial()
                self.assert_no(talk.authenticate(wrong))
                self.assert_ok(talk.authenticate(sasl.ScramSha256(BOB, ACCOUNTS[BOB])))
                self.assert_at(talk, "new")

    def test_three_times_ends_the_connection(self):
        talk = self.dial()
        for number in range(2):
            self.assert_no(talk.login(ALICE, secret(f"wrong-password-6{number}")))
        talk.script("""
            C: z LOGIN $user wrong-password-62
            S: z NO ...
            S: * BYE ...
            END
            """, user=ALICE)
        secret("wrong-password-62")

    def test_what_was_pipelined_behind_it_is_not_lost(self):
        self.dial().script("""
            C: a LOGIN $user wrong-password-7
            C: b NOOP
            C: c LOGIN $user $password
            C: d NOOP
            S: a NO ...
            S: b OK ...
            S: ...
            S: c OK ...
            S: d OK ...
            """, **NAMES)
        secret("wrong-password-7")


class Pieces(Case):
    """However the bytes come, the login is the same."""

    def test_one_segment(self):
        self.dial().script(LOGIN_SELECT_FETCH, side="old", **NAMES)
        self.dial().script(LOGIN_SELECT_FETCH, side="new", user=BOB, password=ACCOUNTS[BOB].decode())

    def test_cut_in_two_at_every_byte(self):
        user, password = ALICE.encode(), ACCOUNTS[ALICE]
        login = b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\nb NOOP\r\n" % (len(user), user, len(password), password)
        for position in range(1, len(login)):
            with self.subTest(position=position), self.dial() as talk:
                talk.send_alone(login[:position])
                talk.send(login[position:])
                self.assert_ok(talk.reply("a")[0])
                self.assert_ok(talk.reply("b")[0])

    def test_byte_by_byte(self):
        talk = self.dial()
        for byte in f"a AUTHENTICATE PLAIN {PLAIN}\r\nb NOOP\r\n".encode():
            talk.send_alone(bytes([byte]))
        self.assert_ok(talk.reply("a")[0])
        self.assert_ok(talk.reply("b")[0])

    def test_bare_line_feeds(self):
        talk = self.dial()
        talk.send(f"a LOGIN {ALICE} {NAMES['password']}\n".encode())
        self.assert_ok(talk.reply("a")[0])

    def test_synchronising_literals(self):
        talk = self.dial()
        talk.script("""
            C: a LOGIN {$user_size}
            S: + ...
            C: $user {$password_size}
            S: + ...
            C: $password
            S: ...
            S: a OK ...
            """, user_size=len(ALICE), password_size=len(NAMES["password"]), **NAMES)
        self.assert_at(talk, "old")

    def test_quoted_strings_and_odd_tags(self):
        self.dial().script("""
            C: zz] NOOP
            S: zz] OK ...
            C: A.b-3 LOGIN "$user" "$password"
            S: ...
            S: A.b-3 OK ...
            """, **NAMES)


class Sasl(Case):
    """The AUTHENTICATE exchange."""

    def test_with_and_without_an_initial_response(self):
        for is_initial in (True, False):
            for mechanism in (sasl.plain(BOB, ACCOUNTS[BOB]), sasl.ScramSha256(BOB, ACCOUNTS[BOB])):
                with self.subTest(mechanism.name, is_initial=is_initial):
                    talk = self.dial()
                    self.assert_ok(talk.authenticate(mechanism, is_initial))
                    self.assert_at(talk, "new")

    def test_the_prompt_is_empty(self):
        self.dial().script("""
            C: a AUTHENTICATE PLAIN
            S: + 
            C: $response
            S: ...
            S: a OK ...
            """, response=PLAIN)

    def test_cancelled_more_often_than_failures_are_allowed(self):
        talk = self.dial()
        for mechanism in ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "PLAIN"):
            talk.script("C: a AUTHENTICATE $mechanism\nS: + ...\nC: *\nS: a BAD ...", mechanism=mechanism)
        talk.script("C: a AUTHENTICATE LOGIN\nS: + ...\nC: $user\nS: + ...\nC: *\nS: a BAD ...",
                    user=base64.b64encode(ALICE.encode()).decode())
        self.assert_at_prompt(talk)

    def test_cancelled_in_the_middle_of_a_relayed_exchange(self):
        talk, scram = self.dial(), sasl.ScramSha256(ALICE, ACCOUNTS[ALICE])
        talk.script("C: a AUTHENTICATE SCRAM-SHA-256 $first\nS: + ...\nC: *\nS: a BAD ...", first=sasl.encode(scram.first))
        self.assert_at_prompt(talk, "bob", "new")

    def test_wrong_base64(self):
        talk = self.dial()
        for response in ("?", "AGFsaWNl!", "AGE", "AGE=AGE=", "AGF=", "A GE=", "=AGE", "===="):
            with self.subTest(response):
                talk.script("C: a AUTHENTICATE PLAIN\nS: + ...\nC: $response\nS: a BAD ...", response=response)
        talk.script("C: a AUTHENTICATE PLAIN !!!!\nS: a BAD ...")
        self.assert_at_prompt(talk)

    def test_unknown_mechanisms(self):
        talk = self.dial()
        for name in ("FROBNICATE", "GSSAPI", "SCRAM-SHA-256-PLUS", "CRAM-MD5"):
            self.assert_no(talk.command(f"AUTHENTICATE {name}")[0])
        self.assert_at_prompt(talk)


class Passwords(Case):
    """Passwords are bytes, and reach the backend as they are."""

    def test_odd_ones(self):
        for name, password in ODD_PASSWORDS.items():
            user = address(name)
            with self.subTest(name):
                self.assert_ok(self.dial().login(user, password))
                self.assert_ok(self.dial().authenticate(sasl.plain(user, password)))
                self.assert_ok(self.dial().authenticate(sasl.login(user, password)))
                self.assert_no(self.dial().login(user, secret(password + b" ")))
                self.assert_no(self.dial().login(user, b""))

    def test_quoted_ones(self):
        user, password = address("odd-quotes"), ODD_PASSWORDS["odd-quotes"].decode()
        quoted = password.replace("\\", "\\\\").replace('"', '\\"')
        self.assert_ok(self.dial().command(f'LOGIN "{user}" "{quoted}"')[0])
