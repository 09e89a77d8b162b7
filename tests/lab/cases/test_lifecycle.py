"""The life of the process: what a service manager is told, drains, upgrades."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from clients import sasl
from clients.addresses import fresh
from clients.arrivals import Arrivals
from clients.crowd import Crowd
from clients.imap import Imap
from clients.managesieve import ManageSieve
from clients.pop3 import Pop3
from clients.submission import Submission
from lab import toml
from lab.layout import ACCOUNTS, address, leg_name
from lab.many import Loop, Many
from lab.process import Daemon
from lab.service_manager import Notified
from lab.waiting import until

from .base import Case, new_proxy
from .mail import BIG, Delivered, message
from .test_admin import Managed

ALICE = address("alice")
# Sessions during a drain; and logins a second during an upgrade, each of which waits behind nobody.
IDLE, BUSY, RATE = 2000, 50, 100
MANY_HOST, MANY_PORT = 31, 14300


def long_grace(document):
    document["server"]["shutdown_grace"] = "30s"


def middle_grace(document):
    document["server"]["shutdown_grace"] = "15s"


def to_many(lab):
    """A change of the configuration: one listener, and one destination that takes thousands of sessions."""
    def change(document):
        document["server"] |= {"shutdown_grace": "20s", "log_level": "info", "backend_timeout": "30s"}
        document["listener"] = {"imap-implicit": document["listener"]["imap-implicit"]}
        document["destination"] = {"many": {"host": lab.block.host(MANY_HOST), "allow_plaintext_auth": True,
                                            "forwarding": "none", "protocol": {"imap": {"port": MANY_PORT, "tls": "plain"}}}}
        document["routing"]["default_destination"] = "many"
        document["capabilities"] = {"imap": {"sasl": ["PLAIN"], "learn": False, "advertise": ["IMAP4rev1", "SASL-IR"]}}
        document["limits"] |= {"connections_per_account": 10000, "logins_in_flight_per_account": 1000}
    return change


class WithMany(Case):
    def setUp(self):
        super().setUp()
        self.many = Many(self.lab.block.host(MANY_HOST), MANY_PORT)
        self.addCleanup(self.many.stop)

    def many_proxy(self, name, host_number):
        proxy = new_proxy(name, host_number, to_many(self.lab), table={})
        proxy.is_quiet = True
        self.addCleanup(proxy.stop)
        return proxy


class Notify(Case):
    """`Type=notify`."""

    def started(self, name, host_number, notify_address, **environment):
        notified = Notified(notify_address)
        self.addCleanup(notified.close)
        proxy = new_proxy(name, host_number, long_grace)
        proxy.environment = {"NOTIFY_SOCKET": notified.address, **environment}
        self.addCleanup(proxy.stop)
        return proxy.start(), notified

    def test_ready_reloading_and_stopping(self):
        proxy, notified = self.started("notify-path", 95, self.lab.dir / "notify")
        until(lambda: notified.messages, "READY is not sent")
        self.assertEqual(notified.messages, [{"READY": "1", "STATUS": "ready"}])
        before = time.monotonic_ns() // 1000
        proxy.reload()
        until(lambda: len(notified.messages) == 3, lambda: notified.messages)
        reloading, ready = notified.messages[1:]
        self.assertEqual(reloading["RELOADING"], "1")
        self.assertTrue(before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000, reloading)
        self.assertEqual(ready, {"READY": "1", "STATUS": "configuration reloaded"})
        # A service that stays in `reloading` is stopped by systemd, so a refused reload ends with READY, too.
        proxy.config_path.write_text("[server]\ncolour = 1\n")
        proxy.daemon.send(signal.SIGHUP)
        until(lambda: len(notified.messages) == 5, lambda: notified.messages)
        self.assertEqual(notified.messages[4]["READY"], "1")
        self.assertIn("reload refused", notified.messages[4]["STATUS"])
        self.assertEqual(proxy.stop(), 0)
        until(lambda: notified.having("STOPPING"), lambda: notified.messages)
        # More time than TimeoutStopSec= is asked for at once.
        self.assertIn("EXTEND_TIMEOUT_USEC", notified.having("STOPPING")[0])

    def test_a_drain_asks_for_more_time_and_tells_how_many_are_left(self):
        proxy, notified = self.started("notify-drain", 95, "@pointsman-lab-drain-" + self.lab.dir.name)
        for _ in range(20):
            self.assert_ok(self.dial(proxy=proxy).login(ALICE, ACCOUNTS[ALICE]))
        proxy.daemon.send(signal.SIGTERM)
        asked = until(lambda: len(notified.having("EXTEND_TIMEOUT_USEC")) >= 4 and notified.having("EXTEND_TIMEOUT_USEC"),
                      lambda: notified.messages)
        left = [int(message["STATUS"].removeprefix("draining, sessions left: ")) for message in asked]
        self.assertEqual(left, sorted(left, reverse=True))
        self.assertTrue(20 >= left[0] > left[-1] > 0, left)

    def test_the_watchdog_is_fed_and_starves_with_the_runtime(self):
        proxy, notified = self.started("notify-watchdog", 95, "@pointsman-lab-watchdog-" + self.lab.dir.name, WATCHDOG_USEC="400000")
        until(lambda: len(notified.having("WATCHDOG")) >= 5, "the watchdog is not fed")
        self.assertEqual(notified.messages[-1], {"WATCHDOG": "1", "STATUS": "sessions: 0"})
        proxy.daemon.send(signal.SIGSTOP)
        seen = len(notified.messages)
        with self.assertRaises(AssertionError):
            until(lambda: len(notified.messages) > seen + 1, "", limit=1)
        proxy.daemon.send(signal.SIGCONT)
        until(lambda: len(notified.messages) > seen + 1, "the watchdog is not fed after the stop")


class Drain(WithMany, Delivered):
    """SIGTERM: sessions end at a boundary, over the grace period."""

    needs_postfix = True

    def test_idle_and_busy_sessions(self):
        proxy, loop = self.many_proxy("drain-many", 95).start(), Loop()
        self.addCleanup(loop.close)
        crowd = Crowd(loop, proxy.endpoint(), "crowd@example.org")
        crowd.begin(IDLE, BUSY)
        began = time.monotonic()
        proxy.daemon.send(signal.SIGTERM)
        told = crowd.ended(limit=30)
        self.assertEqual([one for one in told if one.is_cut or not one.words.startswith(b"* BYE ")], [])
        self.assertEqual(len(told), IDLE + BUSY)
        ends = sorted(one.ended - began for one in told)
        # Over 0.8 of 20 s: no second has more than its share, with room for a busy machine.
        fullest = max(sum(second <= end < second + 1 for end in ends) for second in range(20))
        self.assertLess(fullest, len(told) / 16 * 3)
        self.assertGreater(ends[-1] - ends[0], 10)
        until(proxy.daemon.has_ended, "it does not end", limit=20)
        self.assertEqual(proxy.stop(), 0)
        print(f"    ({IDLE} idle and {BUSY} busy sessions: BYE between {ends[0]:.1f} and {ends[-1]:.1f} s, at most {fullest} in a second)")

    def test_clients_in_data_are_told_what_became_of_their_message(self):
        proxy = self.extra_proxy("drain-data", 95, middle_grace)
        account, talks = address(leg_name("new", "implicit", "none")), []
        for number in range(8):
            talk = self.dial("implicit", Submission, proxy=proxy)
            self.assert_ok(talk.login(account, ACCOUNTS[account]))
            talk.begin(account, BIG)
            text = message(f"drained {number}", b"Hello.\r\n", account)
            if number % 4 == 3:
                talk.send(b"BDAT %d LAST\r\n%s" % (len(text) + 1, text))
            else:
                talk.expect("354", talk.command("DATA"), "DATA")
                talk.send(text)
            talks.append(talk)
        proxy.daemon.send(signal.SIGTERM)
        until(lambda: "draining" in proxy.log(), proxy.tail)
        began = time.monotonic()
        # The moment of every session passes while no message is complete.
        until(lambda: time.monotonic() > began + 0.8 * 15, "", limit=30)
        for number, talk in enumerate(talks):
            talk.send(b"\n" if number % 4 == 3 else b".\r\n")
            self.assertRegex(talk.reply(), r"^250 .*")
            self.assertRegex(talk.rest(), rb"^421 4\.3\.2 .*shutting down.*\r\n$")
        for number in range(8):
            self.delivered(f"drained {number}")
        until(proxy.daemon.has_ended, "it does not end", limit=20)
        self.assertEqual(proxy.stop(), 0)

    def test_every_protocol_has_its_words(self):
        proxy = self.extra_proxy("drain-words", 95)
        words = {Imap: rb"^\* BYE \[UNAVAILABLE\] ", Pop3: rb"^-ERR \[SYS/TEMP\] ", ManageSieve: rb"^BYE \(TRYLATER\) ",
                 Submission: rb"^421 4\.3\.2 "}
        talks = []
        for client in words:
            talk = self.dial("implicit", client, proxy=proxy)
            self.assert_ok(talk.login(ALICE, ACCOUNTS[ALICE]))
            talks.append(talk)
        proxy.daemon.send(signal.SIGTERM)
        for talk in talks:
            self.assertRegex(talk.rest(), words[type(talk)])


    def test_a_compressed_session_is_closed_in_silence(self):
        proxy, talks = self.many_proxy("drain-compressed", 95).start(), []
        for command, expected in (("NOOP", rb"^\* BYE "), ("COMPRESS DEFLATE", rb"^$")):
            talk = self.dial(proxy=proxy)
            self.assert_ok(talk.authenticate(sasl.plain(ALICE, b"any")))
            talk.ok(command)
            talks.append((talk, expected))
        proxy.daemon.send(signal.SIGTERM)
        for talk, expected in talks:
            talk.socket.settimeout(30)
            self.assertRegex(talk.rest(), expected)


class Kick(Managed, Delivered):
    """A kick lets a message end, too, but does not wait for a client that is silent."""

    needs_postfix = True

    def test_a_message_that_is_being_sent_ends_with_its_reply(self):
        self.start(199)
        account = address(leg_name("new", "implicit", "none"))
        idle, sender, silent = (self.logged_in(account) for _ in range(3))
        for talk in (sender, silent):
            talk.begin(account, BIG)
            talk.expect("354", talk.command("DATA"), "DATA")
        with ThreadPoolExecutor() as pool:
            kicked = pool.submit(self.call, "POST", f"/connections/kick?identifier={account}")
            self.assertRegex(idle.rest(), rb"^421 4\.3\.2 The session was ended.*\r\n$")
            sender.send(message("kicked", b"Hello.\r\n", account) + b".\r\n")
            self.assertRegex(sender.reply(), r"^250 ")
            self.assertRegex(sender.rest(), rb"^421 4\.3\.2 The session was ended.*\r\n$")
            self.assertEqual(silent.rest(), b"")
            self.assertEqual(kicked.result(), (200, {"kicked": 3, "logins": 0, "ending": 0}))
        self.delivered("kicked")

    def logged_in(self, account):
        talk = self.dial("implicit", Submission, proxy=self.managed)
        self.assert_ok(talk.login(account, ACCOUNTS[account]))
        return talk


class Upgrade(WithMany):
    """`run --takeover` and reloads under logins: nobody is refused."""

    def log_in(self, endpoint):
        with Imap(endpoint, fresh()) as talk:
            self.assert_ok(talk.authenticate(sasl.plain(ALICE, b"any")))
            talk.ok("NOOP")
            talk.logout()
        return "in"

    def test_no_login_is_refused(self):
        proxy = self.many_proxy("upgraded", 95).start()
        endpoint = proxy.endpoint()
        kept = Imap(endpoint, fresh())
        self.addCleanup(kept.close)
        self.assert_ok(kept.authenticate(sasl.plain(ALICE, b"any")))
        arrivals = Arrivals(RATE, lambda _: self.log_in(endpoint))
        self.addCleanup(arrivals.stop)
        ended = []
        for _ in range(3):
            self.pass_by(arrivals)
            proxy.reload()
            self.pass_by(arrivals)
            ended.append(self.take_over(proxy))
        self.pass_by(arrivals)
        made = arrivals.stop()
        self.assertEqual([arrival.fault for arrival in made if arrival.fault], [])
        # The session of the first process ended with a BYE, at its moment of the grace period.
        self.assertRegex(kept.rest(), rb"^\* BYE ")
        for daemon in ended:
            until(daemon.has_ended, "a process that was replaced does not end", limit=40)
            self.assertEqual(daemon.stop(), 0)
        took = sorted(arrival.took for arrival in made)
        print(f"    ({len(made)} logins at {RATE} a second, 3 reloads and 3 takeovers: 0 refused, "
              f"{took[len(took) // 2] * 1000:.0f} ms, {took[-1] * 1000:.0f} at most)")

    def take_over(self, proxy):
        """Starts another process with the same configuration; returns the one that it replaces."""
        old, marks = proxy.daemon, proxy.log().count("draining")
        with open(proxy.log_path, "ab") as log:
            proxy.daemon = Daemon(proxy.binary, "run", "--takeover", proxy.config_path, out=log)
        self.addCleanup(proxy.daemon.stop)
        until(lambda: proxy.log().count("draining") > marks, proxy.tail, limit=30)
        self.assertFalse(proxy.daemon.has_ended(), proxy.tail())
        return old

    def pass_by(self, arrivals):
        target = arrivals.ended() + RATE
        until(lambda: arrivals.ended() >= target, "logins do not come to their end", limit=30)

    def test_a_new_process_that_cannot_start_changes_nothing(self):
        proxy = self.many_proxy("not-upgraded", 95).start()
        # Another process has the address that the new configuration binds.
        document = proxy.document
        bind = document["listener"]["imap-implicit"]["bind"]
        other = socket.create_server((self.lab.block.host(MANY_HOST), MANY_PORT + 1))
        self.addCleanup(other.close)
        taken = f"{self.lab.block.host(MANY_HOST)}:{MANY_PORT + 1}"
        document["listener"]["imap-implicit"]["bind"] = [*bind, taken]
        proxy.config_path.write_text(toml.dump(document))
        done = subprocess.run([proxy.binary, "run", "--takeover", proxy.config_path], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f"cannot listen on {taken}", done.stderr)
        until(lambda: "takeover failed" in proxy.log(), proxy.tail)
        self.assertEqual(self.log_in(proxy.endpoint()), "in")


LAUNCHER = Path(__file__).resolve().parent.parent / "lab/launcher.py"


class SocketActivation(WithMany):
    """Sockets that a service manager has opened."""

    def test_a_socket_is_found_by_its_address(self):
        proxy = self.many_proxy("activated", 95)
        bind, = proxy.document["listener"]["imap-implicit"]["bind"]
        proxy.launcher = [sys.executable, LAUNCHER, bind, "--"]
        proxy.start()
        self.assertEqual(Upgrade.log_in(self, proxy.endpoint()), "in")

    def test_a_socket_is_found_by_its_name(self):
        proxy = self.many_proxy("activated-by-name", 95)
        bind, = proxy.document["listener"]["imap-implicit"]["bind"]
        host = bind.partition(":")[0]
        # The address is the service manager's affair; nothing listens on that of the configuration.
        proxy.launcher = [sys.executable, LAUNCHER, "--names", "imap-implicit", f"{host}:14399", "--"]
        proxy._binds = lambda: [(host, 14399)]
        proxy.start()
        self.assertEqual(Upgrade.log_in(self, replace(proxy.endpoint(), port=14399)), "in")

    def test_sockets_that_cannot_be_used_stop_the_start(self):
        proxy = self.many_proxy("not-activated", 95)
        bind, = proxy.document["listener"]["imap-implicit"]["bind"]
        host = bind.partition(":")[0]
        for sockets, said in (
                (["--names", "imap", f"{host}:14398"], rf"{host}:14398 \(name `imap`\); expected FileDescriptorName= .*imap-implicit"),
                ([f"udp:{bind}"], r"inherited socket 1 \(without a name\).*expected a listening TCP socket"),
                (["--names", "one", bind, f"{host}:14398"], r"LISTEN_FDNAMES has 1 names and LISTEN_FDS counts 2 sockets")):
            with self.subTest(sockets):
                done = subprocess.run([sys.executable, LAUNCHER, *sockets, "--", proxy.binary, "run", proxy.config_path],
                                      capture_output=True, text=True, timeout=30)
                # Looked through for secrets at the end, like every log.
                proxy.log_path.write_text(done.stderr)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr, said)

    def test_systemd_socket_activate(self):
        program = shutil.which("systemd-socket-activate")
        if not program:
            self.skipTest("systemd-socket-activate is not installed")
        proxy = self.many_proxy("activated-by-systemd", 95)
        bind, = proxy.document["listener"]["imap-implicit"]["bind"]
        # The program is started by the first connection, which waits for it.
        proxy.launcher = [program, "-l", bind, "--fdname=imap-implicit"]
        proxy.start()
        self.assertEqual(Upgrade.log_in(self, proxy.endpoint()), "in")
