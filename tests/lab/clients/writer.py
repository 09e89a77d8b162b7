"""Clients that write without pause and remember every write that a server has acknowledged."""

import threading

from clients.imap import Imap
from clients.talk import Closed


class Writer(threading.Thread):
    """Appends messages to one account, whatever happens to its connection."""

    def __init__(self, endpoint, account, password, name):
        super().__init__(name=name, daemon=True)
        self.endpoint, self.account, self.password = endpoint, account, password
        self.ending = threading.Event()
        # The subjects of acknowledged messages, login refusals, and how often the connection ended.
        self.written, self.refused, self.ended = [], [], 0
        self.count = 0

    def run(self):
        while not self.ending.is_set():
            try:
                self.session()
            except (Closed, OSError, AssertionError):
                # What was not acknowledged does not count, whether it arrived or not.
                self.ended += 1

    def session(self):
        client = Imap(self.endpoint)
        try:
            words = client.login(self.account, self.password)
            if not words.startswith("OK"):
                self.refused.append(words)
                return
            self.begin(client)
            while not self.ending.is_set():
                self.append(client)
        finally:
            client.close()

    def begin(self, client):
        """What comes after the login."""

    def append(self, client):
        """Appends a message; the words of the answer."""
        self.count += 1
        subject = f"{self.name}-{self.count}"
        message = f"Subject: {subject}\r\n\r\nwritten while the account moves\r\n".encode()
        tag = client.next_tag()
        client.send(b"%s APPEND INBOX {%d+}\r\n%s\r\n" % (tag.encode(), len(message), message))
        answer = client.reply(tag)[0]
        if answer.startswith("OK"):
            self.written.append(subject)
        return answer

    def stop(self):
        self.ending.set()
        self.join()
        return self
