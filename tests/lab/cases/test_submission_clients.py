"""Real submission clients, as people and programs use them."""

import base64
import shlex
import smtplib
import subprocess

from clients.addresses import fresh
from lab import certificates, tokens
from lab.layout import ACCOUNTS, address, leg_name, password

from .base import Case
from .mail import BIG, Delivered, message

# The old side submits by Dovecot, the new one by Postfix.
ACCOUNTS_OF = {side: address(leg_name(side, "starttls", "xclient")) for side in ("old", "new")}


class Client(Delivered, Case):
    def setUp(self):
        if not self.lab.has_postfix:
            self.skipTest("there is no Postfix without root")

    def run_client(self, command, words=None, status=0):
        done = subprocess.run([str(word) for word in command], input=words, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def assert_logged(self, side, source, account):
        """The server's log names the client's address, and not the proxy's."""
        sides = self.lab.sides[side]
        service = "postfix/smtpd" if sides.submits_by_postfix else "submission-login"
        sides.logs.wait(service=service, user=account, client=source)


class Swaks(Client):
    MECHANISMS = ("PLAIN", "LOGIN")

    def swaks(self, kind, account, *arguments, status=0):
        endpoint, source = self.proxy.endpoint(kind, "submission"), fresh()
        tls = ["--tls-on-connect"] if endpoint.is_implicit else ["--tls"]
        text = self.run_client(
            ["swaks", "--server", endpoint.host, "--port", endpoint.port, *tls, "--tls-verify", "--tls-ca-path", endpoint.ca,
             "--tls-sni", endpoint.server_name, "--local-interface", source,
             "--ehlo", "client.example.org", "--from", account, "--to", BIG, "--hide-informational", *arguments], status=status)
        return source, text

    def test_every_mechanism(self):
        for side, account in ACCOUNTS_OF.items():
            for kind in ("implicit", "starttls"):
                for mechanism in self.MECHANISMS:
                    with self.subTest(side, listener=kind, mechanism=mechanism):
                        subject = f"swaks {side} {kind} {mechanism}"
                        source, _ = self.swaks(kind, account, "--auth", mechanism, "--auth-user", account, "--auth-password",
                                               password(account), "--header", f"Subject: {subject}")
                        self.assertTrue(self.delivered(subject, self.lab.sides[side]))
                        self.assert_logged(side, source, account)

    def test_mechanisms_that_are_not_offered(self):
        # It knows these as well; the proxy offers none that it could not carry over to any server.
        for mechanism in ("CRAM-MD5", "DIGEST-MD5", "NTLM"):
            _, text = self.swaks("implicit", ACCOUNTS_OF["new"], "--auth", mechanism, "--auth-user", "x", "--auth-password", "y", status=28)
            self.assertRegex(text, "(?i)auth")

    def test_a_refusal_is_one(self):
        _, text = self.swaks("starttls", ACCOUNTS_OF["new"], "--auth", "PLAIN", "--auth-user", ACCOUNTS_OF["new"],
                             "--auth-password", "not-this-one", status=28)
        self.assertIn("535 5.7.8", text)


class Msmtp(Client):
    def test_every_mechanism(self):
        for side, account in ACCOUNTS_OF.items():
            for kind, mechanism in (("implicit", "plain"), ("starttls", "plain"), ("starttls", "login"), ("implicit", "scram-sha-256"),
                                    ("starttls", "oauthbearer"), ("implicit", "xoauth2")):
                with self.subTest(side, listener=kind, mechanism=mechanism):
                    endpoint, source, subject = self.proxy.endpoint(kind, "submission"), fresh(), f"msmtp {side} {kind} {mechanism}"
                    known = tokens.opaque(account) if "oauth" in mechanism else password(account)
                    options = {"host": endpoint.server_name, "port": endpoint.port, "source-ip": source, "user": account,
                               "from": account, "auth": mechanism, "passwordeval": f"echo {shlex.quote(known)}", "tls": "on",
                               "tls-starttls": "off" if endpoint.is_implicit else "on", "tls-trust-file": endpoint.ca,
                               "tls-certcheck": "on", "domain": "client.example.org", "timeout": "20"}
                    # The name is in the certificate; where it leads is said by the socket's name service here.
                    options |= {"host": endpoint.host, "tls-host-override": endpoint.server_name}
                    command = ["msmtp", "--file=/dev/null", *(f"--{key}={value}" for key, value in options.items()), BIG]
                    self.run_client(command, message(subject, b"Hello.\r\n", account).decode().replace("\r\n", "\n"))
                    self.assertTrue(self.delivered(subject, self.lab.sides[side]))
                    self.assert_logged(side, source, account)


class Curl(Client):
    def test_every_mechanism_it_knows(self):
        for side, account in ACCOUNTS_OF.items():
            for kind, options in (("implicit", "AUTH=PLAIN"), ("starttls", "AUTH=LOGIN"), ("starttls", "AUTH=OAUTHBEARER"),
                                  ("implicit", "AUTH=XOAUTH2")):
                for initial in ((), ("--sasl-ir",)):
                    with self.subTest(side, listener=kind, options=options, initial=initial):
                        endpoint, source = self.proxy.endpoint(kind, "submission"), fresh()
                        subject = f"curl {side} {kind} {options} {len(initial)}"
                        scheme = "smtps" if endpoint.is_implicit else "smtp"
                        known = (["--user", account, "--oauth2-bearer", tokens.opaque(account)] if "OAUTH" in options
                                 else ["--user", f"{account}:{password(account)}"])
                        self.run_client(
                            ["curl", "--silent", "--show-error", "--max-time", "20", "--ssl-reqd", "--cacert", endpoint.ca, "--interface", source,
                             "--resolve", f"{endpoint.server_name}:{endpoint.port}:{endpoint.host}", "--login-options", options, *initial,
                             *known, "--mail-from", account, "--mail-rcpt", BIG, "--upload-file", "-",
                             f"{scheme}://{endpoint.server_name}:{endpoint.port}/client.example.org"],
                            message(subject, b"Hello.\r\n", account).decode())
                        self.assertTrue(self.delivered(subject, self.lab.sides[side]))
                        self.assert_logged(side, source, account)


class Smtplib(Client):
    def box(self, kind):
        endpoint, context = self.proxy.endpoint(kind, "submission"), certificates.trusting(self.proxy.pairs["mail"].ca)
        if endpoint.is_implicit:
            box = smtplib.SMTP_SSL(endpoint.host, endpoint.port, context=context, timeout=20)
        else:
            box = smtplib.SMTP(endpoint.host, endpoint.port, timeout=20)
            box.starttls(context=context)
        self.addCleanup(box.close)
        return box

    def test_refused_and_again_as_another(self):
        for kind in ("implicit", "starttls"):
            box = self.box(kind)
            with self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
                box.login(ACCOUNTS_OF["old"], "not-this-one")
            self.assertEqual(refused.exception.smtp_code, 535)
            box.login(ACCOUNTS_OF["new"], password(ACCOUNTS_OF["new"]))
            box.sendmail(ACCOUNTS_OF["new"], [BIG], message(f"smtplib {kind}", b".a dot\r\n", ACCOUNTS_OF["new"]))
            self.assertEqual(self.delivered(f"smtplib {kind}", self.new)[1], b".a dot\r\n")
            box.quit()


class Openssl(Client):
    def test_a_session_by_hand(self):
        account = ACCOUNTS_OF["new"]
        for kind, extra in (("implicit", ""), ("starttls", "-starttls smtp")):
            endpoint = self.proxy.endpoint(kind, "submission")
            command = (f"openssl s_client -quiet -crlf -verify_return_error {extra} -connect {endpoint.host}:{endpoint.port} "
                       f"-servername {endpoint.server_name} -verify_hostname {endpoint.server_name} -CAfile {endpoint.ca}")
            plain = base64.b64encode(f"\0{account}\0{ACCOUNTS[account].decode()}".encode()).decode()
            words = f"EHLO client.example.org\nAUTH PLAIN {plain}\nEHLO client.example.org\nQUIT\n"
            text = self.run_client(shlex.split(command), words)
            self.assertIn("235 2.7.0", text)
            self.assertIn("221 ", text)
