#!/usr/bin/env python3
"""A session with the JMAP library `jmapc`, a program of its own: its modules are not for the tests' process.

    jmap.py HOST:PORT ACCOUNT < password     prints the account that the server names, and the subjects of its mail, as JSON
"""

import json
import sys
from urllib.parse import urljoin

from jmapc import Client, Ref
from jmapc.methods import EmailGet, EmailQuery, MailboxGet


def main():
    host, account = sys.argv[1:]
    client = Client.create_with_password(host=host, user=account, password=sys.stdin.read())
    session = client.jmap_session
    # Cyrus names its resources without a host (RFC 8620 leaves that open), which the library does not resolve.
    session.api_url = urljoin(f"https://{host}/", session.api_url)
    mailboxes, _, mails = client.request([MailboxGet(ids=None), EmailQuery(), EmailGet(ids=Ref("/ids"), properties=["subject"])],
                                         raise_errors=True)
    print(json.dumps({"username": session.username, "mailboxes": [mailbox.name for mailbox in mailboxes.response.data],
                      "subjects": [mail.subject for mail in mails.response.data]}))


if __name__ == "__main__":
    main()
