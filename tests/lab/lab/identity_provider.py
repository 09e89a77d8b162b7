"""An OAuth identity provider: RFC 7662 introspection at `/introspect`, OpenID Connect's `/userinfo`."""

import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .tokens import KNOWN


class IdentityProvider(ThreadingHTTPServer):
    """Answers for the tokens of `tokens.py`; `asked` holds every (path, token), for tests of caching."""

    # Of a token, in seconds, from the moment it is asked about.
    lifetime = 3600

    daemon_threads = True
    allow_reuse_address = True
    # Dovecot asks for every login, and a test may log hundreds in at once.
    request_queue_size = 256

    def __init__(self, host, port):
        self.asked, self.silence = [], threading.Event()
        super().__init__((host, port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.silence.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._handle("")

    def do_POST(self):
        self._handle(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace"))

    def _handle(self, body):
        url = urllib.parse.urlsplit(self.path)
        token = self._token(urllib.parse.parse_qs(body), urllib.parse.parse_qs(url.query))
        self.server.asked.append((url.path, token))
        known = KNOWN.get(token)
        account = known.account if known and known.is_active else None
        if url.path == "/introspect":
            self._answer(200, _introspection(account, self.server.lifetime))
        elif url.path == "/userinfo" and account:
            self._answer(200, {"sub": account, "email": account, "preferred_username": account})
        elif url.path == "/userinfo":
            self._answer(401, {"error": "invalid_token"})
        elif url.path == "/silence":
            self.server.silence.wait(20)
        else:
            self._answer(404, {"error": "not_found"})

    def _token(self, form, query):
        if given := form.get("token") or query.get("token"):
            return given[0]
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""

    def _answer(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _introspection(account, lifetime):
    if account is None:
        return {"active": False}
    return {"active": True, "username": account, "sub": account, "email": account,
            "exp": int(time.time()) + lifetime, "scope": "mail"}
