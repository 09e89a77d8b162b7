"""The stand-ins for Stalwart respond as the recorded servers did: every recorded conversation is played again."""

import base64

from clients import proxy_header, recording
from clients.addresses import fresh
from clients.http1 import Http
from clients.talk import Talk
from lab.layout import ACCOUNTS, address
from lab.stalwart.managesieve import CLIENT_USES_TLS, SSL_TLV
from lab.stalwart.version import VERSIONS

from .stalwart import STAND_IN_HOST, WithStalwart

ALICE = address("alice")
# Title of a recorded conversation -> port; other titles are those of HTTP.
PORTS = {
    "IMAP, implicit TLS": "imaps",
    "IMAP LOGIN, wrong four times": "imaps",
    "IMAP, LOGIN right": "imaps",
    "POP3, implicit TLS": "pop3s",
    "ManageSieve, STARTTLS, PROXY header without the SSL TLV": "sieve",
    "ManageSieve, PROXY header with an SSL TLV: STARTTLS is not offered": "sieve",
    "Submission, implicit TLS": "submissions",
    "Submission, STARTTLS": "submission",
    "SMTP port 25": "smtp",
}
# The stand-in has no autoconfiguration, which no test of the proxy needs.
LEFT_OUT = {"Autoconfig"}
# Fields that depend on the time, or on the length of a body that the recording cuts.
VARIABLE = {"date", "content-length"}


class Recordings(WithStalwart):
    needs_proxy = False

    def test_every_conversation(self):
        for version in VERSIONS:
            server = self.stand_in("old", version, STAND_IN_HOST)
            conversations = recording.conversations(f"stalwart-{version}")
            self.assertEqual(set(PORTS) - set(conversations), set())
            for title, steps in conversations.items():
                with self.subTest(title, version=version.number):
                    if title in PORTS:
                        self.play_lines(server, PORTS[title], "with an SSL TLV" in title, steps)
                    elif title not in LEFT_OUT:
                        self.play_request(server, title, steps)
            server.stop()

    def test_a_proxy_header_is_required(self):
        server = self.stand_in("old", VERSIONS[0], STAND_IN_HOST)
        for port_name in ("sieve", "smtp"):
            with self.subTest(port_name):
                talk = self.dial_endpoint(server.endpoint(port_name), Talk, is_greeted=False)
                talk.say("EHLO client.example.org")
                self.assertEqual(talk.rest(), b"")

    def header(self, endpoint, source, has_ssl_tlv=False):
        tlvs = proxy_header.tlv(SSL_TLV, bytes([CLIENT_USES_TLS, 0, 0, 0, 0])) if has_ssl_tlv else b""
        return proxy_header.v2((source, 40000), (endpoint.host, endpoint.port), tlvs)

    def play_lines(self, server, port_name, has_ssl_tlv, steps):
        endpoint, source = server.endpoint(port_name), fresh()
        talk = self.dial_endpoint(endpoint, Talk, source, header=self.header(endpoint, source, has_ssl_tlv), is_greeted=False)
        for step in steps:
            if step.kind == "C":
                talk.say(with_password(step.text))
            elif step.kind == "S":
                line = talk.line()
                self.assertTrue(recording.is_same(step.text, line), talk.report(f"recorded: {step.text}"))
            elif step.kind == "TLS":
                talk.handshake()
            else:
                self.assertEqual(talk.rest(), b"")

    def play_request(self, server, title, steps):
        asked = [step.text for step in steps if step.kind == "C"]
        recorded = [step.text for step in steps if step.kind == "S"]
        password = "wrong" if "wrong password" in title else "alice-secret"
        credential = base64.b64encode(f"{ALICE}:{password}".encode()).decode()
        endpoint, source = server.https_endpoint(), fresh()
        talk = self.dial_endpoint(endpoint, Http, source, header=self.header(endpoint, source))
        head = [line for line in asked if ": " in line or line.endswith(" HTTP/1.1")]
        body = "".join(line for line in asked if line not in head)
        talk.send("".join(f"{line}\r\n" for line in head).replace("…", credential).encode() + b"\r\n" + body.encode())
        answer = talk.head()
        body_at = next(index for index, line in enumerate(recorded) if line.startswith("…body: "))
        expected = [tuple(line.split(": ", 1)) for line in recorded[1:body_at]]
        self.assertIn(f"S: {recorded[0]} ", talk.said[-1])
        self.assertEqual(fixed(answer.fields), fixed(expected))
        self.assertEqual([name for name, _ in answer.fields], [name for name, _ in expected])
        if length := int(answer.get("content-length", 0)):
            received = b"".join(talk.from_peer.pieces(length)).decode()
            recorded_body = "\n".join(recorded[body_at:]).removeprefix("…body: ")
            self.assertEqual(received[:len(recorded_body)], recorded_body)


def with_password(line):
    """The line with alice's password in place of the ellipsis."""
    if "…" not in line:
        return line
    password = ACCOUNTS[ALICE].decode()
    is_response = "PLAIN" in line
    secret = base64.b64encode(f"\0{ALICE}\0{password}".encode()).decode() if is_response else password
    return line.replace("…", secret)


def fixed(fields):
    """The fields whose values do not vary."""
    return [(name, value) for name, value in fields if name not in VARIABLE]
