"""For tests that speak to the management API of a proxy of their own."""

import json
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request

from .base import Case

PORT = 18443


def fetch(proxy, path, method="GET", fields=()):
    """The body of an answer that is a success."""
    request = urllib.request.Request(f"https://{proxy.host}:{PORT}{path}", method=method, headers=dict(fields))
    # The proxy has made its certificate itself.
    context = ssl.create_default_context(cafile=proxy.dir / "state" / "admin.crt")
    with urllib.request.urlopen(request, timeout=20, context=context) as answer:
        return answer.read()


def manage(document):
    """Gives a proxy an API."""
    host = next(iter(document["listener"].values()))["bind"][0].rpartition(":")[0]
    document["admin"] = {"bind": [f"{host}:{PORT}"], "tls": "implicit", "bearer_token": secrets.token_hex(32)}


class Managed(Case):
    def managed_proxy(self, name, host_number, change=None, table=None):
        """A proxy with an API; `change(document)` may set another token."""
        def apply(document):
            manage(document)
            if change:
                change(document)
        return self.extra_proxy(name, host_number, apply, table)

    def api(self, proxy, method, path, **parameters):
        """The answer's document; an answer that is no success is an assertion that fails."""
        token = f"Bearer {proxy.document['admin']['bearer_token']}"
        try:
            return json.loads(fetch(proxy, f"{path}?{urllib.parse.urlencode(parameters, quote_via=urllib.parse.quote)}", method, {"Authorization": token}))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
