"""An IMAP server for thousands of sessions, which would be as many processes of Dovecot: one thread, made-up answers."""

import asyncio
import threading

GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN IDLE COMPRESS=DEFLATE] ready\r\n"
# What a FETCH is answered with: a literal that comes in pieces, so that a session is in the middle of it most of the time.
PIECES, PIECE, PACE = 20, b"x" * 1000, 0.05


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def call(self, coroutine, limit=120):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(limit)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class Many:
    """Listens on `host`:`port`. Takes every password."""

    def __init__(self, host, port):
        self.loop = Loop()
        self.server = self.loop.call(asyncio.start_server(self._serve, host, port, backlog=1024))

    async def _serve(self, reader, writer):
        try:
            writer.write(GREETING)
            while line := await reader.readline():
                await self._answer(line.split(), writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, words, writer):
        tag, verb = words[0], words[-1 if len(words) == 1 else 1].upper()
        if verb == b"CAPABILITY":
            writer.write(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN IDLE COMPRESS=DEFLATE\r\n")
        if verb == b"IDLE":
            writer.write(b"+ idling\r\n")
            return
        if verb == b"FETCH":
            writer.write(b"* 1 FETCH (BODY[] {%d}\r\n" % (PIECES * len(PIECE)))
            for _ in range(PIECES):
                writer.write(PIECE)
                await asyncio.sleep(PACE)
            writer.write(b")\r\n")
        writer.write(b"%s OK done\r\n" % tag)
        if verb == b"LOGOUT":
            writer.close()

    def stop(self):
        async def close():
            self.server.close()
        self.loop.call(close())
        self.loop.close()
