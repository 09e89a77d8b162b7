"""Thousands of IMAP clients in one thread: most wait in IDLE, some fetch without a pause."""

import asyncio
import base64
import time
from dataclasses import dataclass

from lab import certificates

from .addresses import fresh

# Logins under way at the same time.
LOGINS_AT_ONCE = 64


@dataclass
class Told:
    """How a session ended."""

    is_busy: bool
    # The last line, and when it came.
    words: bytes = b""
    ended: float = 0.0
    # The end came in the middle of a response.
    is_cut: bool = False


class Crowd:
    """`idle` and `busy` sessions of `account`, which are logged in when `begin` returns."""

    def __init__(self, loop, endpoint, account):
        self.loop, self.endpoint, self.account = loop, endpoint, account
        self.context, self.tasks = certificates.trusting(endpoint.ca), []

    def begin(self, idle, busy):
        self.loop.call(self._begin([False] * idle + [True] * busy))

    def ended(self, limit):
        """What became of each, when all have ended."""
        async def gather():
            return await asyncio.wait_for(asyncio.gather(*self.tasks), limit)
        return self.loop.call(gather(), limit + 10)

    async def _begin(self, kinds):
        gate = asyncio.Semaphore(LOGINS_AT_ONCE)
        opened = await asyncio.gather(*(self._log_in(gate) for _ in kinds))
        self.tasks = [asyncio.create_task(self._session(is_busy, *streams)) for is_busy, streams in zip(kinds, opened)]

    async def _log_in(self, gate):
        async with gate:
            streams = await asyncio.open_connection(
                self.endpoint.host, self.endpoint.port, ssl=self.context, server_hostname=self.endpoint.server_name,
                local_addr=(fresh(), 0))
            reader, writer = streams
            await reader.readline()
            initial = base64.b64encode(b"\0" + self.account.encode() + b"\0any")
            writer.write(b"a AUTHENTICATE PLAIN " + initial + b"\r\n")
            while (line := await reader.readline()).startswith(b"*"):
                pass
            assert line.startswith(b"a OK"), line
            return streams

    async def _session(self, is_busy, reader, writer):
        told = Told(is_busy)
        command = b"b FETCH 1 BODY[]\r\n" if is_busy else b"b IDLE\r\n"
        writer.write(command)
        is_inside = is_busy
        try:
            while line := await reader.readline():
                told.words, told.ended = line, time.monotonic()
                if line.startswith(b"b OK"):
                    is_inside = False
                    writer.write(command)
                elif b"FETCH" in line:
                    is_inside = True
        except (ConnectionError, asyncio.LimitOverrunError, ValueError) as error:
            told.words = repr(error).encode()
        told.is_cut = is_inside and not told.words.startswith(b"* BYE")
        writer.close()
        return told
