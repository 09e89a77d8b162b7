"""HTTP as Stalwart speaks it: JMAP with WebSocket and event source, CalDAV, OAuth. Bodies that the recordings cut are completed."""

import base64
import binascii
import email.utils
import hashlib
import json
import urllib.parse

# RFC 6455 section 1.3.
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE = 0x1, 0x8
CORE = {"maxSizeUpload": 50000000, "maxConcurrentUpload": 4, "maxSizeRequest": 10000000, "maxConcurrentRequests": 4,
        "maxCallsInRequest": 16, "maxObjectsInGet": 500, "maxObjectsInSet": 500,
        "collationAlgorithms": ["i;ascii-numeric", "i;ascii-casemap", "i;unicode-casemap"]}
CAPABILITIES = {"urn:ietf:params:jmap:core": CORE, "urn:ietf:params:jmap:mail": {}, "urn:ietf:params:jmap:calendars": {},
                "urn:ietf:params:jmap:calendars:parse": {}, "urn:ietf:params:jmap:websocket": {"supportsPush": True}}
UNAUTHORIZED = '{"type":"about:blank","status":401,"title":"Unauthorized","detail":"You have to authenticate first."}'
NOT_FOUND = ('{"type":"about:blank","status":404,"title":"Not Found",'
             '"detail":"The requested resource does not exist on this server."}')
UPGRADE_FAILED = '{"type":"about:blank","status":400,"title":"Invalid parameters","detail":"WebSocket upgrade failed"}'
JSON, PROBLEM = "application/json; charset=utf-8", "application/problem+json"
NO_CACHE = ("cache-control", "no-cache")
MULTISTATUS = (
    '<?xml version="1.0" encoding="UTF-8"?><D:multistatus xmlns:D="DAV:" xmlns:A="urn:ietf:params:xml:ns:caldav"><D:response>'
    "<D:href>{href}</D:href><D:propstat><D:prop><D:displayname>{account}</D:displayname><D:resourcetype><D:collection/>"
    "</D:resourcetype><D:supported-report-set><D:supported-report><D:report><D:sync-collection/></D:report></D:supported-report>"
    "<D:supported-report><D:report><A:calendar-query/></D:report></D:supported-report></D:supported-report-set></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>")


