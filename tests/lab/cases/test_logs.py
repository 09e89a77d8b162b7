"""What an operator, a collector and fail2ban read in the log, and what a stranger cannot write there."""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from clients import sasl
from lab.layout import ACCOUNTS, address
from lab.process import Daemon
from lab.waiting import answers, until

from .api import fetch, manage
from .base import Case, new_proxy, secret

ALICE, FILTER = address("alice"), Path(__file__).resolve().parents[3] / "contrib/fail2ban/filter.d/pointsman.conf"
# A line of the log as a stranger would like to write it, with somebody else's address.
FORGED = "2025-01-01T00:00:00.000000Z  INFO pointsman::login: login failed: protocol=imap client=192.0.2.66 account=\"x\" reason=rejected"
# Names that would break a line, a field, a terminal or a reader's eye. All end at the backend's no, or at ours.
HOSTILE = [
    f"x\r\n{FORGED}", f"\n{FORGED}", FORGED, f'a" {FORGED}', 'a"}},"fields":{"message":"login', "\x1b[2J\x1b]0;owned\x07", "\x9b31m",
    "evil\u202ecod.exe@example.org", "zero\u200bwidth@example.org", "\u2028separated@example.org", "tab\tbed@example.org",
    "a\\nb@example.org", "client=192.0.2.66@example.org", "x" * 4000 + "@example.org", "destination=new", "\ufeff@example.org",
]
# Control characters (but the line's end), and what is invisible or turns the direction of what follows.
UNFIT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


