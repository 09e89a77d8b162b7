"""Real ManageSieve clients."""

import base64
import os
import shlex
import subprocess

from clients.addresses import fresh
from lab.layout import ACCOUNTS, address, password

from .base import Case

ALICE, BOB = address("alice"), address("bob")
SCRIPT = 'require ["fileinto"];\nfileinto "Lists";\n'


class SieveConnect(Case):
    """Perl's, by the author of exim's filters; it insists on TLS and on a certificate that it can verify."""

    def sieve(self, account, commands, status=0, known=None):
        endpoint, folder = self.proxy.endpoint("starttls", "managesieve"), self.lab.dir / "sieve-connect"
        folder.mkdir(exist_ok=True)
        (folder / "words").write_text("".join(f"{command}\n" for command in commands))
        (folder / "mine.sieve").write_text(SCRIPT)
        (folder / "password").write_text(known or password(account))
        command = ["sieve-connect", "--server", endpoint.host, "--port", str(endpoint.port), "--user", account, "--nosslverify",
                   "--passwordfd", "0", "--exec", str(folder / "words")]
        with open(folder / "password") as secret:
            done = subprocess.run(command, stdin=secret, capture_output=True, text=True, timeout=60, cwd=folder, env=os.environ | {"HOME": str(folder)})
        self.assertEqual(done.returncode == 0, status == 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_a_script_is_kept_where_the_account_is(self):
        for account, side in ((ALICE, self.old), (BOB, self.new)):
            text = self.sieve(account, ["upload mine.sieve mine", "list", "download mine back.sieve", "quit"])
            self.assertIn("mine", text)
            self.assertEqual((self.lab.dir / "sieve-connect" / "back.sieve").read_text().replace("\r\n", "\n"), SCRIPT)
            side.logs.wait(service="managesieve-login", what="Login", user=account)
            self.assertNotIn("mine", self.sieve(account, ["delete mine", "list", "quit"]))

    def test_a_refusal_is_one(self):
        self.assertRegex(self.sieve(BOB, ["list"], status=1, known="not-this-one"), "(?i)auth")


class Openssl(Case):
    def test_a_session_by_hand(self):
        endpoint = self.proxy.endpoint("starttls", "managesieve")
        command = (f"openssl s_client -quiet -crlf -verify_return_error -starttls sieve -connect {endpoint.host}:{endpoint.port} -bind {fresh()} "
                   f"-servername {endpoint.server_name} -verify_hostname {endpoint.server_name} -CAfile {endpoint.ca}")
        plain = base64.b64encode(f"\0{BOB}\0{ACCOUNTS[BOB].decode()}".encode()).decode()
        words = f'AUTHENTICATE "PLAIN" "{plain}"\nCAPABILITY\nLOGOUT\n'
        done = subprocess.run(shlex.split(command), input=words, capture_output=True, text=True, timeout=30)
        self.assertIn('"IMPLEMENTATION" "Dovecot new"', done.stdout, done.stdout + done.stderr)
