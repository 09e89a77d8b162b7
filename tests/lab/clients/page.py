"""A page in headless Chromium, as a person uses it: reads, types, presses; by the DevTools protocol."""

import base64
import itertools
import json
import re
from pathlib import Path

from lab.endpoint import Endpoint
from lab.waiting import until

from .http1 import Http
from .websocket import WebSocket


# What Chromium says of a script that met a redirect.
BETWEEN = ("Cannot find default execution context", "Execution context was destroyed", "navigated or closed")


class Between(AssertionError):
    """The browser is between two pages: a redirect."""


class Page:
    """The one page that `browser` has open."""

    def __init__(self, browser):
        log, self.numbers, self.heard = Path(browser.out.name), itertools.count(1), []
        until(lambda: "DevTools listening" in log.read_text(errors="replace"), "Chromium has no debugger's port", limit=60)
        port = int(re.search(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", log.read_text(errors="replace"))[1])
        endpoint = Endpoint("127.0.0.1", port, False, None, f"127.0.0.1:{port}")

        def pages():
            return [one for one in Http(endpoint, "127.0.0.1").get("/json").json() if one["type"] == "page"]
        until(pages, "Chromium has opened no page", limit=60)
        path = pages()[0]["webSocketDebuggerUrl"].partition(f":{port}")[2]
        self.talk = Http(endpoint, "127.0.0.1")
        self.socket = WebSocket(self.talk, path)
        for domain in ("Runtime", "Log"):
            self.call(f"{domain}.enable")
        # An empty page comes first, and is complete too.
        until(lambda: self.run("location.protocol !== 'about:' && document.readyState === 'complete'"), "the page is never loaded",
              limit=60, every=0.1)

    def call(self, method, **parameters):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.message())
            if message.get("id") == number:
                if any(words in str(message.get("error")) for words in BETWEEN):
                    raise Between(message)
                assert "error" not in message, message
                return message["result"]
            self.heard.append(message)

    def run(self, script):
        """What a script comes to; promises are waited for."""
        result = until(lambda: self._run(script), "the browser stays between two pages", limit=20, every=0.1)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def _run(self, script):
        """None: it was not run, since there was no page to run it in."""
        try:
            return self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        except Between:
            return None

    def text(self, selector):
        """What a person reads there; hidden text is none."""
        return self.run(f"(it => it?.checkVisibility() ? it.innerText : '')(document.querySelector({json.dumps(selector)}))")

    def wait_for(self, selector, pattern, limit=20):
        until(lambda: re.search(pattern, self.text(selector)), lambda: f"{selector} says {self.text(selector)!r}, not {pattern!r}",
              limit=limit, every=0.1)
        return self.text(selector)

    def type(self, selector, text):
        self.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    def press(self, selector):
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def press_labelled(self, within, label):
        """The button that reads so."""
        self.run(f"[...document.querySelectorAll({json.dumps(within + ' button')})].find(button => button.textContent === {json.dumps(label)}).click()")

    def complaints(self):
        """What the console has: violations of the page's policy, errors of its scripts."""
        self.run("0")  # whatever was said before is read by now
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        entries = [message["params"] for message in self.heard if message["method"] in kinds]
        return [entry for entry in entries if entry.get("entry", {}).get("source") != "network"]

    def picture(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))

    def close(self):
        self.talk.close()