class Forms(Case):
    """Both forms of the log, each from a proxy of its own."""

    def logged(self, form, host_number):
        """What the log of a proxy says after a good login, bad ones, and a visit of a stranger with every trick."""
        def change(document):
            document["server"]["log_format"] = form
        proxy = self.extra_proxy(f"log-{form}", host_number, change)
        talk = self.dial(proxy=proxy)
        self.assert_ok(talk.login(ALICE, ACCOUNTS[ALICE]))
        talk.logout()
        talk = self.dial(proxy=proxy)
        self.assert_no(talk.login(ALICE, secret("not-the-password-of-alice")))
        guesser = talk.source
        for name in HOSTILE:
            self.say_everywhere(proxy, name)
        until(lambda: "session ended" in proxy.log(), lambda: proxy.tail())
        proxy.stop()
        return proxy.log_path.read_bytes(), guesser

    def say_everywhere(self, proxy, name):
        """Every place where a client may put words of its own before it has logged in."""
        password = secret("a-password-that-fits-nobody")
        for kind in ("implicit", "fronted"):
            talk = self.dial(kind, proxy=proxy)
            quoted = re.sub(r'(["\\])', r"\\\1", re.sub(r"[\r\n\0]", " ", name))[:800]
            talk.command(f'ID ("name" "{quoted}" "x-originating-ip" "{quoted}" "x-session-id" "{quoted}")')
            words = talk.authenticate(sasl.plain(name, password))
            self.assert_no(words)
            talk.send(re.sub(r"[\r\n]", " ", name).encode()[:800] + b"\r\n")
            talk.close()

    def fail2ban(self, log, name):
        """The addresses that the real filter counts, in order."""
        home = self.lab.dir / name
        shutil.copytree("/etc/fail2ban", home)
        shutil.copy(FILTER, home / "filter.d")
        (home / "log").write_bytes(log)
        command = ["fail2ban-regex", f"--config={home}", "--usedns=no", "--out=ip", str(home / "log"), "pointsman"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def test_text(self):
        log, guesser = self.logged("text", 51)
        text = log.decode("utf-8")
        lines = text.split("\n")[:-1]
        self.assert_fit(text)
        for line in lines:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z +(TRACE|DEBUG|INFO|WARN|ERROR) ")
        logins = [line for line in lines if re.search(r": login account=", line)]
        self.assertEqual(len(logins), 1, logins)
        for word in ('account="alice@example.org"', "client=127.2.", 'destination=old-', "mechanism=LOGIN", 'tls="TLSv1.3"', "replay_us=",
                     "listener=imap-implicit", "protocol=imap", "session{id="):
            self.assertIn(word, logins[0])
        ends = [line for line in lines if ": session ended " in line]
        self.assertEqual(len(ends), 1, ends)
        self.assertRegex(ends[0], r'account="alice@example\.org" destination="old-\S+" to_backend=\d+ to_client=\d+ seconds=\d+ why="\w+ closed"')
        self.assert_banned(self.fail2ban(log, "fail2ban-text"), text, guesser)

    def test_json(self):
        log, guesser = self.logged("json", 52)
        self.assert_fit(log.decode("utf-8"))
        entries = [json.loads(line) for line in log.decode("utf-8").split("\n")[:-1]]
        for entry in entries:
            self.assertLessEqual({"timestamp", "level", "target", "fields"}, entry.keys())
            self.assert_fit(json.dumps(entry, ensure_ascii=False))
        login = [entry for entry in entries if entry["fields"].get("message") == "login"]
        self.assertEqual(len(login), 1, login)
        self.assertLessEqual({"account": ALICE, "mechanism": "LOGIN", "tls": "TLSv1.3"}.items(), login[0]["fields"].items())
        self.assertLessEqual({"id", "listener", "protocol", "peer"}, login[0]["span"].keys())
        self.assertIsInstance(login[0]["fields"]["replay_us"], int)
        ends = [entry["fields"] for entry in entries if entry["fields"].get("message") == "session ended"]
        self.assertEqual([end["account"] for end in ends], [ALICE])
        self.assert_banned(self.fail2ban(log, "fail2ban-json"), log.decode(), guesser)

    def assert_fit(self, text):
        found = UNFIT.search(text)
        self.assertIsNone(found, found and f"{found[0]!r} in {text[max(found.start() - 200, 0):found.end() + 20]!r}")

    def assert_banned(self, banned, log, guesser):
        """Each failure is counted once, by the address that it came from, and nobody else's."""
        failures = len(re.findall(r"login failed: protocol=imap client=127\.", log))
        self.assertEqual(failures, 1 + 2 * len(HOSTILE))
        self.assertEqual(len(banned), failures, banned)
        self.assertEqual(banned[0], guesser)
        self.assertNotIn("192.0.2.66", banned)


def accounts(log):
    """The hashed names in a log."""
    return set(re.findall(r'account="(#[0-9a-f]{12})"', log))


class Hashed(Case):
    def test_no_account_is_named(self):
        def change(document):
            document["server"]["log_identifiers"] = "hash"
        proxy = self.extra_proxy("log-hash", 53, change)
        talk = self.dial(proxy=proxy)
        self.assert_ok(talk.login(ALICE, ACCOUNTS[ALICE]))
        talk.logout()
        self.assert_no(self.dial(proxy=proxy).login(address("bob"), secret("not-the-password-of-bob")))
        self.assert_no(self.dial(proxy=proxy).login(address("down"), secret("nor-of-down")))
        until(lambda: "session ended" in proxy.log() and len(accounts(proxy.log())) == 3, lambda: proxy.tail())
        log = proxy.log()
        for name in ("alice", "bob", address("down")):
            self.assertNotIn(name, log)
        [login] = re.findall(r': login account="(#\w+)"', log)
        [end] = re.findall(r': session ended account="(#\w+)"', log)
        self.assertEqual(login, end)


class Journal(Case):
    """Standard error is a stream like the ones that systemd connects to the journal."""

    # A login's line in the journal, whatever the addresses.
    MOST_BYTES = 350

    def logged(self, host_number, journal_stream, change=None):
        """The log's lines after one login, with `journal_stream(file descriptor)` as JOURNAL_STREAM."""
        proxy = new_proxy(f"log-journal-{host_number}", host_number, change)
        reader, stream = socket.socketpair()
        self.addCleanup(reader.close)
        environment = {key: value for key, value in os.environ.items() if key not in ("RUST_LOG", "NOTIFY_SOCKET")}
        environment["JOURNAL_STREAM"] = journal_stream(stream.fileno())
        with stream:
            proxy.daemon = Daemon(proxy.binary, "run", proxy.config_path, out=stream, env=environment)
        self.addCleanup(proxy.stop)
        endpoint = proxy.endpoint()
        until(lambda: answers(endpoint.host, endpoint.port), lambda: "the proxy does not answer")
        talk = self.dial(proxy=proxy)
        self.assert_ok(talk.login(ALICE, ACCOUNTS[ALICE]))
        talk.logout()
        self.assertEqual(proxy.stop(), 0)
        log = b"".join(iter(lambda: reader.recv(65536), b""))
        proxy.log_path.write_bytes(log)
        return log.decode().splitlines()

    @staticmethod
    def name(descriptor):
        status = os.fstat(descriptor)
        return f"{status.st_dev}:{status.st_ino}"

    def test_lines_have_priorities_and_no_time(self):
        lines = self.logged(61, self.name)
        for line in lines:
            self.assertRegex(line, r"^<[3467]> *(TRACE|DEBUG|INFO|WARN|ERROR) ")
        [login] = [line for line in lines if ": login account=" in line]
        print(f"    (a login's line has {len(login)} bytes)")
        self.assertTrue(login.startswith("<6> INFO session{id="), login)
        self.assertLessEqual(len(login), self.MOST_BYTES)

    def test_log_timestamps_is_obeyed(self):
        def change(document):
            document["server"]["log_timestamps"] = True
        for line in self.logged(62, self.name, change):
            self.assertRegex(line, r"^<[3467]>\d{4}-\d\d-\d\dT\S+Z +(TRACE|DEBUG|INFO|WARN|ERROR) ")

    def test_another_stream_than_the_journals_is_not_the_journal(self):
        for line in self.logged(63, lambda descriptor: f"{os.fstat(descriptor).st_dev}:1"):
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\S+Z +(TRACE|DEBUG|INFO|WARN|ERROR) ")


class Unread(Case):
    """Standard error is a pipe whose reader has stopped."""

    def setUp(self):
        super().setUp()
        self.unread = new_proxy("log-unread", 60, manage)
        os.mkfifo(self.unread.log_path)
        self.reader = os.open(self.unread.log_path, os.O_RDONLY | os.O_NONBLOCK)
        # The smallest pipe that Linux has: it is full after a dozen lines.
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, 4096)
        self.addCleanup(self.keep_log)
        self.unread.start()
        self.addCleanup(self.unread.stop)

    def keep_log(self):
        """A file in place of the pipe, for the test that reads all logs."""
        text = self.read()
        os.close(self.reader)
        self.unread.log_path.unlink()
        self.unread.log_path.write_bytes(text)

    def read(self):
        """Everything that is in the pipe now."""
        found = b""
        while True:
            try:
                piece = os.read(self.reader, 65536)
            except BlockingIOError:
                return found
            if not piece:
                return found
            found += piece

    def test_neither_sessions_nor_the_end_wait_for_it(self):
        session = self.dial(proxy=self.unread)
        self.assert_ok(session.login(ALICE, ACCOUNTS[ALICE]))
        password = secret("a-password-of-the-unread-log")
        # Each for another account, because failures of one account are delayed.
        for number in range(60):
            talk = self.dial(proxy=self.unread)
            self.assert_no(talk.login(f"unread-{number}@example.org", password))
            talk.close()
        fetch(self.unread, "/healthz")
        self.assert_at(session, "old")
        # The reader goes on: nothing is missing.
        log = self.read()
        def failed():
            nonlocal log
            log += self.read()
            return log.count(b"login failed: ") == 60
        until(failed, lambda: f"{log.count(b'login failed: ')} lines")
        self.assertNotIn(b"log lines were dropped", log)
        # It stops again, and the process ends all the same.
        for number in range(20):
            talk = self.dial(proxy=self.unread)
            self.assert_no(talk.login(f"unread-again-{number}@example.org", password))
            talk.close()
        session.logout()
        began = time.monotonic()
        self.assertEqual(self.unread.stop(), 0)
        self.assertLess(time.monotonic() - began, 5)
