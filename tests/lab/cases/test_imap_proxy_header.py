"""The PROXY header that a balancer puts before a connection: believed from those we trust, and from nobody else."""

from clients import proxy_header
from clients.addresses import fresh
from lab.layout import ACCOUNTS, address

from .base import Case

ALICE = address("alice")
CLIENT4, CLIENT6 = "203.0.113", "2001:db8::7"
BALANCER = 3


class Inbound(Case):
    def seen_as(self, talk):
        """Logs in and returns what the backend logged of it."""
        since = self.old.logs.mark()
        self.assert_ok(talk.secure().login(ALICE, ACCOUNTS[ALICE]))
        return self.old.logs.wait(since, what="Login", user=ALICE)

    def through(self, kind, header, source=None):
        return self.dial(kind, source=source or fresh(BALANCER), header=header)

    def test_both_versions_and_families(self):
        clients = ((f"{CLIENT4}.7", 4711, "198.51.100.9"), (CLIENT6, 4712, "2001:db8::9"))
        for kind in ("optional", "required"):
            for version in (proxy_header.v1, proxy_header.v2):
                for client, port, local in clients:
                    with self.subTest(kind, version=version.__name__, client=client):
                        entry = self.seen_as(self.through(kind, version((client, port), (local, 993))))
                        self.assertEqual((entry["client"], entry["port"], entry["local"]), (client, str(port), local))

    def test_tlvs_are_skipped(self):
        tlvs = proxy_header.tlv(0x02, b"mail.example.org") + proxy_header.tlv(0xEE, b"x" * 1000)
        header = proxy_header.v2((f"{CLIENT4}.8", 4713), ("198.51.100.9", 993), tlvs)
        self.assertEqual(self.seen_as(self.through("required", header))["client"], f"{CLIENT4}.8")

    def test_in_pieces(self):
        for header in (proxy_header.v1((f"{CLIENT4}.9", 4714), ("198.51.100.9", 993)),
                       proxy_header.v2((f"{CLIENT4}.9", 4714), ("198.51.100.9", 993))):
            talk = self.dial("optional", source=fresh(BALANCER), is_greeted=False)
            for byte in header:
                talk.send_alone(bytes([byte]))
            talk.greeting = talk.greet()
            self.assertEqual(self.seen_as(talk)["client"], f"{CLIENT4}.9")

    def test_local_keeps_the_sockets_addresses(self):
        for kind in ("optional", "required"):
            source = fresh(BALANCER)
            talk = self.through(kind, proxy_header.frame(proxy_header.LOCAL, proxy_header.UNSPEC), source)
            self.assertEqual(self.seen_as(talk)["client"], source)

    def test_optional_means_optional(self):
        for source in (fresh(BALANCER), fresh()):
            with self.subTest(source):
                # A balancer that sends none may speak first, or wait for the greeting as a client does.
                talk = self.dial("optional", source=source, is_greeted=False)
                talk.say("a NOOP")
                talk.script("S: * OK ...\nS: a OK ...")
                self.assertEqual(self.seen_as(talk)["client"], source)

    def test_optional_does_not_read_a_strangers(self):
        source = fresh()
        header = proxy_header.v1((f"{CLIENT4}.66", 4715), ("198.51.100.9", 993))
        talk = self.dial("optional", source=source, header=header)
        self.assertRegex(talk.line(), "^PROXY BAD ")
        self.assertEqual(self.seen_as(talk)["client"], source)

    def test_required_refuses_strangers(self):
        header = proxy_header.v2((f"{CLIENT4}.66", 4716), ("198.51.100.9", 993))
        for sent in (header, b""):
            with self.assertRaises((OSError, AssertionError)):
                self.dial("required", header=sent)

    def test_wrong_headers_are_refused(self):
        whole = proxy_header.v2((f"{CLIENT4}.66", 4717), ("198.51.100.9", 993))
        wrong = {
            "none": b"",
            "another version": whole[:12] + b"\x31" + whole[13:],
            "an unknown command": whole[:12] + b"\x22" + whole[13:],
            "addresses cut short": proxy_header.frame(proxy_header.PROXY, proxy_header.TCP4, b"\0" * 4),
            "too long": proxy_header.frame(proxy_header.PROXY, proxy_header.TCP4, b"\0" * 5000),
            "v1 without an end": b"PROXY TCP4 " + b"1" * 600,
            "v1 of another family": b"PROXY TCP6 203.0.113.66 198.51.100.9 4711 993\r\n",
            "v1 with a port too large": b"PROXY TCP4 203.0.113.66 198.51.100.9 4711 70000\r\n",
            "v1 with words missing": b"PROXY TCP4 203.0.113.66\r\n",
        }
        for name, header in wrong.items():
            with self.subTest(name), self.assertRaises((OSError, AssertionError)):
                self.dial("required", source=fresh(BALANCER), header=header)
        # The listener serves those who do it right, as before.
        self.assertEqual(self.seen_as(self.through("required", whole))["client"], f"{CLIENT4}.66")


class Fronts(Case):
    """IMAP's ID from a webmail that we trust names the real client."""

    ID = 'ID ("name" "webmail" "x-originating-ip" "203.0.113.77" "x-originating-port" "4718")'

    def test_a_trusted_front_is_believed(self):
        self.assertEqual(self.client_after_id("fronted", fresh(4)), "203.0.113.77")

    def test_others_are_not(self):
        for kind, source in (("fronted", fresh()), ("implicit", fresh(4))):
            with self.subTest(kind):
                self.assertEqual(self.client_after_id(kind, source), source)

    def client_after_id(self, kind, source):
        since = self.old.logs.mark()
        talk = self.dial(kind, source=source)
        talk.ok(self.ID)
        self.assert_ok(talk.login(ALICE, ACCOUNTS[ALICE]))
        return self.old.logs.wait(since, what="Login", user=ALICE)["client"]
