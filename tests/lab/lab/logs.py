"""What a backend saw of its clients, read from its logs."""

import re
from pathlib import Path

from .waiting import until

DOVECOT = re.compile(r"^(?P<time>\S+ \S+) (?P<service>[a-z0-9-]+-login): \w+: (?P<what>.*?): (?=user=)(?P<rest>.*)$")
# LMTP logs the connection's own address when it begins and, after an XCLIENT, the forwarded one when it ends.
LMTP = re.compile(r"^\S+ \S+ lmtp\(\S*\): \w+: (?P<what>Connect|Disconnect) from (?P<client>[0-9a-f.:]*[0-9a-f])")
POSTFIX = re.compile(r"^\w+ +\d+ \S+ \S+ postfix/(?P<service>\S+?)\[\d+\]: (?P<rest>.*client=.*|connect from .*)$")


class Logs:
    """The logs of one side. A `mark` taken before an act makes what follows it stand alone."""

    def __init__(self, side, dovecot, postfix):
        self.side, self.paths = side, (Path(dovecot), Path(postfix))

    def mark(self):
        return {path: path.stat().st_size for path in self.paths if path.exists()}

    def lines(self, since=None):
        for path in self.paths:
            if path.exists():
                with open(path, "rb") as log:
                    log.seek((since or {}).get(path, 0))
                    yield from log.read().decode("utf-8", "replace").splitlines()

    def seen(self, since=None):
        """One dict for each login, refusal and SMTP transaction; `service`, `what`, `client` and `user` in each."""
        return [entry for line in self.lines(since) if (entry := parse(line))]

    def wait(self, since=None, limit=8.0, **fields):
        """The first entry with these fields, once it is there."""
        def look():
            return next((entry for entry in self.seen(since)
                         if all(str(entry.get(key)) == str(value) for key, value in fields.items())), None)
        return until(look, lambda: f"{self.side} logged no {fields}, but {self.seen(since)[-5:]}", limit)


def parse(line):
    if match := DOVECOT.match(line):
        fields = dict(re.findall(r"(\w+)=<?([^,>]*)>?", match["rest"]))
        return {"service": match["service"], "what": match["what"], "user": fields.get("user", ""),
                "client": fields.get("rip", ""), "port": fields.get("rport", ""), "local": fields.get("lip", ""),
                "session": fields.get("session", ""), "method": fields.get("method", ""),
                "is_tls": bool(re.search(r", TLS\b", match["rest"])), "is_secured": ", secured" in match["rest"]}
    if match := LMTP.match(line):
        return {"service": "lmtp", "what": match["what"], "client": match["client"], "user": ""}
    if match := POSTFIX.match(line):
        client = re.search(r"(?:client=|connect from )\S*?\[([^\]]*)\](?::(\d+))?", match["rest"])
        user = re.search(r"sasl_username=([^,\s]+)", match["rest"])
        if client:
            return {"service": "postfix/" + match["service"], "client": client[1], "port": client[2] or "",
                    "what": "message" if "client=" in match["rest"] else "connect", "user": user[1] if user else ""}
    return None
