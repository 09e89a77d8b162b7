"""A program on a terminal of its own, as a person sees it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """`command` on a terminal of so many rows and columns; what it has drawn is kept whole."""

    def __init__(self, *command, rows=40, columns=140, env=None):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.drawn = b""
        self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave, env=env,
                                        start_new_session=True, preexec_fn=self._take)

    def _take(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def type(self, keys):
        os.write(self.master, keys)

    def wait_for(self, pattern, timeout=30, since=0):
        """Reads until what was drawn since that place matches; returns the place behind it."""
        deadline = time.monotonic() + timeout
        while not (found := re.compile(pattern, re.DOTALL).search(self.drawn, since)):
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{pattern!r} was never drawn: {self.drawn[since:][-3000:]!r}")
        return found.end()

    def _read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], max(seconds, 0))
        if ready:
            self.drawn += os.read(self.master, 65536)
        return bool(ready)

    def end(self, timeout=20):
        """Its exit status, once it has ended; the rest of what it drew is read."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            self._read(0.05)
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end: {self.drawn[-3000:]!r}")
        while self._read(0):
            pass
        return self.process.returncode

    def is_as_before(self):
        """Whether the terminal is as it was: echo, lines, signals."""
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)
