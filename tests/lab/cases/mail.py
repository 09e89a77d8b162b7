"""Messages of a size that shows what was lost on the way, and the mailbox in which they are found again."""

import functools

from clients.imap import Imap
from lab.layout import ACCOUNTS, DOMAIN, address
from lab.waiting import until

from .test_imap_load import MIB, big_message

BIG, SENDER = address("big"), f"sender@{DOMAIN}"
SIZE, PIECE = 40 * MIB, MIB


def message(subject, body, sender=SENDER):
    return f"From: <{sender}>\r\nTo: <{BIG}>\r\nSubject: {subject}\r\n\r\n".encode() + body


@functools.cache
def big_body():
    """Of SIZE bytes: text that is like nothing else, with lines that begin with dots."""
    text = b".\r\n..two dots\r\n.one\r\n" + big_message(SIZE - 5).partition(b"\r\n\r\n")[2]
    return text + b"x" * (SIZE - len(text) - 2) + b"\r\n"


class Delivered:
    """For cases that send mail to BIG."""

    def delivered(self, subject, side=None):
        """Head and body of the message with that subject, once it is there; it is removed."""
        talk = self.dial_endpoint((side or self.new).endpoint("imaps"), Imap)
        self.assert_ok(talk.login(BIG, ACCOUNTS[BIG]))

        def found():
            talk.ok("SELECT INBOX")
            return talk.ok(f'SEARCH SUBJECT "{subject}"')[-1].split()[2:]
        number, = until(found, f"{subject!r} is not delivered", limit=30, every=0.1)
        parts = []
        for part in ("HEADER", "TEXT"):
            talk.say(f"f FETCH {number} BODY.PEEK[{part}]")
            # Word of other arrivals may come first.
            while " FETCH " not in (line := talk.line()):
                self.assertRegex(line, r"^\* \d+ (EXISTS|RECENT)$")
            parts.append(talk.read(int(line.rpartition("{")[2].rstrip("}"))))
            self.assert_ok(talk.reply("f")[0])
        talk.ok(f"STORE {number} +FLAGS.SILENT (\\Deleted)")
        talk.ok("EXPUNGE")
        return parts
