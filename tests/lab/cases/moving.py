"""What the tests of moves share: a proxy of their own, the command, and clients that write."""

import itertools
import json
import subprocess

from clients.imap import Imap
from clients.writer import Writer
from lab.configuration import OLD
from lab.layout import ACCOUNTS, address
from lab.waiting import until

from . import base
from .api import Managed

ACCOUNTS_MOVED, CLIENTS = 5, 3
# Of the proxies: each test has one.
NUMBERS = itertools.count(230)
MOVING = [address(f"reader{number}") for number in range(ACCOUNTS_MOVED)]
# Writes before, between and after the moves, so that each move meets clients at work.
WRITES = 20


class Moving(Managed):
    def setUp(self):
        super().setUp()
        if not self.has_doveadm():
            self.skipTest("doveadm copies mailboxes of other users as root only")
        number = next(NUMBERS)
        self.managed = self.managed_proxy(f"moves-{number}", number, table={account: OLD for account in MOVING})
        for account in MOVING:
            self.addCleanup(self.tidy, account)

    def has_doveadm(self):
        return self.lab.has_postfix

    def move(self, *arguments, check=True):
        command = [base.BINARY, "move", "--config", self.managed.config_path, *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
        if check:
            self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}\n{self.managed.tail(60)}")
        return done

    def sync(self, source, target):
        """A command that copies from one side to the other what the other does not have."""
        return f'doveadm -c {source.dovecot_conf} sync -1 -u "$ACCOUNT" "maildir:{target.dir}/mail/$ACCOUNT/Maildir"'

    def subjects(self, side, account):
        client = Imap(side.endpoint("imaps"))
        self.addCleanup(client.close)
        self.assert_ok(client.login(account, ACCOUNTS[account]))
        return client.subjects()

    def tidy(self, account):
        """Leaves on each side what was there before: the message by which the side is known."""
        for side, other in ((self.old, self.new), (self.new, self.old)):
            client = Imap(side.endpoint("imaps"))
            client.login(account, ACCOUNTS[account])
            client.ok("SELECT INBOX")
            for line in client.ok(f'SEARCH OR SUBJECT "-client" SUBJECT "I am {other.name}"'):
                if found := line.removeprefix("* SEARCH").split():
                    client.ok(f"STORE {','.join(found)} +FLAGS.SILENT (\\Deleted)")
            client.ok("EXPUNGE")
            # A copy back carries the expunges of the other side along.
            if not client.ok(f'SEARCH SUBJECT "I am {side.name}"')[0].removeprefix("* SEARCH").split():
                side.deliver([account], f"I am {side.name}")
            client.logout()

    def place(self, account):
        """The destination of a new login."""
        client = self.dial(proxy=self.managed)
        self.assert_ok(client.login(account, ACCOUNTS[account]))
        connections = self.api(self.managed, "GET", "/connections", identifier=account)["connections"]
        client.close()
        return connections[-1]["destination"]

    def writers(self, accounts, clients=CLIENTS):
        endpoint = self.managed.endpoint()
        writers = []
        for account in accounts:
            for number in range(clients):
                writer = Writer(endpoint, account, ACCOUNTS[account], f"{account.split('@')[0]}-client{number}")
                self.addCleanup(writer.ending.set)
                writer.start()
                writers.append(writer)
        return writers

    def pass_by(self, writers):
        """Waits until every client has written more messages."""
        before = [len(writer.written) for writer in writers]
        until(lambda: all(len(writer.written) >= count + WRITES for writer, count in zip(writers, before)),
              "the clients do not get on with their writes", limit=60)

    def last(self, account):
        done = self.move("list", "--user", account, "--limit", 1, "--json", check=False)
        moves = json.loads(done.stdout)["moves"] if done.returncode == 0 else []
        return moves[0] if moves else {}