class Web:
    """Answers the requests of one stand-in."""

    def __init__(self, server):
        self.server = server

    def answer(self, exchange):
        request = exchange.request
        exchange.read()
        path = request.target.partition("?")[0]
        account, is_refused = self.account(request)
        self.server.log("http", f"{request.method} {path}", exchange.connection.proxied, account or "")
        if path == "/.well-known/jmap":
            redirect(exchange, "/jmap/session")
        elif path == "/.well-known/caldav":
            redirect(exchange, "/dav/cal")
        elif path == "/.well-known/oauth-authorization-server":
            self.oauth_metadata(exchange)
        elif path == "/auth/token":
            respond(exchange, "400 Bad Request", '{"error":"invalid_grant"}', JSON)
        elif path == "/jmap/session" and not is_refused:
            self.jmap_session(exchange, account)
        elif not path.startswith(("/jmap/", "/dav/cal/")):
            self.unknown(exchange)
        elif account is None:
            self.unauthorized(exchange)
        elif path == "/jmap/" and request.method == "POST":
            respond(exchange, "200 OK", echo(request.body), JSON)
        elif path == "/jmap/ws":
            self.websocket(exchange)
        elif path == "/jmap/eventsource/":
            event_source(exchange)
        elif path.startswith("/dav/cal/") and request.method == "PROPFIND":
            self.propfind(exchange, account)
        else:
            self.unknown(exchange)

    def account(self, request):
        """The account of the credentials, and whether there are wrong ones."""
        scheme, _, value = request.get("authorization", "").partition(" ")
        if not scheme:
            return None, False
        account = None
        if scheme.lower() == "bearer":
            account = self.server.account_of_token(value)
        elif scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(value, validate=True).partition(b":")
                account = self.server.account_of_password(user.decode("utf-8", "replace"), password)
            except binascii.Error:
                pass
        return account, account is None

    def unauthorized(self, exchange):
        respond(exchange, "401 Unauthorized", UNAUTHORIZED, PROBLEM,
                ("www-authenticate", self.server.version.bearer_challenge), ("www-authenticate", 'Basic realm="Stalwart Server"'))

    def unknown(self, exchange):
        if self.server.version.redirects_unknown_paths:
            send(exchange, "302 Found", [("location", f"{exchange.request.target}/"), ("content-length", "0")])
        else:
            respond(exchange, "404 Not Found", NOT_FOUND, PROBLEM)

    def oauth_metadata(self, exchange):
        version = self.server.version
        issuer = f"https://{self.server.hostname}{version.issuer_port}"
        document = {"issuer": issuer, "token_endpoint": f"{issuer}/auth/token",
                    "authorization_endpoint": f"{issuer}{version.authorization_path}", "device_authorization_endpoint": f"{issuer}/auth/device",
                    "registration_endpoint": f"{issuer}/auth/register", "introspection_endpoint": f"{issuer}/auth/introspect",
                    "grant_types_supported": ["authorization_code", "refresh_token"]}
        body = compact(document)
        fields = [("content-type", JSON), ("content-length", str(len(body))), *version.cross_origin_fields]
        send(exchange, "200 OK", fields, body)

    def jmap_session(self, exchange, account):
        """Without credentials there are no accounts in it."""
        document = {"capabilities": CAPABILITIES, "accounts": {}, "primaryAccounts": {}, "username": account or ""}
        if account:
            document["accounts"] = {"b": {"name": account, "isPersonal": True, "isReadOnly": False, "accountCapabilities": CAPABILITIES}}
        base = f"https://{self.server.hostname}/jmap"
        document |= {"apiUrl": f"{base}/", "downloadUrl": f"{base}/download/{{accountId}}/{{blobId}}/{{name}}?accept={{type}}",
                     "uploadUrl": f"{base}/upload/{{accountId}}/",
                     "eventSourceUrl": f"{base}/eventsource/?types={{types}}&closeafter={{closeafter}}&ping={{ping}}", "state": "0"}
        respond(exchange, "200 OK", compact(document), JSON)

    def propfind(self, exchange, account):
        body = MULTISTATUS.format(href=f"/dav/cal/{urllib.parse.quote(account)}/", account=account).encode()
        send(exchange, "207 Multi-Status", [("content-length", str(len(body))), ("content-type", "application/xml; charset=utf-8")], body)

    def websocket(self, exchange):
        request = exchange.request
        accepted = ("Upgrade", "upgrade") if self.server.version.accepts_lower_case_upgrade else ("Upgrade",)
        if request.get("connection") not in accepted or request.get("upgrade") != "websocket":
            respond(exchange, "400 Bad Request", UPGRADE_FAILED, PROBLEM)
            return
        digest = hashlib.sha1(f"{request.get('sec-websocket-key')}{WEBSOCKET_GUID}".encode()).digest()
        send(exchange, "101 Switching Protocols", [
            ("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", base64.b64encode(digest).decode()),
            ("sec-websocket-protocol", "jmap")])
        exchange.end()
        echo_messages(exchange)


def redirect(exchange, target):
    send(exchange, "307 Temporary Redirect", [NO_CACHE, ("location", target), ("content-length", "0")])


def respond(exchange, status, body, content_type, *fields):
    data = body if isinstance(body, bytes) else body.encode()
    send(exchange, status, [*fields, ("content-type", content_type), ("content-length", str(len(data)))], data)


def send(exchange, status, fields, body=b""):
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields), f"date: {email.utils.formatdate(usegmt=True)}"]
    exchange.say("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + (b"" if exchange.request.method == "HEAD" else body))


def compact(document):
    return json.dumps(document, separators=(",", ":")).encode()


def event_source(exchange):
    """One ping (RFC 8620 section 7.3), then silence until the client goes."""
    send(exchange, "200 OK", [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("transfer-encoding", "chunked")])
    event = b'event: ping\r\ndata: {"interval":1}\r\n\r\n'
    exchange.say(b"%x\r\n%s\r\n" % (len(event), event))
    exchange.end()
    while exchange.hear():
        pass


def echo(request):
    """The response to a JMAP request whose method calls are all answered as Core/echo is (RFC 8620 section 4)."""
    document = json.loads(request)
    response = {"@type": "Response", "requestId": document["id"]} if "id" in document else {"sessionState": "0"}
    return compact(response | {"methodResponses": document["methodCalls"]})


def echo_messages(exchange):
    """Answers requests on a WebSocket (RFC 8887) until the client closes it."""
    while True:
        opcode, data = next_frame(exchange.connection.source)
        if opcode == CLOSE:
            exchange.say(bytes([0x80 | CLOSE, len(data)]) + data)
            return
        response = echo(data)
        length = bytes([len(response)]) if len(response) < 126 else b"\x7e" + len(response).to_bytes(2, "big")
        exchange.say(bytes([0x80 | TEXT]) + length + response)


def next_frame(source):
    """Opcode and unmasked data of an unfragmented frame (RFC 6455 section 5.2)."""
    first, second = b"".join(source.pieces(2))
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(b"".join(source.pieces(2)), "big")
    mask = b"".join(source.pieces(4))
    data = b"".join(source.pieces(size))
    return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
