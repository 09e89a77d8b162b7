"""Clients that people use: curl, nghttp, h2load, Python's `websockets`, a JMAP library."""

import asyncio
import json
import re
import ssl
import subprocess

import websockets

from clients.addresses import fresh
from lab.layout import DOMAIN, SIDES
from lab.waiting import until
from lab.web import layout

from .web import Web, login, login_at

NAME = f"mail.{DOMAIN}"


class Commands(Web):
    def command(self, *words, allowed=(0,), **named):
        done = subprocess.run([str(word) for word in words], capture_output=True, timeout=60, **named)
        self.assertIn(done.returncode, allowed, (words, done.stdout[-1000:], done.stderr[-1000:]))
        return done.stdout.decode()

    def curl(self, version, *words, account=None, **named):
        endpoint, source = self.endpoint(), fresh()
        account = account or layout.account("old")
        return self.command("curl", "-sS", f"--http{version}", "--cacert", endpoint.ca, "--interface", source,
                            "--resolve", f"{NAME}:{endpoint.port}:{endpoint.host}", "-u", f"{account}:{layout.password(account)}",
                            *words, **named)

    def url(self, path):
        return f"https://{NAME}:{self.endpoint().port}{path}"


class Curl(Commands):
    def test_webdav(self):
        """To a real nginx, which is asked in HTTP/1.1 with a PROXY header, and in HTTP/2 without."""
        for version in ("1.1", "2"):
            for side in SIDES:
                for way in ("dav", "dav2"):
                    with self.subTest(version, side=side, way=way):
                        told = len(self.backends.dav[side].log())
                        self.webdav(version, f"{side}-{way}")
                        if way == "dav":
                            # nginx writes a line when it has answered.
                            lines = until(lambda: self.backends.dav[side].log()[told:], "nginx has logged nothing")
                            self.assertRegex(lines[0], r'^\S+ "127\.2\.')

    def webdav(self, version, destination):
        account, folder = layout.account(destination), f"/{destination}-{version}"
        status = ["-o", "/dev/null", "-w", "%{http_code} %{http_version}"]
        def dav(method, path, *words, **named):
            code, spoken = self.curl(version, *status, "-X", method, self.url(folder + path), *words, account=account, **named).split()
            self.assertEqual(spoken, version)
            return int(code)
        self.assertEqual(dav("MKCOL", "/"), 201)
        self.assertEqual(dav("PUT", "/a%20b.ics", "--data-binary", "@-", input=b"BEGIN:VCALENDAR" * 10_000), 201)
        self.assertEqual(self.curl(version, self.url(folder + "/a%20b.ics"), account=account), "BEGIN:VCALENDAR" * 10_000)
        self.assertEqual(dav("COPY", "/a%20b.ics", "-H", f"Destination: {self.url(folder + '/c.ics')}"), 204)
        self.assertEqual(dav("MOVE", "/c.ics", "-H", f"Destination: {self.url(folder + '/d.ics')}"), 204)
        listing = self.curl(version, "-X", "PROPFIND", "-H", "Depth: 1", self.url(folder + "/"), account=account)
        self.assertEqual(sorted(re.findall(r"<D:href>[^<]*/([^</]+)</D:href>", listing)), ["a%20b.ics", "d.ics"])
        self.assertEqual(dav("DELETE", "/d.ics"), 204)
        self.assertEqual(dav("DELETE", "/", ), 204)

    def test_many_at_once(self):
        for version in ("1.1", "2"):
            out = self.curl(version, "--parallel", "--parallel-max", "20", "-o", "/dev/null", "-w", "%{http_code}\n", self.url("/x?[1-60]"))
            self.assertEqual(out.split(), ["200"] * 60)

    def test_an_upload_with_expect(self):
        for version in ("1.1", "2"):
            out = self.curl(version, "-H", "Expect: 100-continue", "--data-binary", "@-", self.url("/x"), input=b"x" * 3_000_000)
            self.assertEqual(json.loads(out)["size"], 3_000_000)


class Nghttp2(Commands):
    def test_nghttp(self):
        endpoint = self.endpoint()
        urls = [f"https://{endpoint.host}:{endpoint.port}/x/{number}" for number in range(10)]
        for name, side in (("alice", "old"), ("bob", "new")):
            out = self.command("nghttp", "-v", "-m", "3", "-H", ": ".join(login(name)), *urls)
            self.assertEqual(len(re.findall(r":status: 200", out)), 30)
            self.assertEqual(len(re.findall(rf"x-side: {side}", out)), 30)

    def test_h2load(self):
        endpoint = self.endpoint()
        for version in ("--npn-list=h2", "--h1"):
            out = self.command("h2load", version, "-n", "1000", "-c", "8", "-m", "20" if "h2" in version else "1",
                               "-H", ": ".join(login("bob")), f"https://{endpoint.host}:{endpoint.port}/x")
            self.assertRegex(out, r"1000 succeeded, 0 failed, 0 errored")
            self.assertRegex(out, r"status codes: 1000 2xx")


class Libraries(Web):
    def test_websockets(self):
        endpoint = self.endpoint()
        context = ssl.create_default_context(cafile=endpoint.ca)

        async def talk(side):
            name, value = login_at(f"{side}-socket")
            async with websockets.connect(f"wss://{NAME}:{endpoint.port}/ws", host=endpoint.host, port=endpoint.port, ssl=context,
                                          subprotocols=["jmap"], extra_headers={name: value}, max_size=None) as socket:
                said = [await socket.recv()]
                for message in ("hello", "x" * 1_000_000):
                    await socket.send(message)
                    said.append(await socket.recv())
                return socket.subprotocol, said
        for side in SIDES:
            self.assertEqual(asyncio.run(talk(side)), ("jmap", [f"I am {side}", "hello", "x" * 1_000_000]))
