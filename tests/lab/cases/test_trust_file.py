"""`resources/dovecot-postfix-trust.conf`, applied to a real Dovecot and Postfix: the client's address arrives there."""

from clients.imap import Imap
from clients.managesieve import ManageSieve
from clients.pop3 import Pop3
from clients.smtp import Smtp
from clients.submission import Submission
from lab import trust
from lab.configuration import destination, passing
from lab.layout import ACCOUNTS, MASTER, MASTER_PASSWORD, address
from lab.side import Side

from .base import Case

# Hosts: the server, the proxy and the two for mail, and the addresses that they connect from.
SERVER, PROXY, MAIL, TRUSTED, OTHER = 100, 101, (102, 103), 104, 105
ALICE, BOB, CAROL = address("alice"), address("bob"), address("carol")
# The listeners with a PROXY header in the file. The laboratory's own have these ports, too, so the test adds to them.
LISTENERS = {"imap": (10993, "implicit"), "pop3": (10995, "implicit"), "managesieve": (14190, "starttls")}
ADDED = 30000


class TrustFile(Case):
    needs_postfix = True

    def setUp(self):
        super().setUp()
        self.trusted, self.other = (self.lab.block.host(number) for number in (TRUSTED, OTHER))
        self.server = self.start_server()

    def start_server(self):
        """A server with all sections of the file but the other syntax's and Postfix's listeners."""
        listeners = trust.section("PROXY listeners", "Dovecot 2.3", proxy=self.trusted)
        for port, _ in LISTENERS.values():
            listeners = listeners.replace(f"port = {port}\n", f"port = {port + ADDED}\n")
        master = trust.section("master user", "Dovecot 2.3", proxy=self.trusted)
        # A folder for each test: Postfix's processes outlive their master for a moment, and use its sockets.
        name = f"trusting-{self._testMethodName}"
        masters = str(self.lab.dir / name / "masters")
        dovecot = trust.section("trusted networks", proxy=self.trusted) + listeners
        dovecot += master.replace("/etc/dovecot/master-users", f"scheme=PLAIN username_format=%n {masters}")
        provider = f"{self.lab.block.provider}:{self.lab.block.provider_port}"
        server = Side(name, self.lab.block.host(SERVER), self.lab.dir, provider, True, dovecot,
                      trust.section("main.cf", proxy=self.trusted))
        self.addCleanup(server.stop)
        server.start()
        server.wait()
        return server

    def configuration(self, document):
        """The same server three times: from the address that it trusts, from another, and with a PROXY header."""
        by_xclient = destination(self.server, "starttls", "xclient")
        proxied = {protocol: {"port": port + ADDED, "tls": tls} for protocol, (port, tls) in LISTENERS.items()}
        document["destination"] = {
            "old": by_xclient | {"source_ips": [self.trusted]},
            "other": by_xclient | {"source_ips": [self.other]},
            "proxied": by_xclient | {"source_ips": [self.trusted], "forwarding": "proxy", "protocol": proxied},
        }
        document["routing"]["default_destination"] = "old"
        document["listener"] = {
            name: listener for name, listener in document["listener"].items()
            if name.endswith("-implicit") and listener["protocol"] != "http"}
        # Dovecot's submission service takes no PROXY header. Every destination needs the leg; no account uses this one.
        proxied["submission"] = by_xclient["protocol"]["submission"]

    def log_in(self, proxy, client, account, user=None, password=None):
        """Whose address the server logs for a login, and the client's own."""
        since = self.server.logs.mark()
        talk = self.dial(client=client, proxy=proxy)
        self.assert_ok(talk.login(user or account, password or ACCOUNTS[account]))
        entry = self.server.logs.wait(since, what="Login", user=account)
        return entry["client"], talk.source

    def test_dovecot(self):
        proxy = self.extra_proxy("trust-file", PROXY, self.configuration, {BOB: "other", CAROL: "proxied"})
        for client in (Imap, Pop3, ManageSieve, Submission):
            with self.subTest(client.protocol):
                seen, own = self.log_in(proxy, client, ALICE)
                self.assertEqual(seen, own)
                seen, _ = self.log_in(proxy, client, BOB)
                self.assertEqual(seen, self.other, "the address that is not in the file is not believed")
        for client in (Imap, Pop3, ManageSieve):
            with self.subTest(client.protocol, forwarding="proxy"):
                seen, own = self.log_in(proxy, client, CAROL)
                self.assertEqual(seen, own)
        with self.subTest("master user"):
            seen, own = self.log_in(proxy, Imap, ALICE, f"{ALICE}*{MASTER}", MASTER_PASSWORD.encode())
            self.assertEqual(seen, own)

    def test_postfix(self):
        for number, source in zip(MAIL, (self.trusted, self.other), strict=True):
            with self.subTest(source=source):
                def change(document, source=source):
                    passing(self.server.host, self.server, "xclient")(document)
                    document["destination"]["mail"]["source_ips"] = [source]
                proxy = self.extra_proxy(f"trust-file-{number}", number, change)
                since, talk = self.server.logs.mark(), self.dial("plain", Smtp, proxy=proxy)
                talk.begin("x@example.net", ALICE)
                # The connection by which the lab finds that the proxy listens is passed through, too.
                self.server.logs.wait(since, what="message", client=talk.source if source == self.trusted else source)
