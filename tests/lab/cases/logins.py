"""What a login is in every text protocol with SASL; a protocol's own file has what only it has.

The classes go in front of `Case`. `refusal` and `unavailable` are how the protocol's answers begin.
"""

from clients import sasl
from lab import tokens
from lab.layout import ACCOUNTS, MASTER, MASTER_PASSWORD, ODD_PASSWORDS, address

from .base import secret

ALICE, BOB = address("alice"), address("bob")


class Refusals:
    """A refused login leaves the client at our prompt."""

    refusal, unavailable = "", ""

    def test_by_every_mechanism_then_another(self):
        for user, other, side in ((ALICE, BOB, "new"), (BOB, ALICE, "old")):
            for wrong in (sasl.plain(user, self.wrong("plain")), sasl.login(user, self.wrong("login")),
                          sasl.ScramSha1(user, self.wrong("sha1")), sasl.ScramSha256(user, self.wrong("sha256")),
                          sasl.xoauth2(user, self.wrong("xoauth2").decode()),
                          sasl.oauthbearer(user, self.wrong("oauthbearer").decode())):
                with self.subTest(wrong.name, user=user):
                    talk = self.dial()
                    self.assertRegex(talk.authenticate(wrong), self.refusal)
                    self.assert_ok(talk.authenticate(sasl.ScramSha256(other, ACCOUNTS[other])))
                    self.assert_at(talk, side)

    def test_unavailable_is_not_a_failed_login(self):
        for name in ("down", "unproven", "plainless"):
            with self.subTest(name):
                since, talk = self.old.logs.mark(), self.dial()
                # More often than failures are allowed: none of these is one.
                for _ in range(4):
                    self.assertRegex(talk.login(address(name), ACCOUNTS[address(name)]), self.unavailable)
                self.assert_unseen(self.old, since, user=address(name))
                self.assert_at_prompt(talk, "bob", "new")

    def wrong(self, what):
        return secret(f"wrong-{self.client.protocol}-{what}")


class Initials:
    def test_without_an_initial_response(self):
        for user, side in ((ALICE, "old"), (BOB, "new")):
            for mechanism in (sasl.plain(user, ACCOUNTS[user]), sasl.login_with_name(user, ACCOUNTS[user]),
                              sasl.ScramSha1(user, ACCOUNTS[user]), sasl.ScramSha256(user, ACCOUNTS[user]),
                              sasl.xoauth2(user, tokens.long(user)), sasl.oauthbearer(user, tokens.long(user))):
                with self.subTest(mechanism.name, side=side):
                    talk = self.dial()
                    self.assert_ok(talk.authenticate(mechanism, is_initial=False))
                    self.assert_at(talk, side)


class Passwords:
    def test_odd_passwords(self):
        for name, password in ODD_PASSWORDS.items():
            user = address(name)
            with self.subTest(name):
                self.assert_ok(self.dial().login(user, password))
                self.assert_ok(self.dial().authenticate(sasl.plain(user, password)))
                self.assert_ok(self.dial().authenticate(sasl.login(user, password)))
                self.assert_no(self.dial().login(user, secret(password + b" ")))

    def test_a_master_user_opens_the_account_where_it_is(self):
        for account, side in ((ALICE, "old"), (BOB, "new")):
            talk = self.dial()
            self.assert_ok(talk.login(f"{account}*{MASTER}", MASTER_PASSWORD.encode()))
            self.assert_at(talk, side)
            for mechanism in (sasl.plain(f"{account}*{MASTER}", MASTER_PASSWORD.encode()),
                              sasl.plain(MASTER, MASTER_PASSWORD.encode(), authzid=account)):
                talk = self.dial()
                self.assert_ok(talk.authenticate(mechanism))
                self.assert_at(talk, side)
