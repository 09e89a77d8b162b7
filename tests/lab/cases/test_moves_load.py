"""Many accounts move while several clients of each change its mailbox without pause: nothing that was acknowledged is lost.

In the suite a few accounts move once in each direction; `make moves` has the large run, and the published procedure beside it.
"""

import itertools
import json
import os
import time

from clients.mailbox_writer import Mailbox, MailboxWriter
from lab.configuration import NEW, OLD
from lab.layout import ACCOUNTS, address
from lab.waiting import until

from .moving import Moving

ROUNDS = int(os.environ.get("POINTSMAN_LAB_ROUNDS", 2))
MOVED = int(os.environ.get("POINTSMAN_LAB_MOVED", 3))
CLIENTS = int(os.environ.get("POINTSMAN_LAB_CLIENTS", 2))
# By all clients together, over all rounds; a round lasts until its share is written.
WRITES = int(os.environ.get("POINTSMAN_LAB_WRITES", 600))
MOVING = [address(f"reader{number}") for number in range(MOVED)]
MINUTES = 60
# Of `doveadm sync`, while clients rename folders.
COPIES = 10


class Load(Moving):
    def setUp(self):
        super().setUp()
        for account in MOVING:
            self.addCleanup(self.tidy, account)

    def mailbox_writers(self, tag):
        writers = [MailboxWriter(self.managed.endpoint(), account, ACCOUNTS[account], f"{account.split('@')[0]}-client{number}{tag}")
                   for account in MOVING for number in range(CLIENTS)]
        for writer in writers:
            self.addCleanup(writer.ending.set)
            writer.start()
        return writers

    def advance(self, writers, share):
        """Waits until all clients together have written so much more, and each of them something."""
        total, each = sum(writer.acknowledged for writer in writers), [writer.acknowledged for writer in writers]
        until(lambda: sum(writer.acknowledged for writer in writers) >= total + share
              and all(writer.acknowledged > before for writer, before in zip(writers, each)),
              "the clients do not get on with their writes", limit=15 * MINUTES)

    def lost(self, writers, side):
        mailboxes = {account: Mailbox(side.endpoint("imaps"), account, ACCOUNTS[account]) for account in MOVING}
        return list(itertools.chain.from_iterable(writer.lost(mailboxes[writer.account]) for writer in writers))

    def test_no_acknowledged_write_is_lost(self):
        writers = self.mailbox_writers("")
        began, records = time.monotonic(), []
        for number in range(ROUNDS):
            self.advance(writers, WRITES // ROUNDS // 2)
            source, target = (self.old, self.new) if number % 2 == 0 else (self.new, self.old)
            name = f"round-{number}"
            batch = self.managed.dir / f"{name}.tsv"
            batch.write_text("".join(f"{account}\n" for account in MOVING))
            self.move("--file", batch, "--batch", name, "--to", NEW if target is self.new else OLD, "--force",
                      "--sync", self.sync(source, target))
            records += json.loads(self.move("list", "--batch", name, "--json").stdout)["moves"]
            self.advance(writers, WRITES // ROUNDS // 2)
        for writer in writers:
            writer.stop()
        self.assertEqual([words for writer in writers for words in writer.refused], [], "clients saw failed logins")
        self.assertEqual({record["outcome"] for record in records}, {"done"})
        self.assertTrue(all(record["sessions_ended"] for record in records), "clients were connected to each account")
        self.assertEqual(self.lost(writers, target), [])
        held, waits = (sorted(record[key] for record in records) for key in ("held_ms", "longest_wait_ms"))
        print(f"    ({ROUNDS} rounds, {len(records)} moves, {sum(writer.acknowledged for writer in writers)} acknowledged writes in "
              f"{time.monotonic() - began:.0f} s, 0 lost; logins held: median {held[len(held) // 2]} ms, longest {held[-1]} ms; "
              f"longest wait of a login: median {waits[len(waits) // 2]} ms, longest {waits[-1]} ms)")

    def copy(self, account):
        """Copies while clients write: doveadm asks to be started again when a folder is renamed under its hands."""
        for attempt in range(COPIES):
            try:
                return self.lab.sync(account, "old", "new")
            except RuntimeError as error:
                if "exit status 75" not in str(error) or attempt == COPIES - 1:
                    raise

    def test_copy_flip_and_kick_for_comparison(self):
        """The published procedure: the accounts arrive, and what is written between the copy and the kick stays behind."""
        writers = self.mailbox_writers("-published")
        self.advance(writers, WRITES // 4)
        for account in MOVING:
            self.copy(account)
            self.api(self.managed, "PUT", "/mappings", identifier=account, destination=NEW)
            self.api(self.managed, "POST", "/connections/kick", identifier=account)
        self.advance(writers, WRITES // 4)
        for writer in writers:
            writer.stop()
        lost = self.lost(writers, self.new)
        self.assertEqual({self.place(account) for account in MOVING}, {NEW})
        print(f"    (copy, flip, kick: {len(lost)} of {sum(writer.acknowledged for writer in writers)} acknowledged writes are not on the "
              "new server)")
