"""One run of a program: where it connects, as whom, and what came of it."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from lab.endpoint import Endpoint

# Seconds after which a program counts as hanging.
PATIENCE = 30
# What a message may hold without any line of it being read as a command.
BODY = "x1 DELETE INBOX\nx2 LOGOUT\n.\n..two dots\nFrom here\nQUIT\n"


@dataclass(frozen=True)
class Target:
    """A server, or the proxy in front of it."""

    endpoint: Endpoint
    # The certificate itself, for programs that want no authority.
    certificate: Path

    @property
    def host(self):
        return self.endpoint.host

    @property
    def port(self):
        return self.endpoint.port

    @property
    def is_implicit(self):
        return self.endpoint.is_implicit

    @property
    def ca(self):
        return self.endpoint.ca


@dataclass(frozen=True)
class Login:
    account: str
    password: str


@dataclass(frozen=True)
class Outcome:
    """The exit status, and what else is to be the same: `seen` must not depend on the address of the server."""

    status: int
    seen: tuple = ()
    # For the report of a difference; not compared.
    output: str = field(default="", compare=False)


def run(*command, folder, text=None, env=None):
    """Runs a program to its end in `folder`, which is its home."""
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8", **(env or {})}
    done = subprocess.run([str(part) for part in command], input=None if text is None else text.encode(), cwd=folder, env=environment,
                          stdin=subprocess.DEVNULL if text is None else None, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE)
    return Finished(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


@dataclass(frozen=True)
class Finished:
    status: int
    stdout: str
    stderr: str

    def outcome(self, *seen):
        return Outcome(self.status, seen, f"{self.stdout}\n{self.stderr}"[-3000:])


def message(sender, recipient, subject):
    return f"From: <{sender}>\nTo: <{recipient}>\nSubject: {subject}\nMessage-ID: <{subject.replace(' ', '-')}@example.org>\n\n{BODY}"
