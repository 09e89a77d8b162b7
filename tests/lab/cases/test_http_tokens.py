"""Tokens that say nothing of their owner: somebody who knows is asked, once, and the request follows the mapping."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from clients import sasl
from clients.addresses import fresh
from clients.http1 import bearer
from clients.imap import Imap
from lab import tokens
from lab.layout import PLAIN, address
from lab.waiting import until
from lab.web import configuration, layout
from lab.web.recorder import describe

from . import api, base
from .web import Web

ALICE, BOB, CAROL = (address(name) for name in ("alice", "bob", "carol"))
SECRET = base.secret("secret-of-the-introspection-client")


class Resolved(Web):
    """Asked in one way; each has its own way to count the questions."""

    def asking(self, ways, change=None, **settings):
        def apply(document):
            document["oauth"] = {"resolve": {"with": ways, "timeout": "2s", **settings}}
            if change:
                change(document)
        return self.web_proxy(apply)

    def provider(self, path):
        return f"http://{self.lab.block.provider}:{self.lab.block.provider_port}{path}"

    def introspecting(self, change=None, **settings):
        return self.asking(["introspection"], change, url=self.provider("/introspect"), client_id="pointsman",
                           client_secret=SECRET.decode(), **settings)

    def asked(self, token):
        return [path for path, asked in self.lab.provider.asked if asked == token]

    def assert_follows_the_mapping(self, proxy):
        for client in (self.http1(proxy=proxy), self.http2(proxy=proxy)):
            for shape in (tokens.opaque, tokens.sealed):
                sides = [self.side_of(client.get("/jmap/", bearer(shape(account)))) for account in (ALICE, BOB, CAROL)]
                self.assertEqual(sides, ["old", "new", "old"])
            self.assertEqual(self.side_of(client.get("/jmap/", bearer(tokens.expired(BOB)))), "old")

    def test_introspection(self):
        self.assert_follows_the_mapping(self.introspecting())

    def test_userinfo(self):
        self.assert_follows_the_mapping(self.asking(["userinfo"], url=self.provider("/userinfo")))

    def test_jmap(self):
        with self.backends.told["old"].answering(session), self.backends.untold["old"].answering(session):
            self.assert_follows_the_mapping(self.asking(["jmap"]))
            self.assert_follows_the_mapping(self.asking(["jmap"], destination="old-none"))

    def test_jmap_goes_to_no_other_host(self):
        """A redirect elsewhere would take the token there."""
        def elsewhere(exchange):
            if exchange.request.target == "/.well-known/jmap":
                return exchange.respond(307, b"", [("Location", f"https://{self.new.host}:{layout.port('recorder')}/jmap/session")])
            return describe(exchange)
        mark = self.backends.untold["new"].mark()
        with self.backends.untold["old"].answering(elsewhere):
            client = self.http1(proxy=self.asking(["jmap"], destination="old-none"))
            self.assertEqual(self.side_of(client.get("/jmap/", bearer(tokens.opaque(BOB)))), "old")
        self.assertEqual(self.backends.untold["new"].since(mark), [])

    def test_what_says_its_owner_is_not_asked_about(self):
        client, before = self.http1(proxy=self.introspecting()), len(self.lab.provider.asked)
        for shape in (tokens.footed, tokens.jwt, tokens.long):
            self.assertEqual(self.side_of(client.get("/x", bearer(shape(BOB)))), "new")
        self.assertEqual(len(self.lab.provider.asked), before)

    def test_one_question_for_many_requests(self):
        """One after the other, and all at once."""
        proxy = self.introspecting()
        for token, side in ((tokens.opaque(address("crowd1")), "new"), (tokens.expired(address("crowd1")), "old")):
            before = len(self.asked(token))
            with ThreadPoolExecutor(8) as pool:
                sides = list(pool.map(lambda _, token=token: self.side_of(self.http1(proxy=proxy).get("/x", bearer(token))), range(16)))
            self.assertEqual(set(sides), {side})
            client = self.http1(proxy=proxy)
            for _ in range(10):
                self.assertEqual(self.side_of(client.get("/x", bearer(token))), side)
            self.assertEqual(len(self.asked(token)) - before, 1)

    def test_an_answer_grows_old(self):
        for name, settings, lifetime in (("by our ttl", {"ttl": "1s"}, 3600), ("by the token's own end", {}, 1)):
            with self.subTest(name):
                self.lab.provider.lifetime = lifetime
                self.addCleanup(setattr, self.lab.provider, "lifetime", 3600)
                client, token = self.http1(proxy=self.introspecting(**settings)), tokens.opaque(address("crowd3"))
                before = len(self.asked(token))
                self.assertEqual(self.side_of(client.get("/x", bearer(token))), "new")
                until(lambda: client.get("/x", bearer(token)) and len(self.asked(token)) - before > 1, "the answer is kept for ever")

    def test_a_move_needs_no_new_question(self):
        proxy, token = self.introspecting(), tokens.opaque(address("mover"))
        client = self.http1(proxy=proxy)
        self.assertEqual(self.side_of(client.get("/x", bearer(token))), "old")
        before = len(self.asked(token))
        proxy.map(address("mover"), "new")
        until(lambda: self.side_of(client.get("/x", bearer(token))) == "new", "requests do not follow the mapping")
        self.assertEqual(len(self.asked(token)), before)

    def test_nobody_to_ask(self):
        """Down, silent or talking nonsense: the request goes to the fallback, and the log says why."""
        urls = {"down": f"http://{self.lab.block.host(99)}:1/introspect", "silent": self.provider("/silence"), "nonsense": self.provider("/nothing")}
        for name, url in urls.items():
            with self.subTest(name):
                proxy = self.asking(["introspection"], url=url, client_id="pointsman", client_secret=SECRET.decode(), timeout="500ms")
                client = self.http1(proxy=proxy)
                self.assertEqual(self.side_of(client.get("/x", bearer(tokens.opaque(BOB)))), "old")
                self.assertEqual(self.side_of(client.get("/x", bearer(tokens.footed(BOB)))), "new")
                until(lambda: re.search(r"(?i)WARN.*(introspection|resolve)", proxy.log()), "the failed query is not logged")

    def test_what_nobody_can_answer_is_counted(self):
        def with_metrics(document):
            host = document["listener"]["implicit"]["bind"][0].partition(":")[0]
            document["admin"] = {"bind": [f"{host}:{api.PORT}"], "tls": "implicit", "bearer_token": "x" * 32, "metrics_public": True}
        proxy = self.introspecting(with_metrics)
        client = self.http1(proxy=proxy)
        for _ in range(3):
            self.assertEqual(self.side_of(client.get("/x", bearer(tokens.opaque(BOB)))), "new")
        self.assertEqual(self.counters(proxy), (3, 2, 0))
        proxy = self.asking(["userinfo"], with_metrics, url=f"http://{self.lab.block.host(99)}:1/userinfo")
        self.assertEqual(self.side_of(self.http1(proxy=proxy).get("/x", bearer(tokens.opaque(BOB)))), "old")
        self.assertEqual(self.counters(proxy), (1, 0, 1))

    def counters(self, proxy):
        page = api.fetch(proxy, "/metrics").decode()
        return tuple(int(re.search(rf"(?m)^pointsman_opaque_{name}_total (\d+)$", page)[1])
                     for name in ("tokens", "tokens_remembered", "token_errors"))

    def test_the_next_in_the_list_is_asked(self):
        with self.backends.untold["old"].answering(session):
            proxy = self.asking(["userinfo", "jmap"], url=f"http://{self.lab.block.host(99)}:1/userinfo", destination="old-none")
            self.assertEqual(self.side_of(self.http1(proxy=proxy).get("/x", bearer(tokens.opaque(BOB)))), "new")

    def test_a_question_that_waits_holds_up_nobody_else(self):
        proxy = self.asking(["introspection"], url=self.provider("/silence"), client_id="a", client_secret="b", timeout="3s")
        waiting = threading.Thread(target=lambda: self.http1(proxy=proxy).get("/x", bearer(tokens.opaque(BOB))))
        waiting.start()
        client = self.http1(proxy=proxy)
        for _ in range(20):
            self.assertEqual(self.side_of(client.get("/x", bearer(tokens.footed(BOB)))), "new")
        self.assertTrue(waiting.is_alive(), "20 requests waited for a question of somebody else's")
        waiting.join()

    def test_made_up_tokens_of_one_address_are_asked_about_a_few_at_a_time(self):
        proxy = self.asking(["introspection"], url=self.provider("/silence"), client_id="a", client_secret="b", timeout="3s")
        made_up = [f"made-up-{number}" for number in range(40)]
        source, before = fresh(), len(self.asked(tokens.opaque(BOB)))
        with ThreadPoolExecutor(len(made_up)) as pool:
            answers = [pool.submit(lambda token=token: self.http1(proxy=proxy, source=source).get("/x", bearer(token)))
                       for token in made_up]
            until(lambda: len(self.asked_of(made_up)) >= 8, "the tokens are not asked about")
            # Another address does not wait for them.
            self.assertEqual(self.side_of(self.http1(proxy=proxy).get("/x", bearer(tokens.opaque(BOB)))), "old")
            self.assertEqual(len(self.asked(tokens.opaque(BOB))) - before, 1)
            self.assertLessEqual(len(self.asked_of(made_up)), 16, "eight at a time, for three seconds each")
            for answer in answers:
                self.assertEqual(self.side_of(answer.result()), "old")

    def asked_of(self, made_up):
        return [token for _, token in self.lab.provider.asked if token in made_up]

    def test_mail_too(self):
        """OAUTHBEARER without a user: the same tokens, the same answers."""
        def with_resolve(document):
            configuration.scenario(self.lab, "stalwart-upgrade", {"old": "old", "new": "new"})(document)
            document["oauth"] = {"resolve": {"with": ["introspection"], "url": self.provider("/introspect"), "client_id": "a", "client_secret": "b"}}
        proxy = base.start_proxy("resolving", 57, with_resolve, {BOB: "new"})
        self.addCleanup(proxy.stop)
        for account, side in ((ALICE, "old"), (BOB, "new")):
            talk = self.dial_endpoint(replace(self.endpoint(proxy=proxy), port=993 + PLAIN), Imap)
            # Dovecot 2.3 refuses a response without a name: what counts is that it was asked, on that side.
            self.assert_no(talk.authenticate(sasl.oauthbearer("", tokens.opaque(account))))
            self.lab.sides[side].logs.wait(client=talk.source)


def session(exchange):
    """A JMAP server's session resource (RFC 8620, 2), where the well-known path leads by a redirect."""
    if exchange.request.target == "/.well-known/jmap":
        return exchange.respond(307, b"", [("Location", "/jmap/session")])
    if exchange.request.target != "/jmap/session":
        return describe(exchange)
    known = tokens.KNOWN.get(exchange.request.get("authorization", "").removeprefix("Bearer "))
    if not known or not known.is_active:
        return exchange.respond(401)
    document = {"username": known.account, "accounts": {}, "primaryAccounts": {}, "capabilities": {}, "apiUrl": "/jmap/", "state": "0"}
    return exchange.respond(200, json.dumps(document).encode(), [("Content-Type", "application/json")])
