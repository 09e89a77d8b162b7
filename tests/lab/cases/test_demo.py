"""`pointsman demo` as a newcomer uses it: every command that it prints, and real clients at its servers."""

import imaplib
import mailbox
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path

from clients.terminal import Terminal
from lab.process import Daemon
from lab.waiting import until

from . import base
from .base import Case
from .pages import blocks

ALICE, BOB = "alice@example.org", "bob@example.org"


class Demo(Case):
    """One demo for all tests, each with an account or a server of its own."""

    @classmethod
    def setUpClass(cls):
        cls.output = base.LAB.dir / "demo.out"
        environment = {**os.environ, "TMPDIR": str(base.LAB.dir)}
        with open(cls.output, "wb") as out:
            cls.daemon = Daemon(base.BINARY, "demo", out=out, env=environment)
        cls.addClassCleanup(cls.daemon.stop)
        until(lambda: cls.daemon.has_ended() or "Press Ctrl-C" in cls.output.read_text(), cls.output.read_text)
        cls.guide = cls.output.read_text()
        cls.folder = Path(re.search(r"^  folder +(\S+)$", cls.guide, re.MULTILINE)[1])
        places = re.findall(r"^  server (?:old|new) +IMAP +(\S+):(\d+) +POP3 +(\S+):(\d+)$", cls.guide, re.MULTILINE)
        cls.imap, cls.pop3 = zip(*(((imap, int(port)), (pop3, int(other))) for imap, port, pop3, other in places))
        cls.proxy_imaps, cls.proxy_pop3s = map(int, re.search(r"IMAPS localhost:(\d+) +POP3S localhost:(\d+)", cls.guide).groups())

    def commands(self, start):
        """The printed commands that begin so."""
        found = [line.strip() for line in self.guide.splitlines() if line.strip().startswith(start)]
        self.assertTrue(found, f"{start} is not in\n{self.guide}")
        return found

    def shell(self, command):
        done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout

    def context(self):
        return ssl.create_default_context(cafile=self.folder / "ca.pem")

    def box(self, account=BOB):
        box = imaplib.IMAP4_SSL("localhost", self.proxy_imaps, ssl_context=self.context(), timeout=20)
        self.addCleanup(box.shutdown)
        box.login(account, account.split("@")[0] + "-demo")
        return box

    def test_every_printed_command(self):
        read, again = self.commands("curl")[:2]
        self.assertEqual(read, again)
        self.assertIn("Subject: I am on old", self.shell(read))
        program = shlex.quote(base.BINARY)
        lookup, = self.commands(f"{program} map get")
        self.assertIn("old", self.shell(lookup))
        self.shell(f"{self.commands('echo')[0]}\n{self.commands(f'{program} map reload')[0]}")
        self.assertIn("Subject: I am on new", self.shell(read))
        self.assertIn("new", self.shell(lookup))
        self.shell(self.commands(f"{program} map rm")[0])
        until(lambda: "Subject: I am on old" in self.shell(read), "the account moves back")
        connected = self.box(ALICE)
        move, moves = self.commands(f"{program} move")
        self.assertIn("alice@example.org is at new: ", self.shell(move))
        with self.assertRaises((imaplib.IMAP4.abort, OSError), msg="the session ends"):
            connected.noop()
        self.assertIn("Subject: I am on new", self.shell(read))
        self.assertIn("done", self.shell(moves))
        self.shell(self.commands(f"{program} map rm")[0])
        until(lambda: "Subject: I am on old" in self.shell(read), "the account moves back")
        self.assertIn("Subject: I am on old", self.shell(self.commands("curl")[2]))

        login = self.commands("then type: ")[0].removeprefix("then type: ")
        plain, starttls = self.commands("openssl")
        for command in (plain, starttls):
            with self.subTest(command):
                answer = self.shell(f"(sleep 1; printf '{login}\\r\\nb LOGOUT\\r\\n'; sleep 2) | {command} 2>&1 || true")
                self.assertRegex(answer, r"(?m)^a OK .*alice@example.org")
                self.assertRegex(answer, r"(?m)^b OK ")

        token = self.shell(self.commands("cat")[0]).strip()
        page, = self.commands("https://")
        with urllib.request.urlopen(page, context=self.context(), timeout=20) as answer:
            self.assertIn("text/html", answer.headers["Content-Type"])
        request = urllib.request.Request(f"{page}api/v1/stats", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, context=self.context(), timeout=20) as answer:
            self.assertEqual(answer.status, 200)
        top = Terminal(*shlex.split(self.commands(f"{program} top")[0]))
        self.addCleanup(top.close)
        top.wait_for(b"old")
        top.type(b"q")
        self.assertEqual(top.end(), 0)

    def test_curl_at_both_servers(self):
        for side, imap, pop3 in zip(("old", "new"), self.imap, self.pop3):
            for url in (f"imap://{imap[0]}:{imap[1]}/INBOX;MAILINDEX=1", f"pop3://{pop3[0]}:{pop3[1]}/1"):
                with self.subTest(url):
                    self.assertIn(f"Subject: I am on {side}", self.shell(f"curl -sS -u carol@example.org:carol-demo '{url}'"))
                    done = subprocess.run(["curl", "-s", "-u", "carol@example.org:wrong", url], capture_output=True, timeout=20)
                    self.assertEqual(done.returncode, 67)  # CURLE_LOGIN_DENIED

    def test_mbsync_at_both_servers(self):
        for side, (host, port) in zip(("old", "new"), self.imap):
            with self.subTest(side):
                folder = self.lab.dir / f"demo-mbsync-{side}"
                (folder / "mail").mkdir(parents=True)
                self.mbsync(folder, host, port)
                local = mailbox.Maildir(folder / "mail/INBOX", create=False)
                subjects = {f"I am on {side}", f"A message in two forms, on {side}"}
                self.assertLessEqual(subjects, {message["Subject"] for message in local})
                local.add(b"From: <me@example.org>\r\nSubject: pushed\r\n\r\nHello.\r\n")
                key = next(key for key, message in local.items() if message["Subject"] == f"I am on {side}")
                seen = local.get_message(key)
                seen.set_subdir("cur")
                seen.set_flags("FS")
                local[key] = seen
                self.mbsync(folder, host, port)
                box = imaplib.IMAP4(host, port, timeout=20)
                self.addCleanup(box.shutdown)
                box.login("carol@example.org", "carol-demo")
                box.select("INBOX")
                self.assertEqual(len(box.search(None, "SUBJECT", "pushed")[1][0].split()), 1)
                self.assertEqual(len(box.search(None, "FLAGGED", "SEEN", "SUBJECT", '"I am on"')[1][0].split()), 1)

    def mbsync(self, folder, host, port):
        (folder / "config").write_text(f"""
IMAPAccount demo
Host {host}
Port {port}
User carol@example.org
Pass carol-demo
SSLType None
AuthMechs LOGIN

IMAPStore far
Account demo

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState {folder}/state-
Sync All
""")
        done = subprocess.run(["mbsync", "--config", folder / "config", "--all"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_mail_programs_session(self):
        """What Thunderbird and its like send in a day."""
        box = self.box()
        for name in ("IDLE", "NAMESPACE", "UIDPLUS", "MOVE"):
            self.assertIn(name, box.capabilities + tuple(box.capability()[1][0].decode().split()))
        self.assertEqual(box.xatom("ID", '("name" "lab")')[0], "OK")
        self.assertEqual(box.namespace(), ("OK", [b'(("" "/")) NIL NIL']))
        self.assertIn(rb'(\HasNoChildren \Sent) "/" Sent', box.list()[1])
        self.assertEqual(box.create("Work/2024")[0], "OK")
        self.assertEqual(box.create("Work")[0], "OK")
        self.assertEqual(box.subscribe("Work")[0], "OK")
        self.assertEqual(box.rename("Work", "Projects")[0], "OK")
        self.assertIn(rb'(\HasChildren) "/" Projects', box.lsub()[1])
        self.assertIn(rb'(\HasNoChildren) "/" Projects/2024', box.list('""', "Proj*")[1])
        self.assertEqual(box.select("INBOX"), ("OK", [b"2"]))

        for items in ("(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Subject Date)])", "(UID ENVELOPE INTERNALDATE)"):
            answer = box.uid("FETCH", "1:*", items)[1]
            self.assertIn(b"A message in two forms", b" ".join(part if isinstance(part, bytes) else b" ".join(part) for part in answer))
        self.assertIn(b'"ALTERNATIVE"', box.uid("FETCH", "2", "BODYSTRUCTURE")[1][0])
        self.assertEqual(box.uid("FETCH", "2", "BODY.PEEK[1]")[1][0][1], b"Plain text from new.\r\n")
        self.assertIn(b"<b>new</b>", box.uid("FETCH", "2", "(BODY.PEEK[2.MIME] BODY.PEEK[2])")[1][1][1])
        self.assertEqual(box.uid("FETCH", "1", "BODY.PEEK[]<0.5>")[1][0][1], b"From:")

        self.assertEqual(box.append("Projects", r"(\Seen $Label1)", '"17-Jul-1996 02:44:25 -0700"', b"Subject: kept\r\n\r\nText.\r\n")[0], "OK")
        self.assertIn(b"MESSAGES 1 UIDNEXT 2", box.status("Projects", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")[1][0])
        self.assertEqual(box.uid("STORE", "1", "+FLAGS", r"(\Flagged)")[0], "OK")
        self.assertEqual(box.uid("SEARCH", "FLAGGED", "UNDELETED")[1], [b"1"])
        self.assertEqual(box.uid("COPY", "1", "Projects")[0], "OK")
        self.assertEqual(box.uid("MOVE", "1", "Trash")[0], "OK")
        self.assertEqual(box.response("EXPUNGE")[1], [b"1"])
        self.assertEqual(box.uid("STORE", "2", "+FLAGS.SILENT", r"(\Deleted)")[0], "OK")
        self.assertEqual(box.uid("EXPUNGE", "2")[0], "OK")
        self.assertEqual(box.uid("SEARCH", "ALL")[1], [b""])
        self.assertEqual(box.select("Projects", readonly=True), ("OK", [b"2"]))
        self.assertEqual(box.close()[0], "OK")
        self.assertEqual(box.delete("Projects/2024")[0], "OK")
        self.assertEqual(box.unsubscribe("Projects")[0], "OK")
        self.assertEqual(box.delete("Projects")[0], "OK")

    def test_idle_and_noop_hear_of_new_mail(self):
        watcher, other = self.box("carol@example.org"), self.box("carol@example.org")
        for box in (watcher, other):
            count = int(box.select("INBOX")[1][0])
        watcher.send(b"i IDLE\r\n")
        self.assertIn(b"+ ", watcher.readline())
        self.assertEqual(other.append("INBOX", None, None, b"Subject: news\r\n\r\nx\r\n")[0], "OK")
        self.assertEqual(watcher.readline(), b"* %d EXISTS\r\n" % (count + 1))
        watcher.send(b"DONE\r\n")
        self.assertEqual(watcher.readline(), b"i OK done\r\n")
        self.assertEqual(other.append("INBOX", None, None, b"Subject: more news\r\n\r\nx\r\n")[0], "OK")
        watcher.noop()
        self.assertEqual(watcher.response("EXISTS")[1][-1], b"%d" % (count + 2))

    def test_garbage_ends_one_connection_only(self):
        for host, port in (*self.imap, *self.pop3):
            with socket.create_connection((host, port), 20) as connection:
                connection.sendall(b"a\0\xff{\r\n" * 10 + b"x" * 100_000)
                connection.settimeout(20)
                received = b""
                try:
                    while data := connection.recv(65536):
                        received += data
                except ConnectionResetError:
                    pass
                self.assertIn(b"too long", received)
        self.box().noop()


class Tutorial(Case):
    def test_every_runnable_block(self):
        output = self.lab.dir / "demo-tutorial.out"
        with open(output, "wb") as out:
            daemon = Daemon(base.BINARY, "demo", out=out, env={**os.environ, "TMPDIR": str(self.lab.dir)})
        self.addCleanup(daemon.stop)
        until(lambda: daemon.has_ended() or "Press Ctrl-C" in output.read_text(), output.read_text)
        folder = re.search(r"^  folder +(\S+)$", output.read_text(), re.MULTILINE)[1]
        port = re.search(r"IMAPS localhost:(\d+)", output.read_text())[1]
        environment = {**os.environ, "DEMO": folder, "POINTSMAN_CONFIG": f"{folder}/pointsman.toml"}

        def run(block):
            script = f"pointsman() {{ {shlex.quote(base.BINARY)} \"$@\"; }}\n{block.replace('10993', port)}"
            return subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, timeout=60)

        read, *others = blocks("tutorial.md")
        self.assertIn("I am on old", run(read).stdout)
        for block in others:
            done = run(block)
            self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}{done.stderr}")
            if block.startswith("pointsman move alice"):
                self.assertIn("I am on new", run(read).stdout)
        self.assertIn("I am on old", run(read).stdout)
        mistaken = run("pointsman check")
        self.assertEqual(mistaken.returncode, 1)
        self.assertIn("nwe", mistaken.stderr)


class DemoLog(Case):
    def output(self, *options):
        """What the demo prints, with a login in it."""
        path = self.lab.dir / f"demo-log{len(options)}.out"
        with open(path, "wb") as out:
            daemon = Daemon(base.BINARY, "demo", *options, out=out, env={**os.environ, "TMPDIR": str(self.lab.dir)})
        self.addCleanup(daemon.stop)
        until(lambda: daemon.has_ended() or "Press Ctrl-C" in path.read_text(), path.read_text)
        command = next(line for line in path.read_text().splitlines() if line.strip().startswith("curl"))
        self.assertEqual(subprocess.run(["bash", "-c", command], capture_output=True, timeout=60).returncode, 0)
        self.assertEqual(daemon.stop(signal.SIGINT), 0)
        return path.read_text()

    def test_the_log_is_shown_on_request(self):
        self.assertNotIn(" INFO ", self.output())
        self.assertIn('login account="alice@example.org"', self.output("--verbose"))


class DemoEnds(Case):
    def test_nothing_is_left_behind(self):
        scratch = self.lab.dir / "demo-end"
        scratch.mkdir()
        output = scratch / "out"
        with open(output, "wb") as out:
            daemon = Daemon(base.BINARY, "demo", out=out, env={**os.environ, "TMPDIR": str(scratch)})
        self.addCleanup(daemon.stop)
        until(lambda: daemon.has_ended() or "Press Ctrl-C" in output.read_text(), output.read_text)
        folder, = scratch.glob("pointsman-demo-*")
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        self.assertTrue(all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir() if file.is_file()))
        self.assertEqual(daemon.stop(signal.SIGINT), 0)
        self.assertEqual([path.name for path in scratch.iterdir()], ["out"])
