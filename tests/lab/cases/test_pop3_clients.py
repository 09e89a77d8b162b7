"""Real POP3 clients, as people use them."""

import os
import poplib
import shlex
import subprocess

from clients.addresses import fresh
from lab import certificates, tokens
from lab.layout import ACCOUNTS, address, password

from .base import Case

ALICE, BOB, DROP = address("alice"), address("bob"), address("crowd1")


class Curl(Case):
    def curl(self, *arguments, kind="implicit", path="1", status=0):
        endpoint = self.proxy.endpoint(kind, "pop3")
        scheme = "pop3s" if endpoint.is_implicit else "pop3"
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", endpoint.ca, "--interface", fresh(),
             "--resolve", f"{endpoint.server_name}:{endpoint.port}:{endpoint.host}", *arguments,
             f"{scheme}://{endpoint.server_name}:{endpoint.port}/{path}"], capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def test_pop3s(self):
        for user, side in ((ALICE, "old"), (BOB, "new")):
            self.assertIn(f"Subject: I am {side}", self.curl("--user", f"{user}:{password(user)}"))

    def test_stls(self):
        self.assertIn("I am new", self.curl("--ssl-reqd", "--user", f"{BOB}:{password(BOB)}", kind="starttls"))

    def test_every_mechanism_it_knows(self):
        for options in ("AUTH=PLAIN", "AUTH=LOGIN"):
            for initial in ((), ("--sasl-ir",)):
                with self.subTest(options, initial=initial):
                    text = self.curl("--login-options", options, *initial, "--user", f"{BOB}:{password(BOB)}")
                    self.assertIn("I am new", text)

    def test_bearer_tokens(self):
        for options in ("AUTH=OAUTHBEARER", "AUTH=XOAUTH2"):
            for initial in ((), ("--sasl-ir",)):
                with self.subTest(options, initial=initial):
                    text = self.curl("--login-options", options, *initial, "--user", BOB,
                                     "--oauth2-bearer", tokens.opaque(BOB))
                    self.assertIn("I am new", text)

    def test_a_refusal_is_one(self):
        self.curl("--user", f"{BOB}:wrong", status=67)  # CURLE_LOGIN_DENIED


class Poplib(Case):
    def box(self, account, kind="implicit"):
        endpoint, context = self.proxy.endpoint(kind, "pop3"), certificates.trusting(self.proxy.pairs["mail"].ca)
        # It verifies the address that it connects to; the certificate has that too.
        if endpoint.is_implicit:
            box = poplib.POP3_SSL(endpoint.host, endpoint.port, context=context, timeout=20)
        else:
            box = poplib.POP3(endpoint.host, endpoint.port, timeout=20)
            self.assertIn("STLS", box.capa())
            box.stls(context)
        self.addCleanup(box.close)
        self.assertNotIn("STLS", box.capa())
        box.user(account)
        box.pass_(password(account))
        return box

    def test_mail_is_fetched_and_deleted(self):
        body = [b"a line", b".with a dot", b"", b"the end"]
        for kind in ("implicit", "starttls"):
            with self.subTest(kind):
                self.old.deliver([DROP], "to be deleted", "\r\n".join(line.decode() for line in body))
                box = self.box(DROP, kind)
                self.assertEqual(box.stat()[0], 2)
                self.assertEqual(len(box.uidl()[1]), 2)
                self.assertEqual(box.retr(2)[1][-len(body):], body)
                box.dele(2)
                self.assertTrue(box.quit().startswith(b"+OK"))
                self.assertEqual(self.box(DROP, kind).stat()[0], 1)

    def test_a_refusal_is_one(self):
        endpoint = self.proxy.endpoint("implicit", "pop3")
        box = poplib.POP3_SSL(endpoint.host, endpoint.port, timeout=20,
                              context=certificates.trusting(self.proxy.pairs["mail"].ca))
        self.addCleanup(box.close)
        box.user(ALICE)
        with self.assertRaisesRegex(poplib.error_proto, r"-ERR \[AUTH\]"):
            box.pass_("wrong")
        box.user(BOB)
        box.pass_(password(BOB))
        self.assertIn(b"Subject: I am new", box.top(1, 0)[1])


class Fetchmail(Case):
    def test_mail_is_fetched_once(self):
        folder = self.lab.dir / "fetchmail"
        folder.mkdir(exist_ok=True)
        for user, side in ((ALICE, "old"), (BOB, "new")):
            for kind, tls in (("implicit", "ssl"), ("starttls", "sslproto 'TLS1.2+'")):
                with self.subTest(side, kind=kind):
                    endpoint, fetched, config = self.proxy.endpoint(kind, "pop3"), folder / f"{side}-{kind}", folder / "config"
                    config.write_text(f"""
set no bouncemail
set idfile "{folder}/ids-{side}-{kind}"
poll {endpoint.host} protocol POP3 port {endpoint.port} uidl
    user "{user}" password "{password(user)}" keep
    {tls} sslcertck sslcertfile "{endpoint.ca}" sslcommonname "{endpoint.server_name}"
    mda "cat >> {fetched}"
""")
                    config.chmod(0o600)
                    # 0: there was mail; 1: there was none that is new.
                    for status in (0, 1):
                        done = subprocess.run(
                            ["fetchmail", "--nodetach", "--nosyslog", "--fetchmailrc", config, "--pidfile", folder / "pid"],
                            env={**os.environ, "HOME": str(folder), "FETCHMAILHOME": str(folder)},
                            capture_output=True, text=True, timeout=60)
                        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
                    self.assertEqual(fetched.read_text().count(f"Subject: I am {side}"), 1)


class Openssl(Case):
    def test_a_session_by_hand(self):
        for kind, extra in (("implicit", ""), ("starttls", "-starttls pop3")):
            endpoint = self.proxy.endpoint(kind, "pop3")
            command = (f"openssl s_client -quiet -crlf -verify_return_error {extra} -connect {endpoint.host}:{endpoint.port} "
                       f"-servername {endpoint.server_name} -verify_hostname {endpoint.server_name} -CAfile {endpoint.ca}")
            words = f"USER {BOB}\nPASS {ACCOUNTS[BOB].decode()}\nTOP 1 0\nQUIT\n"
            done = subprocess.run(shlex.split(command), input=words, capture_output=True, text=True, timeout=30)
            self.assertIn("Subject: I am new", done.stdout.splitlines(), done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"(?m)^\+OK Logging out")
