"""Reloads under load: 500 sessions stream and 50 logins a second arrive while the configuration changes under them."""

import hashlib
import json
import time
import urllib.error

from clients import sasl
from clients.addresses import fresh
from clients.arrivals import Arrivals
from clients.http1 import Http
from clients.http2 import Http2
from clients.imap import Imap
from clients.streams import Job, Streams
from lab import toml
from lab.configuration import destination
from lab.endpoint import Endpoint
from lab.layout import ACCOUNTS, DOMAIN, READERS, SIDES, address
from lab.waiting import until
from lab.web.recorder import Recorder

from .api import Managed, fetch
from .test_imap_load import big_message

SESSIONS, RATE, ROUNDS = 500, 50, 6
# Logins that end between two steps of the test, so that whole logins meet what a step did.
BETWEEN = 40
# By how many seconds a login may begin later than it is due.
MOST_LATE = 10
# Clients that are connected before a reload and log in behind it.
WAITING = 10
HTTP_PORT, WEB_PORT = 10450, 18444
MAILBOX, MESSAGE = "Streamed", 100 * 1024
CAPABILITIES = ["IMAP4rev1", "SASL-IR", "LITERAL+", "ID"]
MECHANISMS = (["PLAIN", "SCRAM-SHA-256"], ["PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER"])
# Who is mapped to the destination of the round, who is there by default, and who is mapped to one that stays.
MAPPED, BY_DEFAULT = ([address(f"reader{number}") for number in range(first, READERS, 4)] for first in (0, 2))
MOVING = MAPPED + BY_DEFAULT
STAYING = [address(f"reader{number}") for number in range(1, READERS, 2)]
# A login that comes to a destination which no round touches.
STAYED = "stayed"
# What is wrong with the broken file, and must be told of all at once.
PROBLEMS = {"routing.default_destination", "routing.default_destinaton", "colour", "server.shutdown_grace",
            "destination.stays.protocol.imap.port", "tls.certificate.mail.cert", "http.route"}


def home(number):
    """The destination of a round, which the next one removes."""
    return f"home-{number}"


def side_of(number):
    return SIDES[number % 2]


