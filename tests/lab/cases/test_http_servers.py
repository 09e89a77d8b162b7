"""Servers and clients that people run, in pairs: what one of them is particular about, and the proxy once got wrong."""

import json
import time
from pathlib import Path

from clients.websocket import WebSocket, WebSocket2
from lab import process
from lab.layout import DOMAIN
from lab.waiting import answers, until
from lab.web import layout
from lab.web.apache import Apache
from lab.web.node import Node

from .test_http_clients import Commands
from .web import login_at

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
NAME = f"mail.{DOMAIN}"
VERSIONS = ("1.1", "2")
# Seconds; the servers' default is 5.
KEEP_ALIVE = 1


class Servers(Commands):
    """Each test has a server of its own at the destination `made`, which its account leads to."""

    number = 0

    def folder(self):
        Servers.number += 1
        return self.lab.dir / f"server-{Servers.number}"

    def place(self):
        return self.lab.block.host(layout.MADE_HOST), layout.MADE_PORT

    def begun(self, server):
        self.addCleanup(server.stop)
        until(lambda: answers(*self.place()), "the server does not answer")
        return server

    def node(self, version):
        return self.begun(Node(self.folder(), version, *self.place(), self.old.pair, KEEP_ALIVE))

    def apache(self):
        return self.begun(Apache(self.folder(), *self.place(), KEEP_ALIVE))

    def proxy_to(self, **leg):
        """A proxy whose leg of the destination `made` has these settings."""
        def change(document):
            made = document["destination"]["made"]
            made["protocol"]["http"] |= leg
            made["allow_plaintext_auth"] = True
        return self.web_proxy(change)

    def curl_at(self, proxy, version, *words, **named):
        endpoint = self.endpoint(proxy=proxy)
        account = layout.account("made")
        return self.command("curl", "-sS", f"--http{version}", "--cacert", endpoint.ca, "--resolve", f"{NAME}:{endpoint.port}:{endpoint.host}",
                            "-u", f"{account}:{layout.password(account)}", *words, **named)

    def url_at(self, proxy, path):
        return f"https://{NAME}:{self.endpoint(proxy=proxy).port}{path}"


class WebDav(Servers):
    def test_copy_and_move_over_a_leg_without_tls(self):
        """`Destination` names https, and Apache serves http: it answered 502."""
        self.apache()
        proxy = self.proxy_to(tls="plain")
        for version in VERSIONS:
            def dav(method, path, *words, **named):
                status = ["-o", "/dev/null", "-w", "%{http_code}"]
                return int(self.curl_at(proxy, version, *status, "-X", method, self.url_at(proxy, path), *words, **named))
            with self.subTest(version):
                self.assertEqual(dav("MKCOL", f"/{version}/"), 201)
                self.assertEqual(dav("PUT", f"/{version}/a%20b", "--data-binary", "@-", input=b"hello"), 201)
                self.assertEqual(dav("COPY", f"/{version}/a%20b", "-H", f"Destination: {self.url_at(proxy, f'/{version}/c')}"), 201)
                self.assertEqual(dav("MOVE", f"/{version}/c", "-H", f"Destination: {self.url_at(proxy, f'/{version}/d')}"), 201)
                self.assertEqual(self.curl_at(proxy, version, self.url_at(proxy, f"/{version}/d")), "hello")


class KeepAlive(Servers):
    """Requests that come just when the server ends a connection that the proxy keeps: it closes it, or has closed it."""

    def test_apache(self):
        self.apache()
        self.ask_about_the_end(self.proxy_to(tls="plain"), ("PUT", "PROPFIND"))

    def test_node(self):
        self.node("1.1")
        self.ask_about_the_end(self.proxy_to(), ("PUT", "REPORT"))

    def ask_about_the_end(self, proxy, methods):
        client = self.http1(proxy=proxy)
        fields = [login_at("made"), ("Depth", "0")]
        for share in (0.7, 0.76, 0.95, 0.99, 1.0, 1.01, 1.1):
            for method in methods:
                with self.subTest(share=share, method=method):
                    body = b"hello" if method == "PUT" else b""
                    client.ask(method, "/file", fields, body)
                    self.assertIn(client.answer().status, (200, 201, 204, 207))
                    # Not a wait for something: the moment of the next request.
                    time.sleep(KEEP_ALIVE * share)


