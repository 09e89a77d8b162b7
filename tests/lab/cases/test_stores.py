"""Mappings in Redis, PostgreSQL, MariaDB and SQLite: where logins go, what the API writes, what an outage does."""

import threading
import time

from lab import stores, toml
from lab.configuration import NEW, OLD
from lab.layout import ACCOUNTS, address
from lab.waiting import until

from . import base
from .api import Managed

ALICE, BOB, CAROL, MOVER = (address(name) for name in ("alice", "bob", "carol", "mover"))
# As the configuration of the lab has them.
MASTER_SEPARATORS = ("*", "%")
SECRETS = ("redis-secret", "postgres-secret", "mariadb-secret")


class Stored(Managed):
    """`server`: the store of this class's tests, started once."""

    kind, servers = None, {}

    @property
    def server(self):
        if self.kind not in Stored.servers:
            server = Stored.servers[self.kind] = self.kind(self.lab, 70 + len(Stored.servers))
            base.at_end(server.stop)
            base.SECRETS.update(secret.encode() for secret in SECRETS)
            for account, destination in ((ALICE, OLD), (BOB, NEW)):
                server.set(account, destination)
        return Stored.servers[self.kind]

    def stored_proxy(self, name, host_number, change=None, **settings):
        def apply(document):
            document["mapping"] = {"normalize": "lowercase", "lookup_timeout": "2s", **self.server.mapping(), **settings}
            document["limits"] = {"auth_delay_max": "0s"}
            if change:
                change(document)
        return self.managed_proxy(f"{name}-{self.kind.name}", host_number, apply)

    def where(self, account, proxy):
        talk = self.dial(proxy=proxy)
        self.assert_ok(talk.login(account, ACCOUNTS[account]))
        subject = talk.subjects()[0]
        talk.logout()
        return subject.removeprefix("I am ")


class Any:
    """For every store."""

    def test_logins_go_where_it_says(self):
        proxy = self.stored_proxy("stored", 90)
        self.assertEqual([self.where(account, proxy) for account in (ALICE, BOB, CAROL)], ["old", "new", "old"])

    def test_the_api_writes_lists_and_removes(self):
        proxy = self.stored_proxy("written", 91)
        self.server.remove(MOVER)
        self.assertEqual(self.where(MOVER, proxy), "old")
        for destination, side in ((NEW, "new"), (OLD, "old"), (NEW, "new")):
            self.api(proxy, "PUT", "/mappings", identifier=MOVER.upper(), destination=destination)
            self.assertEqual(self.server.get(MOVER), destination)
            self.assertEqual(self.where(MOVER, proxy), side)
        listed = {it["identifier"]: it["destination"] for it in self.api(proxy, "GET", "/mappings")["mappings"]}
        self.assertLessEqual({ALICE: OLD, BOB: NEW, MOVER: NEW}.items(), listed.items())
        self.assertTrue(self.api(proxy, "DELETE", "/mappings", identifier=MOVER)["removed"])
        self.assertIsNone(self.server.get(MOVER))
        self.assertEqual(self.where(MOVER, proxy), "old")

    def test_a_change_made_past_us_is_seen_when_the_answer_ends(self):
        proxy = self.stored_proxy("short", 92, positive_ttl="1s", negative_ttl="1s")
        self.server.set(MOVER, OLD)
        self.assertEqual(self.where(MOVER, proxy), "old")
        self.server.set(MOVER, NEW)
        until(lambda: self.where(MOVER, proxy) == "new", "the change is never seen")

    def test_names_that_could_be_more_than_names(self):
        proxy = self.stored_proxy("hostile", 93)
        before = self.server.get(BOB)
        for name in ("x' OR '1'='1", "x'; DROP TABLE routes; --", "*", "route:*", "%", "_", "\\", "x\\'--",
                     "$1", "?", "b*b@example.org", "{bob}@example.org", "ROUTE:bob@example.org"):
            with self.subTest(name):
                talk = self.dial(proxy=proxy)
                # Whoever that is, nobody's entry is his.
                self.assert_no(talk.login(name.replace(" ", "_"), b"x"))
                if name in MASTER_SEPARATORS:
                    # A login of that name has a master user and no account.
                    with self.assertRaisesRegex(AssertionError, "the account name is empty"):
                        self.api(proxy, "GET", "/mappings", identifier=name)
                else:
                    answer = self.api(proxy, "GET", "/mappings", identifier=name.replace(" ", "_"))
                    self.assertTrue(answer["routed_to_default"], answer)
                self.api(proxy, "PUT", "/mappings", identifier=name.replace(" ", "_"), destination=NEW)
                self.api(proxy, "DELETE", "/mappings", identifier=name.replace(" ", "_"))
        self.assertEqual(self.server.get(BOB), before)
        self.assertEqual(self.where(BOB, proxy), "new")


