"""Clients that change a mailbox without pause, and remember what a server has acknowledged."""

import re

from .imap import Imap
from .writer import Writer

FLAG = "kept"


class MailboxWriter(Writer):
    """Appends, flags and expunges messages, and creates, renames and subscribes to folders.

    What it flags or expunges it has appended in the same session, so a later copy in one direction can restore nothing.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        # Subjects with an acknowledged flag; subjects whose expunge was acknowledged, or may have been made; folders.
        self.flagged, self.expunged, self.folders = set(), set(), set()

    @property
    def acknowledged(self):
        """How many writes."""
        return len(self.written) + len(self.flagged) + len(self.expunged) + 3 * len(self.folders)

    def begin(self, client):
        client.ok("SELECT INBOX")

    def append(self, client):
        answer = super().append(client)
        found = re.match(r"OK \[APPENDUID \d+ (\d+)\]", answer)
        if not found:
            return
        uid, subject = found[1], f"{self.name}-{self.count}"
        if self.count % 4 == 0 and self.is_done(client, f"UID STORE {uid} +FLAGS.SILENT ({FLAG})"):
            self.flagged.add(subject)
        elif self.count % 7 == 0:
            # From here on the message may be gone, whether that is acknowledged or not.
            self.expunged.add(subject)
            self.is_done(client, f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
            self.is_done(client, f"UID EXPUNGE {uid}")
        elif self.count % 25 == 0:
            before, after = f"{subject}-new", f"{subject}-renamed"
            if all(self.is_done(client, words) for words in
                   (f"CREATE {before}", f"RENAME {before} {after}", f"SUBSCRIBE {after}")):
                self.folders.add(after)

    @staticmethod
    def is_done(client, words):
        return client.command(words)[0].startswith("OK")

    def lost(self, mailbox):
        """The acknowledged writes that are not in a mailbox."""
        kept = [subject for subject in self.written if subject not in self.expunged]
        return ([f"message {subject}" for subject in kept if subject not in mailbox.flags]
                + [f"flag of {subject}" for subject in self.flagged if FLAG not in mailbox.flags.get(subject, ())]
                + [f"folder {name}" for name in self.folders - mailbox.folders]
                + [f"subscription {name}" for name in self.folders - mailbox.subscribed])


class Mailbox:
    """What a server has of one account."""

    def __init__(self, endpoint, account, password):
        client = Imap(endpoint)
        try:
            words = client.login(account, password)
            assert words.startswith("OK"), words
            client.ok("SELECT INBOX")
            self.flags = {}
            for line in client.ok("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"):
                if found := re.search(r"FLAGS \(([^)]*)\).*subject: (\S+)", line, re.IGNORECASE | re.DOTALL):
                    self.flags.setdefault(found[2], found[1].split())
            self.folders = names(client.ok('LIST "" "*"'))
            self.subscribed = names(client.ok('LSUB "" "*"'))
        finally:
            client.close()


def names(lines):
    return {line.rsplit(" ", 1)[1].strip('"') for line in lines}