class Interim(Servers):
    """100 and 103 in all four combinations of HTTP versions."""

    def setUp(self):
        super().setUp()
        self.fields = dict([login_at("made")])

    def each(self):
        for backend in VERSIONS:
            server = self.node(backend)
            proxy = self.proxy_to(version="2") if backend == "2" else self.proxy_to()
            for client in VERSIONS:
                yield client, backend, proxy
            server.stop()

    def node_client(self, proxy, version, path, size):
        endpoint = self.endpoint(proxy=proxy)
        origin = f"https://{endpoint.host}:{endpoint.port}"
        out = self.command("node", CLIENTS / "node_client.js", version, endpoint.ca, origin, "PUT", path, self.fields["Authorization"], size)
        return json.loads(out)

    def test_continue_for_node(self):
        for version, backend, proxy in self.each():
            with self.subTest(client=version, backend=backend):
                seen = self.node_client(proxy, version, "/file", 100_000)
                self.assertEqual((seen["status"], seen["continued"]), (200, True))
                told = json.loads(seen["body"])
                self.assertEqual((told["size"], told["told"]), (100_000, True))

    def test_early_hints_for_node(self):
        for version, backend, proxy in self.each():
            with self.subTest(client=version, backend=backend):
                seen = self.node_client(proxy, version, "/hints", 0)
                self.assertEqual((seen["status"], seen["hints"]), (200, ["</style.css>; rel=preload; as=style"]))

    def test_continue_for_curl_and_nghttp(self):
        for version, backend, proxy in self.each():
            with self.subTest(client=version, backend=backend):
                expect = ["-H", "Expect: 100-continue", "--expect100-timeout", "15"]
                out = self.curl_at(proxy, version, *expect, "-T", "-", self.url_at(proxy, "/file"), input=b"x" * 100_000)
                self.assertEqual(json.loads(out)["size"], 100_000)
                if version == "2":
                    endpoint = self.endpoint(proxy=proxy)
                    out = self.command("nghttp", "-v", "--expect-continue", "-d", CLIENTS / "node_client.js", "-H", ":method: PUT",
                                       "-H", f"authorization: {self.fields['Authorization']}",
                                       f"https://{endpoint.host}:{endpoint.port}/file")
                    self.assertRegex(out, r":status: 100[\s\S]*:status: 200")

    def test_continue_for_the_jdk(self):
        for version, backend, proxy in self.each():
            with self.subTest(client=version, backend=backend):
                endpoint, store = self.endpoint(proxy=proxy), self.folder()
                process.run("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", endpoint.ca, "-keystore", store,
                            "-storepass", "changeit")
                # The certificate names the host, the URL its address.
                out = self.command("java", "-Djdk.internal.httpclient.disableHostnameVerification=true", CLIENTS / "JavaClient.java",
                                   version, store, f"https://{endpoint.host}:{endpoint.port}/file", self.fields["Authorization"], "100000")
                spoken = "HTTP_2" if version == "2" else "HTTP_1_1"
                self.assertRegex(out, rf"^200 {spoken} ")
                self.assertEqual(json.loads(out.split(" ", 2)[2])["size"], 100_000)


class Particular(Servers):
    def test_the_spelling_of_an_upgrade(self):
        """For servers that compare `Upgrade` and `websocket` byte for byte, whichever way the client has written them."""
        self.node("1.1")
        proxy = self.proxy_to()
        for kind, client in ((WebSocket, self.http1(proxy=proxy)), (WebSocket2, self.http2(proxy=proxy))):
            with self.subTest(kind.__name__):
                self.assertEqual(kind(client, "/ws", [login_at("made")]).text(), "hi")

    def test_a_slash_in_the_name_of_a_download(self):
        self.node("1.1")
        proxy = self.proxy_to()
        for name in ("Angebot%201%2F2026.pdf", "a%5Cb", "a%0Ab"):
            for version in VERSIONS:
                path = f"/jmap/download/u1/b1/{name}?accept=application/pdf"
                with self.subTest(path, version=version):
                    told = json.loads(self.curl_at(proxy, version, "--path-as-is", self.url_at(proxy, path)))
                    self.assertEqual(told["url"], path)

    def test_an_early_success_does_not_cut_the_upload(self):
        self.node("1.1")
        proxy = self.proxy_to()
        size = 2_000_000
        for version in VERSIONS:
            with self.subTest(version):
                upload = ["--limit-rate", "2M", "--data-binary", "@-", self.url_at(proxy, "/early")]
                self.assertEqual(self.curl_at(proxy, version, *upload, input=b"x" * size), "early")
                def uploaded():
                    return json.loads(self.curl_at(proxy, version, self.url_at(proxy, "/file")))["uploaded"] == size
                until(uploaded, "the server did not get the whole upload")

    def test_an_offer_of_h2c_is_ignored(self):
        """curl and nghttp offer it on http://, and so does the JDK."""
        self.node("1.1")
        proxy = self.proxy_to()
        endpoint = self.endpoint("plain", proxy)
        url = f"http://{endpoint.host}:{endpoint.port}/file"
        account = layout.account("made")
        out = self.command("curl", "-sS", "--http2", "-u", f"{account}:{layout.password(account)}", "-w", " %{http_version}", url)
        self.assertRegex(out, r'"url":"/file".* 1\.1$')
        out = self.command("nghttp", "-v", "-u", "-H", f"authorization: {dict([login_at('made')])['Authorization']}", url, allowed=(0, 1))
        self.assertNotIn("400 Bad Request", out)
