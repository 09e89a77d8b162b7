"""Accounts move between two real Dovecots by `pointsman move`, while clients write to them."""

import itertools
import json
import os
import signal
import subprocess

from lab.configuration import NEW, OLD
from lab.layout import READERS, address
from lab.waiting import until

from . import base
from .moving import ACCOUNTS_MOVED, MOVING, Moving

# Where the process is killed, and what its next start says: how the move ended, and where the account is. Past the flip
# only the operator knows whether the account was checked there.
CRASHES = (
    ("check", ("failed", OLD)),
    ("hold", ("failed", OLD)),
    ("drain", ("failed", OLD)),
    ("sync", ("failed", OLD)),
    ("flip", ("failed", OLD)),
    ("flipped or failed", ("unverified", NEW)),
    ("release", ("unverified", NEW)),
    ("verify", ("unverified", NEW)),
    ("revert", ("unverified", NEW)),
    ("end", ("unverified", NEW)),
)


class Moves(Moving):
    def test_no_write_is_lost(self):
        writers = self.writers(MOVING)
        self.pass_by(writers)
        batch = self.managed.dir / "batch.tsv"
        batch.write_text("# everybody\n" + "".join(f"{account}\n" for account in MOVING))
        done = self.move("--file", batch, "--batch", "everybody", "--to", NEW, "--sync", self.sync(self.old, self.new))
        self.assertIn(f"batch everybody: {ACCOUNTS_MOVED} accounts moved, 0 not", done.stdout)
        self.pass_by(writers)
        written = 0
        for writer in writers:
            writer.stop()
            written += len(writer.written)
            self.assertEqual(writer.refused, [], "a client saw a failed login")
        for account in MOVING:
            there = set(self.subjects(self.new, account))
            for writer in writers:
                if writer.account == account:
                    self.assertEqual([subject for subject in writer.written if subject not in there], [], "lost writes")
        records = json.loads(self.move("list", "--batch", "everybody", "--json").stdout)["moves"]
        held = sorted(record["held_ms"] for record in records)
        waits = sorted(record["longest_wait_ms"] for record in records)
        self.assertEqual({record["outcome"] for record in records}, {"done"})
        self.assertTrue(all(record["sessions_ended"] for record in records), "clients were connected")
        print(f"    ({written} acknowledged writes, none lost; logins were held for {held[len(held) // 2]} ms, "
              f"{held[-1]} at most, and waited for {waits[-1]} ms at most)")

    def test_there_and_back_with_the_data(self):
        account = MOVING[0]
        writers = self.writers([account])
        self.pass_by(writers)
        forth, back = self.sync(self.old, self.new), self.sync(self.new, self.old)
        for _ in range(2):
            self.move(account, "--to", NEW, "--sync", forth, "--force")
            self.pass_by(writers)
            latest = json.loads(self.move("list", "--user", account, "--limit", 1, "--json").stdout)["moves"][0]
            refused = self.move("rollback", latest["id"], check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("would stay behind", refused.stderr)
            self.move("rollback", latest["id"], "--sync", back)
            self.pass_by(writers)
        written = []
        for writer in writers:
            written += writer.stop().written
            self.assertEqual(writer.refused, [])
        there = self.subjects(self.old, account)
        self.assertEqual([subject for subject in written if subject not in set(there)], [], "lost writes")
        self.assertEqual(sorted(subject for subject in there if there.count(subject) > 1), [], "doubled messages")

    def test_what_fails_leaves_everything_as_it_was(self):
        account = MOVING[0]
        for arguments, words in (
            (("--sync", "echo disk full >&2; exit 9"), "the command ended with status 9"),
            (("--sync", "sleep 60", "--hold", 1), "the hold of 1 s was over in the step sync"),
            (("--verify", "exit 1"), "verify: the command ended with status 1"),
        ):
            with self.subTest(arguments):
                done = self.move(account, "--to", NEW, *arguments, check=False)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(f"{account} is at {OLD}", done.stdout)
                self.assertIn(words, done.stdout)
                self.assertEqual(self.place(account), OLD)
        shown = self.move("list", "--user", account).stdout
        self.assertEqual(shown.count("failed"), 2, shown)
        self.assertEqual(shown.count("reverted"), 1, shown)

    def test_mistakes_in_a_batch_are_told_with_their_lines(self):
        batch = self.managed.dir / "mistakes.tsv"
        lines = [f"{address(f'reader{number % READERS}')}x{number}" for number in range(1, 901)]
        lines[2], lines[899] = "@example.org", "two words\u0007"
        batch.write_text("\n".join(lines) + "\n")
        done = self.move("--file", batch, "--to", NEW, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{batch}:3: @example.org: a domain cannot be moved", done.stderr)
        self.assertIn(f"{batch}:900: ", done.stderr)
        self.assertEqual(json.loads(self.move("list", "--json").stdout)["moves"], [])

    def test_a_crash_leaves_the_account_on_one_server(self):
        account = MOVING[0]
        command = [base.BINARY, "move", "--config", self.managed.config_path, account, "--to", NEW,
                   "--sync", f"echo $$ > {self.managed.dir}/pid; sleep 600"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as following:
            until(lambda: self.last(account).get("step") == "sync" and (self.managed.dir / "pid").exists(), "the move does not begin")
            self.managed.daemon.stop(signal.SIGKILL)
            following.wait(60)
        pid = (self.managed.dir / "pid").read_text().strip()
        until(lambda: not os.path.exists(f"/proc/{pid}"), "the sync command outlives the proxy")
        self.managed.start()
        record = self.last(account)
        self.assertEqual(record["outcome"], "failed")
        self.assertIn("interrupted in the step sync", record["message"])
        self.assertEqual(self.place(account), OLD)

    def test_a_crash_at_every_step(self):
        """Killed wherever a move can be: the account is wholly on one server, the journal names it, and clients go on."""
        account = MOVING[1]
        rounds = int(os.environ.get("POINTSMAN_LAB_CRASHES", len(CRASHES)))
        for number, (point, expected) in enumerate(itertools.islice(itertools.cycle(CRASHES), rounds)):
            with self.subTest(point, round=number):
                self.managed.stop()
                self.managed.map(account, OLD)
                self.managed.environment["POINTSMAN_CRASH_AT"] = point
                self.managed.start()
                [writer] = self.writers([account], clients=1)
                self.pass_by([writer])
                verify = "exit 1" if point == "revert" else "true"
                self.move(account, "--to", NEW, "--sync", self.sync(self.old, self.new), "--force", "--verify", verify, check=False)
                until(lambda: self.managed.daemon.process.poll() is not None, f"the proxy does not end at {point!r}")
                del self.managed.environment["POINTSMAN_CRASH_AT"]
                self.managed.start()
                record = self.last(account)
                place = self.place(account)
                self.assertEqual((record["outcome"], place), expected, f"{record}\n{self.managed.tail(40)}")
                self.assertIn("interrupted in the step", record["message"])
                self.pass_by([writer])
                written = writer.stop().written
                self.assertEqual(writer.refused, [], "a client saw a failed login")
                side = self.old if place == OLD else self.new
                there = set(self.subjects(side, account))
                self.assertEqual([subject for subject in written if subject not in there], [], "lost writes")
                self.tidy(account)
