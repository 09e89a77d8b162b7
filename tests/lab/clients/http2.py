"""An HTTP/2 client with as many streams as it is told, over python3-h2; `frame` sends what that would refuse to."""

import ssl
import struct

import h2.config
import h2.connection
import h2.events

from lab import certificates

from .http1 import Answer
from .talk import Closed, Talk

HEADERS, RST_STREAM, CONTINUATION = 1, 3, 9
END_STREAM, END_HEADERS = 1, 4


class Http2(Talk):
    protocol = "http"

    def __init__(self, endpoint, source="127.2.0.1"):
        super().__init__(endpoint, source, is_greeted=False)
        self.name, self.answers, self.ended, self.reset_by_peer = endpoint.server_name, {}, set(), {}
        self.goodbye, self.settings = None, {}
        config = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.flush()

    def handshake(self, context=None, session=None):
        context = context or certificates.trusting(self.endpoint.ca)
        context.set_alpn_protocols(["h2"])
        super().handshake(context, session)
        if self.socket.selected_alpn_protocol() != "h2":
            raise ssl.SSLError("the peer speaks no h2")

    def flush(self):
        if data := self.h2.data_to_send():
            self.socket.sendall(data)

    # Requests.

    def ask(self, method, target, fields=(), body=None, is_last=True, protocol=None):
        """Begins a stream and returns its number. `protocol`: of an extended CONNECT (RFC 8441)."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", self.name), (":path", target)]
        if protocol:
            pseudo.append((":protocol", protocol))
        self.h2.send_headers(stream, [*pseudo, *((name.lower(), value) for name, value in fields)], end_stream=is_last and body is None)
        self.flush()
        if body is not None:
            self.send_body(stream, body, is_last)
        return stream

    def send_body(self, stream, data, is_last=True):
        """As the windows allow."""
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.pump()
                continue
            self.h2.send_data(stream, data[:room])
            data = data[room:]
            self.flush()
        if is_last:
            self.h2.end_stream(stream)
            self.flush()

    def request(self, method, target, fields=(), body=None):
        return self.answer(self.ask(method, target, fields, body))

    def get(self, target, *fields):
        return self.request("GET", target, fields)

    # Answers.

    def pump(self):
        """Takes in what comes next; raises at the end of the connection."""
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionError, ssl.SSLEOFError):
            data = b""
        if not data:
            raise Closed(self.report(f"the connection ended; goodbye: {self.goodbye}"))
        for event in self.h2.receive_data(data):
            self._take(event)
        self.flush()

    def _take(self, event):
        self.said.append(f"S: {event}"[:300])
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ResponseReceived):
            fields = [(_text(name), _text(value)) for name, value in event.headers]
            self.answers[stream] = Answer(int(dict(fields)[":status"]), fields[1:])
        elif isinstance(event, h2.events.DataReceived):
            self.answers[stream].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            self.answers[stream].trailers = [(_text(name), _text(value)) for name, value in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(stream)
        elif isinstance(event, h2.events.StreamReset):
            self.reset_by_peer[stream] = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goodbye = event.error_code
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.settings |= {int(code): change.new_value for code, change in event.changed_settings.items()}

    def wait(self, is_there):
        while not is_there():
            self.pump()

    def head(self, stream):
        """As soon as the head is there."""
        self.wait(lambda: stream in self.answers or stream in self.reset_by_peer)
        return self.answers.get(stream)

    def answer(self, stream):
        """The whole answer."""
        self.wait(lambda: stream in self.ended or stream in self.reset_by_peer)
        assert stream in self.ended, self.report(f"stream {stream} was reset")
        return self.answers[stream]

    # Bytes past the library.

    def frame(self, kind, flags, stream, payload=b""):
        """Not flushed through the library's state: for what no client does."""
        self.socket.sendall(raw_frame(kind, flags, stream, payload))


def raw_frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def _text(value):
    return value if isinstance(value, str) else value.decode()
