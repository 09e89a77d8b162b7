"""The program accepts every configuration in the book, and every shell block that is marked as runnable is run by a case of the lab.

The words after a fence say what a block is:

- `toml`: a part of a configuration. It is merged into `BASE`.
- `toml file`: a whole configuration.
- `mapping`: lines of a mapping file, for the destinations of `BASE`.
- `sh`: commands that a case of the lab runs. The case names the page: `blocks("management.md")`.

A block of another kind is not checked. Places that exist on a configured host only (certificates, tokens) are replaced.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from policy.problem import Problem

from .pages import BOOK, ROOT, blocks_of, book_pages

LAB = ROOT / "tests/lab"
sys.path.append(str(LAB))

from lab import toml  # noqa: E402

INSTALLED = "/etc/pointsman"
PROTOCOLS = {"imap": (993, "implicit"), "pop3": (995, "implicit"), "managesieve": (4190, "starttls"), "submission": (465, "implicit"),
             "smtp": (25, "plain"), "lmtp": (24, "plain"), "http": (443, "implicit")}
# The names of a migration between two deployments of Stalwart, and those of one from Dovecot.
DESTINATIONS = ("old", "new", "legacy", "stalwart")
# The contents of secrets that a snippet names by `file:`.
SECRETS = {"redis.url": "redis://:secret@192.0.2.1:6379/0", "database.url": "postgres://pointsman:secret@192.0.2.1/mail",
           "admin.token": "0123456789abcdef" * 4}


def check(pointsman, root=ROOT):
    """Returns the problems of all blocks of the book and of the README."""
    problems = []
    with tempfile.TemporaryDirectory(prefix="pointsman-book-") as folder:
        place = Place(Path(folder), pointsman)
        for page in [*book_pages(root), root / "README.md"]:
            for block in blocks_of(page):
                if complaint := place.judge(block):
                    problems.append(Problem(block.where(root), complaint, "a block that `pointsman check` accepts", "correct the block, or the words after its fence"))
    return problems + unrun(root)


def unrun(root=ROOT):
    """Returns a problem for each page with runnable blocks that no case of the lab runs."""
    cases = "".join(path.read_text() for path in (root / "tests/lab/cases").glob("*.py"))
    named = set(re.findall(r'blocks\("([^"]+)"', cases))
    problems = []
    for page in book_pages(root):
        name = str(page.relative_to(root / BOOK))
        runnable = [block for block in blocks_of(page) if block.language == "sh"]
        if runnable and name not in named:
            problems.append(Problem(runnable[0].where(root), "a runnable block that no case of the lab runs", f'a case that runs blocks("{name}")',
                                    "write the case, or remove `sh` after the fence"))
    return problems


class Place:
    """A folder with the files that a configuration names, and the program that checks it."""

    def __init__(self, folder, pointsman):
        self.folder, self.pointsman = folder, pointsman
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj",
                   "/CN=mail.example.org", "-addext", "subjectAltName=DNS:mail.example.org", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
        subprocess.run(command, check=True, capture_output=True)
        for name, secret in SECRETS.items():
            self.write(name, secret)
        self.write("accounts.map", "")

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def judge(self, block):
        """Returns what the program says about a block that it refuses, or None."""
        self.write("accounts.map", block.text if block.language == "mapping" else "")
        if block.language == "mapping":
            document = base()
            document["mapping"]["domains"] = True
        elif block.language == "toml":
            try:
                document = tomllib.loads(block.text)
            except tomllib.TOMLDecodeError as error:
                return f"a block that is not TOML: {error}"
            if block.words[1:] != ("file",):
                document = merged(base(), document)
        else:
            return None
        path = self.write("pointsman.toml", toml.dump(self.placed(document)))
        done = subprocess.run([self.pointsman, "check", path], capture_output=True, text=True, timeout=60)
        return None if done.returncode == 0 else f"a configuration that is not valid\n{done.stdout}{done.stderr}"

    def placed(self, document):
        """Replaces the places that exist on a configured host only."""
        document.setdefault("server", {})["state_dir"] = str(self.folder / "state")
        for pair in document.get("tls", {}).get("certificate", {}).values():
            pair |= {"cert": str(self.folder / "cert.pem"), "key": str(self.folder / "key.pem")}
        for destination in document.get("destination", {}).values():
            self.replace(destination, "tls_ca", "cert.pem")
            self.replace(destination, "tls_client_cert", "cert.pem")
            self.replace(destination, "tls_client_key", "key.pem")
        self.replace(document.get("admin", {}), "bearer_token_file", "admin.token")
        self.replace(document.get("mapping", {}).get("file", {}), "path", "accounts.map")
        for store in ("redis", "sql"):
            if url := document.get("mapping", {}).get(store, {}).get("url"):
                document["mapping"][store]["url"] = url.replace(INSTALLED, str(self.folder))
        for login in document.get("moves", {}).get("compare", {}).values():
            login["password"] = f"file:{self.folder / 'admin.token'}"
        return document

    def replace(self, table, key, name):
        if key in table:
            table[key] = str(self.folder / name)


def base():
    """A small valid configuration, into which parts are merged."""
    return {
        "server": {"hostname": "mail.example.org"},
        "tls": {"certificate": {"mail": {"cert": "cert.pem", "key": "key.pem"}}},
        "listener": {"imaps": {"protocol": "imap", "bind": ["192.0.2.10:993"], "tls": "implicit"}},
        "destination": {name: _destination(name) for name in DESTINATIONS},
        "routing": {"default_destination": "old", "smtp_passthrough_destination": "new"},
        "mapping": {"source": "file", "normalize": "lowercase", "file": {"path": "accounts.map"}},
    }


def _destination(name):
    legs = {protocol: {"port": port, "tls": tls} for protocol, (port, tls) in PROTOCOLS.items()}
    return {"host": f"{name}.internal.example.org", "tls_server_name": "mail.example.org", "protocol": legs}


def merged(table, change):
    """Returns `table` with the keys of `change`; tables are merged, everything else is replaced."""
    for key, value in change.items():
        table[key] = merged(table.get(key, {}), value) if isinstance(value, dict) and isinstance(table.get(key, {}), dict) else value
    return table
