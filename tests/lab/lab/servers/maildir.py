"""Mailboxes in Maildir format, for servers that are given their mail as files."""

import email
import os
import shutil
import time
import uuid

OWNER = 5000


class Maildir:
    """One account's INBOX; folders are not looked at."""

    def __init__(self, path):
        self.path = path

    def reset(self, *messages):
        """Replaces the whole mailbox by these messages."""
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in ("tmp", "new", "cur"):
            (self.path / folder).mkdir(parents=True)
        for number, message in enumerate(messages):
            (self.path / "cur" / f"{int(time.time())}.{number}.lab:2,").write_bytes(message.replace(b"\r\n", b"\n"))
        for path in (self.path, *self.path.rglob("*")):
            os.chown(path, OWNER, OWNER)

    def messages(self):
        """Every message in it, as bytes, in the order of their delivery."""
        paths = [path for folder in ("new", "cur") for path in (self.path / folder).glob("*")]
        return [path.read_bytes() for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]


def subject(message):
    return email.message_from_bytes(message)["Subject"]


def seed(name):
    """The message with which every mailbox begins."""
    return (f"From: <lab@example.org>\r\nTo: <reader@example.org>\r\nSubject: I am {name}\r\n"
            f"Message-ID: <{uuid.uuid4().hex}@example.org>\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\n\r\nHello.\r\n").encode()
