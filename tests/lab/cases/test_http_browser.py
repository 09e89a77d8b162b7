"""A person's browser: a page with its assets over HTTP/2, from two servers, and an EventSource."""

import json
import threading

from lab.waiting import until
from lab.web import browser

from .web import Web

ASSETS = 20
PAGE = """<!doctype html><title>made</title>
<script>
const heard = [];
const source = new EventSource("/made/events");
source.onmessage = async event => {
    heard.push(event.data);
    if (heard.length < 3) return;
    source.close();
    const assets = await Promise.all(Array.from({length: %d}, (_, number) =>
        fetch((number %% 2 ? "/open/" : "/made/") + number).then(answer => answer.text())));
    const spoken = performance.getEntriesByType("resource").filter(entry => !entry.name.endsWith("events")).map(entry => entry.nextHopProtocol);
    fetch("/made/done", {method: "POST", body: JSON.stringify({heard, assets, spoken})});
};
</script>
""" % ASSETS


class Browser(Web):
    def setUp(self):
        super().setUp()
        if not browser.is_possible():
            self.skipTest("there is no Chromium: tests/lab/install.sh installs it")

    def test_a_page(self):
        folder = self.backends.dav["old"].files / "open"
        folder.mkdir(exist_ok=True)
        for number in range(1, ASSETS, 2):
            (folder / str(number)).write_text(f"asset {number}")
        told, has_told = [], threading.Event()
        self.made(lambda exchange: serve(exchange, told, has_told))
        endpoint = self.endpoint()
        window = browser.Browser(self.lab.dir, f"https://{endpoint.host}:{endpoint.port}/made/page")
        self.addCleanup(window.stop)
        until(has_told.is_set, "the page did not say that it is done", limit=60, every=0.1)
        self.assertEqual(told[0]["heard"], ["0", "1", "2"])
        self.assertEqual(told[0]["assets"], [f"asset {number}" for number in range(ASSETS)])
        self.assertEqual(set(told[0]["spoken"]), {"h2"})


def serve(exchange, told, has_told):
    what = exchange.request.target.removeprefix("/made/")
    if what == "page":
        exchange.respond(200, PAGE.encode(), [("Content-Type", "text/html")])
    elif what == "events":
        exchange.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            event = b"data: %d\n\n" % number
            exchange.say(b"%x\r\n%b\r\n" % (len(event), event))
        exchange.hear()  # until the page closes it
        exchange.end()
    elif what == "done":
        told.append(json.loads(exchange.read()))
        exchange.respond(204)
        has_told.set()
    elif what.isdigit():
        exchange.respond(200, f"asset {what}".encode())
    else:
        exchange.respond(404)
