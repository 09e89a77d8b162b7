"""What a person sees who waits or watches: progress, and `pointsman top`, with sessions at real servers."""

import json
import signal
import subprocess

from clients.terminal import Terminal
from lab.configuration import SCRIPTED_HOST
from lab.layout import address
from lab.proxy import Proxy
from lab.scripted import Scripted

from . import base
from .test_admin import Managed

# What ratatui's terminal leaves by: the other screen is given up.
LEFT = rb"\x1b\[\?1049l"


class Progress(Managed):
    def test_whoever_waits_is_told_and_nothing_of_it_stays(self):
        """A host that takes connections and says nothing, for three seconds."""
        def mute(document):
            document["destination"] = {"scripted": document["destination"]["scripted"]}
            document["routing"] = {"default_destination": "scripted"}
            document["server"]["backend_timeout"] = "3s"
        silent = Scripted(self.lab.block.host(SCRIPTED_HOST), self.old.port("imaps"), lambda connection: None)
        self.addCleanup(silent.stop)
        proxy = Proxy(self.lab, base.BINARY, "probe-mute", 96, mute, {})
        command = base.BINARY, "check", "--probe", proxy.config_path
        terminal = Terminal(*command)
        self.addCleanup(terminal.close)
        told = terminal.wait_for(rb"probing: \d of \d done")
        self.assertEqual(terminal.end(), 1)
        self.assertIn(b"\r\x1b[K", terminal.drawn[told:], "the line is taken away")
        piped = subprocess.run(command, capture_output=True, timeout=60)
        self.assertNotIn(b"probing", piped.stdout + piped.stderr)


class Top(Managed):
    def top(self, *arguments):
        terminal = Terminal(base.BINARY, "top", "--config", self.managed.config_path, "--interval", "1", *arguments)
        self.addCleanup(terminal.close)
        return terminal

    def test_on_a_terminal(self):
        self.start(86)
        alice, carol = self.log_in(), self.log_in("carol")
        terminal = self.top()
        for word in (rb"ready", rb"alice@example\.org", rb"carol@example\.org"):
            terminal.wait_for(word)
        drawn = terminal.wait_for(rb"by traffic")
        self.assertFalse(terminal.is_as_before(), "it reads single keys")
        terminal.type(b"s")
        drawn = terminal.wait_for(rb"newest", since=drawn)
        terminal.type(b"p")
        terminal.wait_for(rb"PAUSED", since=drawn)
        terminal.type(b"q")
        self.assertEqual(terminal.end(), 0)
        self.assertRegex(terminal.drawn, LEFT)
        self.assertTrue(terminal.is_as_before())
        for session in (alice, carol):
            self.assert_at(session, "old")

    def test_whatever_ends_it_leaves_the_terminal_as_it_was(self):
        self.start(87)
        for how in (b"\x03", signal.SIGTERM, signal.SIGHUP, "--count"):
            with self.subTest(how=how):
                terminal = self.top(*(["--count", "2"] if how == "--count" else []))
                terminal.wait_for(rb"ready")
                if isinstance(how, bytes):
                    terminal.type(how)
                elif how != "--count":
                    terminal.process.send_signal(how)
                self.assertEqual(terminal.end(), 0)
                self.assertRegex(terminal.drawn, LEFT)
                self.assertTrue(terminal.is_as_before())

    def test_a_proxy_that_goes_away_and_comes_back(self):
        self.start(88)
        terminal = self.top()
        drawn = terminal.wait_for(rb"ready")
        self.managed.stop()
        drawn = terminal.wait_for(rb"no answer from the proxy", since=drawn)
        self.managed.start()
        terminal.wait_for(rb"answered from the cache", since=drawn)
        terminal.type(b"q")
        self.assertEqual(terminal.end(), 0)

    def test_for_machines(self):
        self.start(89)
        alice, big = self.log_in(), self.log_in("carol")
        with subprocess.Popen([base.BINARY, "top", "--json", "--interval", "1", "--count", "3", "--config", self.managed.config_path],
                              stdout=subprocess.PIPE, text=True) as top:
            first = json.loads(top.stdout.readline())
            big.ok("SELECT INBOX")
            second = json.loads(top.stdout.readline())
            third = json.loads(top.stdout.readline())
            self.assertEqual(top.stdout.read(), "")
        self.assertEqual(top.returncode, 0)
        self.assertEqual((first["ready"], first["logins_per_second"]["accepted"]), (True, None))
        rates = [row for look in (second, third) for row in look["sessions"] if row["to_client_per_second"]]
        self.assertEqual({row["account"] for row in rates}, {address("carol")}, "the others are silent")
        self.assertEqual({row["account"] for row in third["sessions"]}, {address("alice"), address("carol")})
        alice.close()

    def test_without_a_terminal(self):
        done = subprocess.run([base.BINARY, "top", "--config", self.proxy.config_path], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertTrue(done.stderr, "it says why")
