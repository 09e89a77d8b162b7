"""Much at once: big messages both ways, many sessions side by side."""

import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

from clients.addresses import fresh
from clients.imap import Imap
from lab.layout import ACCOUNTS, CROWD, address

from .base import Case

MIB = 1024 * 1024
BIG = address("big")


def big_message(size):
    """Text of so many bytes which no compression or chance makes alike."""
    head = b"From: <big@example.org>\r\nSubject: big\r\n\r\n"
    lines = random.Random(7).randbytes((size - len(head)) // 2 + 80).hex().encode()
    rows = (lines[at:at + 76] for at in range(0, len(lines), 76))
    return (head + b"\r\n".join(rows))[:size - 2] + b"\r\n"


class Big(Case):
    def test_20_mb_there_and_back(self):
        message = big_message(20 * MIB)
        for kind in ("implicit", "starttls"):
            talk = self.dial(kind).secure()
            self.assert_ok(talk.login(BIG, ACCOUNTS[BIG]))
            talk.script(f"C: a APPEND Sent {{{len(message)}}}\nS: + ...")
            talk.socket.sendall(message + b"\r\n")
            self.assert_ok(talk.reply("a")[0])
            self.assertEqual(self.fetched(talk), hashlib.sha256(message).hexdigest())

    def fetched(self, talk):
        talk.ok("SELECT Sent")
        talk.script("C: b FETCH * BODY.PEEK[]")
        size = int(talk.line().rpartition("{")[2].rstrip("}"))
        digest = hashlib.sha256(talk.read(size)).hexdigest()
        self.assert_ok(talk.reply("b")[0])
        return digest

    def test_a_reader_that_waits_does_not_fill_us(self):
        talk = self.dial()
        self.assert_ok(talk.login(BIG, ACCOUNTS[BIG]))
        message = big_message(4 * MIB)
        talk.send(b"a APPEND Drafts {%d+}\r\n" % len(message))
        talk.socket.sendall(message + b"\r\n")
        self.assert_ok(talk.reply("a")[0])
        talk.ok("SELECT Drafts")
        before = self.proxy.memory()
        # 200 MiB are asked for, and nothing is read.
        for number in range(50):
            talk.send(b"f%d FETCH 1 BODY.PEEK[]\r\n" % number)
        for _ in range(20):
            self.assert_at_prompt(self.dial())  # meanwhile others are served
        self.assertLess(self.proxy.memory() - before, 16 * MIB)


class Crowd(Case):
    SESSIONS = 200

    def test_200_sessions_at_once(self):
        self.barrier, self.source, self.failures = threading.Barrier(self.SESSIONS, timeout=60), fresh(), []
        with ThreadPoolExecutor(self.SESSIONS) as pool:
            results = list(pool.map(self.one, range(self.SESSIONS)))
        self.assertEqual(self.failures, [])
        self.assertEqual(results, ["I am old"] * self.SESSIONS)

    def one(self, number):
        try:
            return self.session(number)
        except threading.BrokenBarrierError:
            return "another failed"
        except (OSError, AssertionError) as error:
            self.failures.append(error)
            self.barrier.abort()
            return "failed"

    def session(self, number):
        account = address(f"crowd{number % CROWD}")
        with Imap(self.proxy.endpoint("implicit" if number % 2 else "starttls"), self.source) as talk:
            self.assert_ok(talk.secure().login(account, ACCOUNTS[account]))
            self.barrier.wait()  # all are logged in, now
            subjects = talk.subjects()
            self.barrier.wait()  # all have read
            talk.logout()
        return subjects[0]
