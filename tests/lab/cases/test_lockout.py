"""Nobody can keep the owner of an account from logging in: not with logins that never end, and not by guessing."""

import time
from concurrent.futures import ThreadPoolExecutor

from clients import sasl
from clients.addresses import fresh
from lab.layout import ACCOUNTS, MASTER, address
from lab.waiting import until

from .api import Managed
from .base import secret

ALICE = address("alice")
# More than `limits.logins_in_flight_per_account`, whose default these tests use.
UNFINISHED, GUESSING, OWN = 16, 120, 12


def defaults(document):
    document["limits"] = {"auth_delay_max": "15s"}


class Owner(Managed):
    def start(self, host_number):
        self.guarded = self.managed_proxy(f"lockout-{host_number}", host_number, defaults)

    def test_unfinished_exchanges_of_another_address(self):
        self.start(55)
        stranger = fresh()
        talks = [self.dial(proxy=self.guarded, source=stranger) for _ in range(UNFINISHED)]
        began = time.monotonic()
        for talk in talks[:8]:
            self.begin_exchange(talk)
            self.assertRegex(talk.line(), r"^\+ .")
        for talk in talks[8:]:
            self.begin_exchange(talk)
        self.assert_owner_logs_in()
        # A client that does not answer is charged for it: its time is bounded, and the login is a failed one.
        for talk in talks[:8]:
            self.assertRegex(talk.rest(), rb"^\* BYE ")
        # Ten seconds for its answers, then the delay of the throttle.
        self.assertLess(time.monotonic() - began, 10 + 15 + 4)
        failures = f'login failed: protocol=imap client={stranger} account="{ALICE}" reason=rejected'
        until(lambda: self.guarded.log().count(failures) >= 8, "unfinished exchanges were not logged as failed logins")

    def test_a_client_that_hangs_up_after_its_token_was_rejected_has_failed(self):
        self.start(56)
        stranger = fresh()
        talk = self.dial(proxy=self.guarded, source=stranger)
        self.begin_exchange(talk)
        self.assertRegex(talk.line(), r"^\+ .")
        talk.close()
        failure = f'login failed: protocol=imap client={stranger} account="{ALICE}" reason=rejected'
        until(lambda: failure in self.guarded.log(), "the guess was not logged as a failed login")

    def test_slow_guesses_of_another_address(self):
        self.start(57)
        stranger, guess = fresh(), secret("guess-of-a-stranger")
        talks = [self.dial(proxy=self.guarded, source=stranger) for _ in range(GUESSING)]
        for talk in talks:
            talk.say(f'g LOGIN {ALICE} {guess.decode()}')
        self.assert_owner_logs_in(32)

    def test_own_logins_during_a_delay(self):
        self.start(229)
        source = fresh()
        talks = [self.dial(proxy=self.guarded, source=source) for _ in range(OWN)]
        self.api(self.guarded, "POST", "/connections/delay", identifier=ALICE, seconds=2)
        with ThreadPoolExecutor(OWN) as pool:
            began = time.monotonic()
            for done in pool.map(lambda talk: talk.login(ALICE, ACCOUNTS[ALICE]), talks):
                self.assert_ok(done)
        self.assertGreater(time.monotonic() - began, 1)

    def begin_exchange(self, talk):
        token = sasl.xoauth2(ALICE, secret("unfinished-token").decode())
        talk.say(f"x AUTHENTICATE XOAUTH2 {sasl.encode(token.first)}")

    def assert_owner_logs_in(self, count=OWN):
        """Every one of the owner's logins, each from an address of its own, succeeds and does not wait for the others."""
        for _ in range(count):
            talk, began = self.dial(proxy=self.guarded), time.monotonic()
            self.assert_ok(talk.login(ALICE, ACCOUNTS[ALICE]))
            self.assertLess(time.monotonic() - began, 5)


class Spellings(Managed):
    def test_another_spelling_does_not_reset_the_throttle(self):
        def change(document):
            defaults(document)
            del document["mapping"]["normalize"]
        proxy, guess = self.managed_proxy("spellings", 59, change), secret("guess-in-many-spellings")
        # Each by an authorization identity, a mailbox of the master user, or a case of its own, and from its own address.
        for user, authzid in ((MASTER, ALICE), (MASTER.upper(), address("bob")), (f"{ALICE}*{MASTER}", ""),
                              (f"{address('bob')}*{MASTER.title()}", "")):
            self.assert_no(self.dial(proxy=proxy).authenticate(sasl.plain(user, guess, authzid=authzid)))
        talk, began = self.dial(proxy=proxy), time.monotonic()
        self.assert_no(talk.authenticate(sasl.plain(MASTER, guess, authzid=address("carol"))))
        # Two failures are free, then the answer waits for 1, 2 and 4 seconds.
        self.assertGreater(time.monotonic() - began, 4)
