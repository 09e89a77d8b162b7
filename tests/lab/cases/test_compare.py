"""`pointsman compare`, and the comparison and the quiet check of a move, between two real Dovecots."""

import itertools
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from lab.configuration import NEW, OLD
from lab.dovecot import MAIL_UID
from lab.layout import COPIED, MASTER, MASTER_PASSWORD, MASTER_SEPARATOR, address
from lab.side import Side

from . import base
from .api import Managed

# Of the proxies and of the accounts: each test has one.
NUMBERS = itertools.count(210)
ACCOUNTS = itertools.cycle(address(f"copied{number}") for number in range(COPIED))
MANY = 10_000
# Rights of a master user are those of the account.
ACL = """
mail_plugins = $mail_plugins acl
protocol imap {
  mail_plugins = $mail_plugins acl imap_acl
}
plugin {
  acl = vfile
  acl_user = %u
}
"""
PAGE = (Path(__file__).parents[3] / "docs/moving.md").read_text()


class Copied(Managed):
    """An account at the old server with folders (besides three that Dovecot creates), flags and subscriptions."""

    def setUp(self):
        super().setUp()
        if not self.lab.has_postfix:
            self.skipTest("doveadm copies mailboxes of other users as root only")
        self.account = next(ACCOUNTS)
        number = next(NUMBERS)
        self.managed = self.managed_proxy(f"compare-{number}", number, self.configure, {self.account: OLD})
        for side in (self.old, self.new):
            side.doveadm("kick", self.account, check=False)
            shutil.rmtree(side.mailbox(self.account), ignore_errors=True)
        self.fill()

    def configure(self, document):
        # Both ways to log in: SASL PLAIN with two names, and one joined name.
        login = {"master_user": MASTER, "password": MASTER_PASSWORD}
        document["moves"] = {"compare": {OLD: login, NEW: {**login, "separator": MASTER_SEPARATOR}}}

    def fill(self):
        box = self.old.imaplib(self.account)
        for folder, count in (("INBOX", 5), ("Archive", 2), ("Entw&APw-rfe", 1), ("Empty", 0)):
            if folder != "INBOX":
                box.create(folder)
            for number in range(count):
                flags = r"(\Seen $Forwarded)" if number == 0 else None
                box.append(folder, flags, None, self.message(f"{folder}-{number}"))
        for folder in ("Archive", "Empty"):
            box.subscribe(folder)
        box.logout()

    def message(self, name):
        name = re.sub(r"\W", "", name)
        return (f"From: <lab@example.org>\r\nSubject: {name}\r\nMessage-ID: <{name}@compare.example>\r\n"
                f"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n{name}\r\n").encode()

    def sync(self):
        """The recipe of docs/moving.md for two Dovecots."""
        return (f'doveadm -c {self.old.dovecot_conf} sync -1 -u "$ACCOUNT" '
                f'"maildir:{self.new.dir}/mail/$ACCOUNT/Maildir"')

    def copy(self):
        subprocess.run(["/bin/sh", "-c", self.sync()], env={**os.environ, "ACCOUNT": self.account}, check=True,
                       capture_output=True, timeout=120)

    def pointsman(self, *arguments, status=0):
        command = [base.BINARY, *map(str, arguments), "--config", self.managed.config_path]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
        self.assertEqual(done.returncode, status, f"{done.stdout}{done.stderr}\n{self.managed.tail(60)}")
        return done.stdout + done.stderr

    def compare(self, *arguments, status=0):
        """What was found, as JSON."""
        return json.loads(self.pointsman("compare", self.account, "--to", NEW, "--json", *arguments, status=status))

    def kinds(self, *arguments, status=0):
        return sorted(difference["kind"] for difference in self.compare(*arguments, status=status)["differences"])

    def move(self, *arguments, status=0):
        return self.pointsman("move", self.account, "--to", NEW, *arguments, status=status)

    def shown(self):
        moves = json.loads(self.pointsman("move", "list", "--user", self.account, "--limit", 1, "--json"))["moves"]
        return json.loads(self.pointsman("move", "show", moves[0]["id"], "--json"))

    def destination(self):
        return self.api(self.managed, "GET", "/mappings", identifier=self.account)["destination"]


