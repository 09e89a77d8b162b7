"""One side's WebSocket server: Python's `websockets`, which echoes after it has said where it is."""

import asyncio
import ssl
import threading

import websockets

# RFC 8887's; a client that asks for none gets none.
SUBPROTOCOL = "jmap"
MAX_MESSAGE = 32 * 1024 * 1024


class Sockets:
    """Its own thread with an event loop. `open`: how many conversations there are at this moment."""

    def __init__(self, name, host, port, pair):
        self.name, self.open, self.loop, self.server = name, 0, asyncio.new_event_loop(), None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._run(self._listen(host, port, context))

    async def _listen(self, host, port, context):
        self.server = await websockets.serve(
            self._converse, host, port, ssl=context, subprotocols=[SUBPROTOCOL], max_size=MAX_MESSAGE, ping_interval=None)

    async def _converse(self, socket):
        self.open += 1
        try:
            await socket.send(f"I am {self.name}")
            async for message in socket:
                await socket.send(message)
        except websockets.ConnectionClosed:
            pass
        finally:
            self.open -= 1

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def stop(self):
        self.server.close()
        self._run(self.server.wait_closed())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
