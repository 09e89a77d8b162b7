"""Many IMAP sessions at once that stream without a pause: each has FETCHes under way at every moment, and reads them slowly.

They live in processes of their own, so that their work takes nothing of the time in which a test does its own.
"""

import hashlib
import multiprocessing
import re
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab.endpoint import Endpoint

from .imap import Imap

# FETCHes that a session has under way: when one reply ends, the next is there already.
DEPTH = 3
# What a session reads at once (a TLS record), and how often. Servers send faster, and wait for us in the middle of a literal.
PIECE, PACE = 16384, 0.5
# How long a session may be silent, and how long all may take to begin.
PATIENCE, BEGINNING = 20.0, 60.0
LOGINS_AT_ONCE = 8


@dataclass(frozen=True)
class Job:
    """What one session does: reads the only message of a mailbox, over and over."""

    endpoint: Endpoint
    source: str
    account: str
    password: bytes
    mailbox: str
    size: int
    sha256: str


@dataclass
class Told:
    """How one session is: `fault` says why it was lost."""

    messages: int = 0
    octets: int = 0
    # The longest that it waited for a byte, in seconds.
    silence: float = 0.0
    fault: str = ""


class Streams:
    """Sessions for these jobs; all are logged in and stream when it is made."""

    def __init__(self, jobs, processes=2):
        # A fork would take other threads' locks with it.
        context = multiprocessing.get_context("spawn")
        self.workers = []
        try:
            for number in range(processes):
                ours, theirs = context.Pipe()
                worker = context.Process(target=_work, args=(theirs, jobs[number::processes]), daemon=True)
                worker.start()
                theirs.close()
                self.workers.append((worker, ours))
            self._hear(BEGINNING)
        except BaseException:
            self.kill()
            raise

    def tell(self):
        """How each is now."""
        self._say("tell")
        return self._hear(PATIENCE)

    def end(self):
        """Lets each read what is under way and log out; how each was."""
        self._say("end")
        told = self._hear(2 * PATIENCE)
        for worker, _ in self.workers:
            worker.join(PATIENCE)
        return told

    def kill(self):
        for worker, pipe in self.workers:
            worker.kill()
            worker.join()
            pipe.close()
        self.workers = []

    def _say(self, word):
        for _, pipe in self.workers:
            pipe.send(word)

    def _hear(self, patience):
        deadline, found = time.monotonic() + patience, []
        for _, pipe in self.workers:
            if not pipe.poll(max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"the streams did not answer within {patience} s")
            answer = pipe.recv()
            if isinstance(answer, str):
                raise AssertionError(answer)
            found += answer
        return found


class Stream:
    """One session that has logged in."""

    def __init__(self, job):
        self.job, self.told = job, Told()
        self.talk = Imap(job.endpoint, job.source)
        done = self.talk.login(job.account, job.password)
        assert done.startswith("OK"), f"{job.account} could not log in: {done}"
        self.talk.ok(f"SELECT {job.mailbox}")
        self.talk.socket.setblocking(False)
        self.asked = self.missing = 0
        self.outstanding, self.digest, self.heard = set(), None, None
        self.is_over = False

    def ask(self):
        self.heard = self.heard or time.monotonic()
        while len(self.outstanding) < DEPTH:
            self.asked += 1
            self.outstanding.add(b"f%d" % self.asked)
            self.talk.socket.sendall(b"f%d FETCH 1 BODY.PEEK[]\r\n" % self.asked)

    def turn(self, is_ending):
        """Asks for more, unless the end is near, and reads a piece."""
        if self.is_over:
            return
        try:
            if not is_ending:
                self.ask()
            self.read()
            if is_ending and not self.outstanding:
                self.leave()
        except (OSError, AssertionError, ValueError) as error:
            self.told.fault = f"{self.job.account}, after {self.told.messages} messages: {error!r}"
            self.is_over = True

    def read(self):
        room, now = PIECE, time.monotonic()
        self.told.silence = max(self.told.silence, now - self.heard)
        while room > 0:
            try:
                data = self.talk.socket.recv(room)
            except ssl.SSLWantReadError:
                assert now - self.heard < PATIENCE, f"nothing was heard for {PATIENCE} s"
                return
            assert data, "the connection ended"
            self.heard = now
            self.told.octets += len(data)
            room -= len(data)
            self.take(data)

    def take(self, data):
        """Holds what comes to the replies that there must be. Messages and tagged lines do not take turns: Dovecot may
        carry out such commands at once (RFC 9051 section 5.5)."""
        data = self.talk.unread + data
        while data:
            if self.missing:
                piece, data = data[:self.missing], data[self.missing:]
                self.digest.update(piece)
                self.missing -= len(piece)
                continue
            line, newline, rest = data.partition(b"\r\n")
            if not newline:
                break
            data = rest
            if found := re.fullmatch(rb"\* 1 FETCH \(.*BODY\[\] \{(\d+)\}", line):
                assert int(found[1]) == self.job.size and not self.digest, f"{found[1]} octets in place of {self.job.size}"
                self.missing, self.digest = self.job.size, hashlib.sha256()
            elif line == b")" and self.digest:
                assert self.digest.hexdigest() == self.job.sha256, "another message than there is"
                self.told.messages, self.digest = self.told.messages + 1, None
            else:
                tag, _, words = line.partition(b" ")
                assert tag in self.outstanding and words.startswith(b"OK "), f"unexpected: {line!r}"
                self.outstanding.remove(tag)
        self.talk.unread = data

    def leave(self):
        """Logs out: a session that can do so was not lost."""
        self.is_over = True
        assert self.told.messages == self.asked and not self.talk.unread, f"{self.told.messages} messages to {self.asked} FETCHes"
        self.talk.socket.settimeout(PATIENCE)
        done, before = self.talk.command("LOGOUT")
        assert done.startswith("OK") and before[0].startswith("* BYE"), f"LOGOUT: {before} {done}"
        self.talk.close()


def _work(control, jobs):
    """The life of one process. Ends with the other end of `control`."""
    try:
        with ThreadPoolExecutor(LOGINS_AT_ONCE) as pool:
            streams = list(pool.map(Stream, jobs))
        control.send([])
        _run(control, streams)
    except EOFError:
        pass  # whoever wanted to know is gone
    except (OSError, AssertionError) as error:
        control.send(f"the streams could not begin: {error}")


def _run(control, streams):
    """Gives each session its turn once in `PACE`, evenly."""
    is_ending, began, turns = False, time.monotonic(), 0
    while not (is_ending and all(stream.is_over for stream in streams)):
        streams[turns % len(streams)].turn(is_ending)
        turns += 1
        due = began + turns * PACE / len(streams)
        # Also at once, so that a word is heard however late we are.
        while control.poll(max(0.0, due - time.monotonic())):
            if control.recv() == "tell":
                control.send([stream.told for stream in streams])
            else:
                is_ending = True
    control.send([stream.told for stream in streams])