class Compare(Copied):
    def test_a_faithful_copy_has_no_difference(self):
        self.copy()
        found = self.compare("--strict")
        self.assertEqual(found["differences"], [])
        self.assertEqual((found["folders"], found["messages"], found["pop3"]), (7, 8, True))
        self.assertIn("8 messages in 7 folders, with POP3: nothing is missing",
                      self.pointsman("compare", self.account, "--to", NEW))

    def test_each_difference_is_found(self):
        self.copy()
        box = self.new.imaplib(self.account)
        box.select("INBOX")
        box.store("2", "+FLAGS", r"(\Deleted)")
        box.expunge()
        box.store("3", "+FLAGS", r"(\Flagged)")
        box.close()
        box.delete("Archive")
        box.unsubscribe("Empty")
        box.delete("Entw&APw-rfe")
        box.logout()
        found = self.compare(status=1)
        texts = [difference["text"] for difference in found["differences"]]
        self.assertEqual(sorted(difference["kind"] for difference in found["differences"]),
                         ["flags_changed", "folder_missing", "folder_missing", "message_missing",
                          "subscription_missing", "uidls_changed"], texts)
        self.assertEqual(found["missing"], 4)
        printed = self.pointsman("compare", self.account, "--to", NEW, status=1)
        for words in ("INBOX: message 2 (<INBOX1@compare.example>) is missing at the target",
                      r"INBOX: message 4 has no flags at the source, \Flagged at the target",
                      "Archive: the folder is missing at the target, with 2 messages",
                      "Entwürfe: the folder is missing at the target, with 1 message",
                      "Empty: not subscribed at the target",
                      "POP3: 1 of 5 UIDLs of the source are missing", "missing: 4"):
            self.assertIn(words, printed)
        self.assertTrue(self.compare("--max-missing", 4)["acceptable"])
        self.assertFalse(self.compare("--max-missing", 4, "--strict", status=1)["acceptable"])

    def test_changed_uidvalidity_and_uidls_are_reported(self):
        self.copy()
        self.new.doveadm("mailbox", "update", "-u", self.account, "--uid-validity", "4242", "INBOX")
        self.assertEqual(self.kinds(), ["uidls_changed", "uidvalidity_changed"])
        self.assertEqual(self.kinds("--strict", status=1), ["uidls_changed", "uidvalidity_changed"])

    def test_what_cannot_be_read_is_an_error(self):
        for arguments, words in (
            (("nobody@example.org", "--from", OLD, "--to", NEW), "was refused"),
            ((self.account, "--to", OLD), "expected two destinations"),
            ((self.account, "--to", "nowhere"), "set moves.compare.nowhere"),
        ):
            with self.subTest(arguments):
                self.assertIn(words, self.pointsman("compare", *arguments, status=1))

    def test_ten_thousand_messages(self):
        folder = self.old.mailbox(self.account) / "Maildir" / "cur"
        for number in range(MANY):
            path = folder / f"1700000000.M{number}P1.lab:2,S"
            path.write_bytes(self.message(f"many-{number}"))
            os.chown(path, MAIL_UID, MAIL_UID)
        self.copy()
        self.compare()  # The servers index the folder.
        before = self.memory()
        began = time.monotonic()
        found = self.compare("--strict")
        took = time.monotonic() - began
        grown = self.memory() - before
        self.assertEqual(found["messages"], MANY + 8)
        self.assertLess(took, 30)
        self.assertLess(grown, 16 * 1024)
        print(f"    ({MANY} messages compared in {took:.1f} s; peak memory of the proxy {self.memory() // 1024} MiB, "
              f"{grown} KiB more than before the last comparison)")

    def memory(self):
        """The most memory that the proxy has had, in KiB."""
        with open(f"/proc/{self.managed.daemon.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])


class Shared(Copied):
    def configure(self, document):
        super().configure(document)
        provider = f"{self.lab.block.provider}:{self.lab.block.provider_port}"
        self.sharing = Side("sharing", self.lab.block.host(98), self.lab.dir, provider, False, ACL)
        self.addCleanup(self.sharing.stop)
        self.sharing.start()
        self.sharing.wait()
        document["destination"][OLD] |= {
            "host": self.sharing.host, "tls_server_name": self.sharing.hostname, "tls_ca": self.sharing.pair.ca}

    def test_who_shares_folders_is_shown(self):
        box = self.sharing.imaplib(self.account)
        box.create("Team")
        box.setacl("Team", address("bob"), "lr")
        box.logout()
        printed = self.pointsman("compare", self.account, "--to", NEW, "--with-shared", status=1)
        self.assertIn(f"Team: shared with {address('bob')}, who loses access unless moved as well", printed)
        self.assertEqual(printed.count("shared with"), 1, printed)


class ComparingMoves(Copied):
    def test_a_missing_message_stops_the_move_before_the_flip(self):
        self.copy()
        box = self.new.imaplib(self.account)
        box.select("INBOX")
        box.store("2", "+FLAGS", r"(\Deleted)")
        box.expunge()
        box.logout()
        printed = self.move("--compare", status=1)
        self.assertIn("messages missing at the target: 1", printed)
        self.assertIn("message 2 (<INBOX1@compare.example>) is missing at the target", printed)
        self.assertEqual(self.destination(), OLD)
        self.assertEqual(self.shown()["step"], "compare")
        self.move("--compare", "--max-missing", 1)
        self.assertEqual(self.destination(), NEW)
        self.assertIn("is missing at the target", self.shown()["output"])

    def test_what_clients_would_download_again_stops_a_strict_move(self):
        self.copy()
        self.new.doveadm("mailbox", "update", "-u", self.account, "--uid-validity", "4242", "Archive")
        printed = self.move("--compare", "--strict", status=1)
        self.assertIn("Archive: UIDVALIDITY is", printed)
        self.assertEqual(self.destination(), OLD)
        self.move("--compare")
        self.assertIn("Archive: UIDVALIDITY is", self.shown()["output"])

    def test_a_delivery_after_the_copy_is_copied_too(self):
        late = self.managed.dir / "late"
        self.move("--compare", "--strict", "--sync", f"{self.sync()} && test -e {late} || {{ touch {late}; {self.delivery()}; }}")
        self.assertEqual(self.destination(), NEW)
        self.assertIn("late", self.new.subjects(self.account))
        self.assertIn(f"INBOX has changed at {OLD} since the copy", self.shown()["output"])

    def test_a_source_that_never_rests_stops_the_move(self):
        printed = self.move("--sync", f"{self.sync()} && {self.delivery()}", status=1)
        self.assertIn("INBOX has changed at the source after the copy, 3 times in a row", printed)
        self.assertEqual(self.destination(), OLD)
        self.assertEqual(self.old.subjects(self.account).count("late"), 3)

    def delivery(self):
        """A command that delivers to the old server, past the proxy."""
        return fr'''printf 'Subject: late\n\nlate\n' | doveadm -c {self.old.dovecot_conf} save -u "$ACCOUNT"'''

    def test_a_destination_without_a_login_is_refused_before_anything_starts(self):
        del self.managed.document["moves"]["compare"][NEW]
        self.managed.reload()
        printed = self.move("--compare", status=1)
        self.assertIn(f"set moves.compare.{NEW}", printed)
        self.assertEqual(json.loads(self.pointsman("move", "list", "--json"))["moves"], [])


class Recipes(Copied):
    """Every recipe of docs/moving.md, with the paths of this laboratory."""

    def recipe(self, program):
        """The sync command of a move in the page."""
        found = re.search(rf"--sync '([^']*{program} [^']*)'", PAGE)
        self.assertIsNotNone(found, f"docs/moving.md has no recipe for {program}")
        return found[1]

    def test_doveadm(self):
        command = self.recipe("doveadm").replace("/etc/dovecot-old/dovecot.conf", str(self.old.dovecot_conf))
        self.move("--compare", "--strict", "--sync", command.replace("/srv/new/", f"{self.new.dir}/mail/"))
        self.assertEqual(self.destination(), NEW)
        self.assertIn("compared folders: 7, messages: 8, differences: 0", self.shown()["output"])
        self.assertNotIn("has changed", self.shown()["output"], "a copy or a comparison changes nothing at the source")

    def test_mbsync(self):
        if not shutil.which("mbsync"):
            self.skipTest("mbsync is not installed (package isync)")
        folder = self.managed.dir
        (folder / "password").write_text(MASTER_PASSWORD + "\n")
        config = re.search(r"```\n(IMAPStore old\n.*?)```", PAGE, re.DOTALL)[1]
        for side in (self.old, self.new):
            config = (config.replace(f"Host {side.name}.example.org\nPort 993\n",
                                     f"Host {side.host}\nPort {side.port('imaps')}\nCertificateFile {side.pair.cert}\n")
                      .replace(f"/etc/pointsman/{side.name}.password", str(folder / "password")))
        (folder / "mbsync.conf").write_text(config.replace("*migration", f"{MASTER_SEPARATOR}{MASTER}"))
        command = (self.recipe("mbsync").replace("/etc/pointsman/mbsync.conf", str(folder / "mbsync.conf"))
                   .replace("/var/lib/pointsman/mbsync", str(folder / "mbsync")))
        box = self.old.imaplib(self.account)
        box.select("INBOX")
        box.store("3", "+FLAGS", r"($Label1 \Answered)")
        box.logout()
        self.move("--compare", "--strict", "--sync", command, status=1)
        self.assertIn("UIDVALIDITY is", self.shown()["output"])
        self.move("--compare", "--sync", command)
        self.assertEqual(self.destination(), NEW)
        # What the page says of it.
        # The UIDLs too, unless both servers have created the INBOX in the same second.
        kinds = set(self.kinds("--from", OLD)) - {"uidls_changed"}
        self.assertEqual(kinds, {"flags_changed", "size_changed", "subscription_missing", "uidvalidity_changed"})
        flags = [difference["text"] for difference in self.compare("--from", OLD)["differences"]
                 if difference["kind"] == "flags_changed"]
        self.assertEqual(flags, [r"INBOX: message 3 has $label1 \Answered at the source, \Answered at the target"])
