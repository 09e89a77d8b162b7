"""Real ManageSieve clients, as people use them."""

import shlex
import subprocess

from clients.addresses import fresh
from lab import tokens
from lab.layout import ACCOUNTS, address, password
from lab.waiting import until

from .base import Case

ALICE, BOB = address("alice"), address("bob")
SCRIPT = 'require ["fileinto"];\nif header :contains "Subject" "sieved" { fileinto "Drafts"; }\n'


class SieveConnect(Case):
    """It knows STARTTLS alone, as the protocol does."""

    def sieve(self, account, *action):
        done = self.run_it(account, password(account), *action)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def run_it(self, account, word, *action):
        endpoint = self.proxy.endpoint("starttls", "managesieve")
        return subprocess.run(
            ["sieve-connect", "--server", endpoint.host, "--port", str(endpoint.port), "--tlscafile", str(endpoint.ca),
             "--noclearauth", "--passwordfd", "0", "--user", account, *action],
            input=f"{word}\n", capture_output=True, text=True, timeout=60)

    def test_a_script_is_put_and_works(self):
        folder = self.lab.dir / "sieve-connect"
        folder.mkdir(exist_ok=True)
        (folder / "mine").write_text(SCRIPT)
        for account, side in ((ALICE, self.old), (BOB, self.new)):
            with self.subTest(side.name):
                self.sieve(account, "--localsieve", str(folder / "mine"), "--remotesieve", "mine", "--upload")
                self.sieve(account, "--remotesieve", "mine", "--activate")
                self.assertRegex(self.sieve(account, "--list"), r'"mine" ACTIVE')
                back = folder / f"back-{side.name}"
                self.sieve(account, "--localsieve", str(back), "--remotesieve", "mine", "--download")
                self.assertEqual(back.read_text(), SCRIPT)
                side.deliver([account], f"sieved on {side.name}")
                until(lambda: f"sieved on {side.name}" in side.subjects(account, "Drafts"), "it is not filed", every=0.1)
                self.sieve(account, "--deactivate")
                self.sieve(account, "--remotesieve", "mine", "--delete")
                self.assertNotIn("mine", self.sieve(account, "--list"))
                side.doveadm("expunge", "-u", account, "mailbox", "Drafts", "all")

    def test_mechanisms(self):
        for mechanism in ("PLAIN", "LOGIN"):
            for account, side in ((ALICE, self.old), (BOB, self.new)):
                with self.subTest(mechanism, side=side.name):
                    since = side.logs.mark()
                    self.sieve(account, "--authmech", mechanism, "--list")
                    side.logs.wait(since, what="Login", service="managesieve-login", user=account)

    def test_a_refusal_is_one(self):
        done = self.run_it(BOB, "wrong", "--list")
        self.assertIn("Authentication refused by server", done.stderr)
        self.assertNotEqual(done.returncode, 0)


class Openssl(Case):
    def test_a_session_by_hand(self):
        for account, side in ((ALICE, self.old), (BOB, self.new)):
            for kind, extra in (("implicit", ""), ("starttls", "-starttls sieve")):
                endpoint = self.proxy.endpoint(kind, "managesieve")
                command = (f"openssl s_client -quiet -crlf -verify_return_error {extra} -connect {endpoint.host}:{endpoint.port}"
                           f" -bind {fresh()}:0 -servername {endpoint.server_name} -verify_hostname {endpoint.server_name}"
                           f" -CAfile {endpoint.ca}")
                response = tokens.b64(b"\0".join([b"", account.encode(), ACCOUNTS[account]]))
                words = f'AUTHENTICATE "PLAIN" "{response}"\nCAPABILITY\nLOGOUT\n'
                done = subprocess.run(shlex.split(command), input=words, capture_output=True, text=True, timeout=30)
                self.assertIn(f'"IMPLEMENTATION" "Dovecot {side.name}"', done.stdout.splitlines(), done.stdout + done.stderr)
                self.assertRegex(done.stdout, r'(?m)^OK "Logout completed\."')