class UnderLoad(Managed):
    def test_nobody_is_lost_and_everything_takes_effect(self):
        self.begin()
        streams = Streams(self.jobs())
        self.addCleanup(streams.kill)
        arrivals = Arrivals(RATE, self.log_in)
        self.addCleanup(arrivals.stop)
        self.kept = [self.web(Http), self.web(Http2)]
        self.pass_by(arrivals)
        self.assert_in_force()
        for _ in range(ROUNDS):
            before = streams.tell()
            self.refuse()
            self.pass_by(arrivals)
            self.assert_in_force()
            self.change()
            self.pass_by(arrivals)
            self.assert_in_force()
            self.assertEqual(self.on_removed() - self.left, set(), "sessions began on a destination that was gone")
            self.assert_streaming(before, streams.tell())
        made, told = arrivals.stop(), streams.end()
        self.assert_arrived(made)
        self.assertEqual([it.fault for it in told if it.fault], [])
        self.report(told, made)

    def report(self, told, made):
        took = sorted(arrival.took for arrival in made)
        reloads = [answered - asked for asked, answered in self.times[1:]]
        print(f"    ({len(told)} sessions read {sum(it.octets for it in told) >> 20} MiB and waited "
              f"{max(it.silence for it in told):.1f} s at most; {len(made)} logins took {took[len(took) // 2] * 1000:.0f} ms, "
              f"{took[-1] * 1000:.0f} at most; {len(reloads)} reloads, {max(reloads) * 1000:.0f} ms at most: nobody lost)")

    # What is in force.

    def begin(self):
        for side in self.lab.sides.values():
            self.addCleanup(Recorder(side.name, side.host, HTTP_PORT, side.pair).stop)
        # When each round's reload was asked for, and when it was answered.
        self.number, self.left, self.times = 0, set(), [(0.0, 0.0)]
        self.reloaded = self.managed_proxy("reload", 40, self.first, self.table())
        self.pair = self.reloaded.pairs["mail"]

    def first(self, document):
        host = document["listener"]["imap-implicit"]["bind"][0].partition(":")[0]
        # A machine that is busy with other things is no server that is gone.
        document["server"]["backend_timeout"] = "30s"
        document["listener"] = {"imap-implicit": document["listener"]["imap-implicit"],
                                "web": {"protocol": "http", "bind": [f"{host}:{WEB_PORT}"], "tls": "implicit"}}
        document["destination"] = {"stays": self.way(self.new)}
        document["capabilities"] = {}
        self.set(document, 0)

    def set(self, document, number):
        """What each round has of its own."""
        here = home(number)
        document["destination"].pop(home(number - 1), None)
        document["destination"][here] = self.way(self.lab.sides[side_of(number)])
        document["routing"]["default_destination"] = here
        document["http"] = {"route": [{"match": "/mine", "extract": {"from": "query", "param": "account"}},
                                      {"match": "/**", "destination": here}]}
        document["capabilities"]["imap"] = {
            "banner": f"round {number}", "sasl": MECHANISMS[number % 2], "advertise": [*CAPABILITIES, f"X-ROUND-{number}"]}

    def way(self, side):
        way = destination(side, "implicit", "none")
        return way | {"protocol": {"imap": way["protocol"]["imap"], "http": {"port": HTTP_PORT, "tls": "implicit"}}}

    def table(self):
        return dict.fromkeys(STAYING, "stays") | dict.fromkeys(MAPPED, home(self.number))

    def assert_in_force(self):
        """The certificate, the capabilities, the routes, the destinations, as clients see them who come now."""
        talk = self.dial(proxy=self.reloaded)
        self.assertEqual(talk.certificate(), self.pair.fingerprint())
        self.assertIn(f"round {self.number}", talk.greeting)
        mechanisms = {f"AUTH={name}" for name in MECHANISMS[self.number % 2]}
        self.assertEqual(set(talk.capabilities()), {*CAPABILITIES, f"X-ROUND-{self.number}", *mechanisms})
        self.assert_at_prompt(talk, "reader0", side_of(self.number))
        with self.web(Http) as new:
            self.assertEqual(new.certificate(), self.pair.fingerprint())
            # HTTP asks for its way with each request, so those who have been there for long have to see it as well.
            for client in (new, *self.kept):
                for target in ("/", f"/mine?account={MAPPED[0]}", f"/mine?account={BY_DEFAULT[0]}"):
                    answer = client.get(target)
                    what = f"{type(client).__name__} {target}"
                    self.assertEqual((answer.status, answer.side), (200, side_of(self.number)), what)

    # Reloads.

    def reload(self):
        """(status, document)"""
        token = {"Authorization": f"Bearer {self.reloaded.document['admin']['bearer_token']}"}
        try:
            return 200, json.loads(fetch(self.reloaded, "/config/reload", "POST", token))
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.loads(refusal.read())

    def refuse(self):
        """A broken file, then a file that could be had next with a broken mapping: either is told whole."""
        path, good = self.reloaded.config_path, self.reloaded.document
        broken, next_one = (json.loads(json.dumps(good, default=str)) for _ in range(2))
        broken["routing"]["default_destinaton"] = broken["routing"].pop("default_destination")
        broken["colour"] = {}
        broken["server"]["shutdown_grace"] = "soon"
        broken["destination"]["stays"]["protocol"]["imap"]["port"] = 123456
        broken["tls"]["certificate"]["mail"]["cert"] = "/nowhere/mail.pem"
        broken["http"]["route"][0]["destination"] = "nowhere"
        path.write_text(toml.dump(broken))
        status, problem = self.reload()
        self.assertEqual(status, 422)
        keys = [remark["key"] for remark in problem["problems"]]
        self.assertEqual({found for found in PROBLEMS for key in keys if key.startswith(found)}, PROBLEMS, keys)
        self.set(next_one, self.number + 1)
        path.write_text(toml.dump(next_one))
        self.reloaded.write_mapping_text("".join(f"{account} nowhere\n" for account in MAPPED))
        status, problem = self.reload()
        # Behind the comment that the file begins with.
        self.assertEqual((status, [remark["line"] for remark in problem["problems"]]), (422, list(range(2, 2 + len(MAPPED)))))
        path.write_text(toml.dump(good))
        self.reloaded.write_mapping()

    def change(self):
        """Another certificate, destination, default, mapping, capabilities and routes, by one reload."""
        waiting = [self.dial(proxy=self.reloaded) for _ in range(WAITING)]
        self.number += 1
        self.pair = self.reloaded.authority.issue(f"mail-{self.number}", [f"mail.{DOMAIN}"], [self.reloaded.host])
        document = self.reloaded.document
        document["tls"]["certificate"]["mail"] |= {"cert": self.pair.cert, "key": self.pair.key}
        self.set(document, self.number)
        self.reloaded.config_path.write_text(toml.dump(document))
        self.reloaded.table = self.table()
        self.reloaded.write_mapping()
        asked = time.monotonic()
        status, answer = self.reload()
        self.times.append((asked, time.monotonic()))
        self.assertEqual((status, answer.get("restart_required")), (200, []), answer)
        self.left = self.on_removed()
        for talk, account in zip(waiting, MOVING):
            self.assert_ok(talk.login(account, ACCOUNTS[account]))
            self.assert_at(talk, side_of(self.number))
            talk.close()

    def on_removed(self):
        """Sessions whose destination is in the configuration no longer."""
        listed = self.api(self.reloaded, "GET", "/connections", limit=10000)["connections"]
        return {one["id"] for one in listed if one["destination"] not in ("stays", home(self.number))}

    # The load.

    def jobs(self):
        """Sessions of which half are on a destination that the first reload removes."""
        accounts, jobs, message = [*MOVING, *STAYING], [], big_message(MESSAGE)
        for account in accounts:
            with (self.new if account in STAYING else self.old).imaplib(account) as box:
                box.create(MAILBOX)
                box.append(MAILBOX, None, None, self.message_of(account, message))
        for number in range(SESSIONS):
            account = accounts[number % READERS]
            digest = hashlib.sha256(self.message_of(account, message)).hexdigest()
            jobs.append(Job(self.reloaded.endpoint(), fresh(), account, ACCOUNTS[account], MAILBOX, MESSAGE, digest))
        return jobs

    def message_of(self, account, message):
        """Another one for each account, of the same size."""
        head = f"X-Reader: {account}\r\n".encode()
        return head + message[:MESSAGE - len(head) - 2] + b"\r\n"

    def log_in(self, number):
        """The side that a login comes to, whose account is where the round leads, by default or by mapping. Some are of
        those who stay: these by SCRAM, which cannot be had a second time, so that no reload may ask for one."""
        stays = number % 5 == 0
        account = STAYING[number // 5 % len(STAYING)] if stays else MOVING[number % len(MOVING)]
        with Imap(self.reloaded.endpoint(), fresh()) as talk:
            password = ACCOUNTS[account]
            self.assert_ok(talk.authenticate(sasl.ScramSha256(account, password)) if stays else talk.login(account, password))
            side = talk.side()
            talk.logout()
        if stays:
            self.assertEqual(side, self.new.name)
        return STAYED if stays else side

    def web(self, client):
        endpoint = Endpoint(self.reloaded.host, WEB_PORT, True, self.pair.ca, f"mail.{DOMAIN}")
        return self.dial_endpoint(endpoint, client)

    def pass_by(self, arrivals):
        target = arrivals.ended() + BETWEEN
        until(lambda: arrivals.ended() >= target, "logins do not come to their end", limit=30)

    def assert_streaming(self, before, now):
        """Each of the sessions goes on, wherever it is."""
        self.assertEqual([it.fault for it in now if it.fault], [])
        self.assertEqual(sum(later.octets > sooner.octets for sooner, later in zip(before, now)), SESSIONS)
        self.assertGreaterEqual(len(self.left), SESSIONS // 2, "those of the first destination are there")

    def assert_arrived(self, made):
        """Every login went through, to a side that was in force at some moment of it."""
        self.assertEqual([arrival.fault for arrival in made if arrival.fault], [])
        lateness = max(arrival.began - arrival.due for arrival in made)
        self.assertLess(lateness, MOST_LATE, f"not {RATE} logins a second: nothing is proven")
        ends = [answered for _, answered in self.times[1:]] + [float("inf")]
        for arrival in made:
            sides = {side_of(number) for number, ((asked, _), end) in enumerate(zip(self.times, ends))
                     if asked <= arrival.ended and arrival.began <= end}
            self.assertIn(arrival.result, {STAYED, *sides})