class Fails:
    """For those that can be stopped."""

    def test_an_outage_under_a_stream_of_logins(self):
        """No login fails; an account whose answer has ended still goes where it was; counters tell."""
        proxy = self.stored_proxy("outage", 94, positive_ttl="1s", negative_ttl="1s", lookup_timeout="1s")
        self.assertEqual(self.where(BOB, proxy), "new")
        sides, failures, is_over = [], [], threading.Event()

        def stream():
            while not is_over.is_set():
                try:
                    sides.append(self.where(BOB, proxy))
                except AssertionError as failure:
                    failures.append(failure)
        streams = [threading.Thread(target=stream) for _ in range(2)]
        for thread in streams:
            thread.start()
        try:
            self.server.stop()
            until(lambda: self.api(proxy, "GET", "/stats")["store_errors"] > 0, "no lookup met the outage")
            count = len(sides)
            until(lambda: len(sides) > count + 6, "no login goes through while the store is down", limit=20)
        finally:
            self.server.start()
            is_over.set()
            for thread in streams:
                thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(set(sides), {"new"})
        self.server.set(MOVER, NEW)
        until(lambda: self.where(MOVER, proxy) == "new", "the store is back, and is not asked", limit=20)

    def test_a_start_without_it_is_refused(self):
        self.server.stop()
        self.addCleanup(self.server.start)
        with self.assertRaisesRegex(RuntimeError, "(?s)mapping"):
            self.stored_proxy("unanswered", 95, lookup_timeout="1s")


class Shared:
    """For those with a channel: two proxies."""

    def pair(self, number):
        one, other = (self.stored_proxy(f"node{number + index}", number + index, self.named(f"node-{index}")) for index in range(2))
        for proxy in (one, other):
            until(lambda proxy=proxy: len(self.api(proxy, "GET", "/stats")["nodes"]) == 2, lambda: f"the proxies do not hear each other\n{one.tail()}")
        return one, other

    def named(self, node):
        def change(document):
            document["cluster"] = {"node": node}
            document["admin"]["bearer_token"] = "a-token-that-all-proxies-share-1234567890"
        return change

    def test_what_one_does_the_other_does_too(self):
        self.server.set(MOVER, OLD)
        one, other = self.pair(96)
        self.assertEqual([self.where(MOVER, proxy) for proxy in (one, other)], ["old", "old"])
        talk = self.dial(proxy=other)
        self.assert_ok(talk.login(MOVER, ACCOUNTS[MOVER]))
        began = time.monotonic()
        self.api(one, "PUT", "/mappings", identifier=MOVER, destination=NEW)
        # The answer comes when the other has done it too: nothing is waited for here.
        took = time.monotonic() - began
        self.assertEqual(self.where(MOVER, other), "new")
        print(f"    ({self.kind.name}: a change reached the other proxy, and its answer this one, within {took * 1000:.0f} ms)")
        self.api(one, "POST", "/connections/kick", identifier=MOVER)
        self.assertRegex(talk.rest(), rb"\* BYE")
        self.api(one, "DELETE", "/mappings", identifier=MOVER)
        self.assertEqual(self.where(MOVER, other), "old")

    def test_a_reload_with_another_token_goes_on_hearing_the_others(self):
        """The token is changed by a restart alone, and so is what messages are signed with."""
        self.server.set(MOVER, OLD)
        one, other = self.pair(102)
        self.assertEqual([self.where(MOVER, proxy) for proxy in (one, other)], ["old", "old"])
        began_with = dict(one.document["admin"])
        one.document["admin"]["bearer_token"] = base.secret("another-token-for-the-next-start-1234567890").decode()
        one.config_path.write_text(toml.dump(one.document))
        one.document["admin"] = began_with
        self.assertIn("admin.bearer_token", self.api(one, "POST", "/config/reload")["restart_required"])
        for told, hears, destination, side in ((one, other, NEW, "new"), (other, one, OLD, "old")):
            self.api(told, "PUT", "/mappings", identifier=MOVER, destination=destination)
            self.assertEqual(self.where(MOVER, hears), side)
        self.assertEqual([self.api(proxy, "GET", "/stats")["channel"]["forged"] for proxy in (one, other)], [0, 0])

    def test_after_a_cut_it_catches_up(self):
        self.server.set(MOVER, OLD)
        one, other = self.pair(98)
        self.assertEqual([self.where(MOVER, proxy) for proxy in (one, other)], ["old", "old"])
        self.server.stop()
        self.server.start()
        self.server.set(MOVER, NEW)
        for proxy in (one, other):
            # Long before its cached answer ends: what was said meanwhile is not known, so everything is asked anew.
            until(lambda proxy=proxy: self.where(MOVER, proxy) == "new", "a cut channel leaves an old answer in force", limit=20)


class OnRedis(Any, Fails, Shared, Stored):
    kind = stores.Redis

    def test_a_forged_event_is_ignored_and_counted(self):
        one, _ = self.pair(100)
        self.api(one, "GET", "/stats")
        talk = self.dial(proxy=one)
        self.assert_ok(talk.login(ALICE, ACCOUNTS[ALICE]))
        for forged in ("kick everybody", '{"event":"kick"}', "x" * 100_000):
            self.server.cli("PUBLISH", "pointsman", forged)
        until(lambda: self.api(one, "GET", "/stats")["channel"]["forged"] >= 3, "forged messages are not counted")
        self.assert_at(talk, "old")


class OnPostgreSql(Any, Fails, Shared, Stored):
    kind = stores.PostgreSql


class OnMariaDb(Any, Fails, Stored):
    kind = stores.MariaDb


class OnSqlite(Any, Stored):
    kind = stores.Sqlite
