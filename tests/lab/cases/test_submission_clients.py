"""Real submission clients, as people use them: each mail arrives, and the server's log names the client."""

import shlex
import smtplib
import subprocess

from clients.addresses import fresh
from lab import certificates, tokens
from lab.layout import ACCOUNTS, address, password
from lab.waiting import until

from .base import Case

ALICE, BOB, RECIPIENT = address("alice"), address("bob"), address("crowd5")
KINDS = ("implicit", "starttls")


class Client(Case):
    """The old side submits by Dovecot, the new one by Postfix."""

    needs_postfix = True

    def accounts(self):
        return (ALICE, self.old), (BOB, self.new)

    def run_client(self, *command, status=0, text=None):
        done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def message(self, subject, account):
        return f"From: <{account}>\nTo: <{RECIPIENT}>\nSubject: {subject}\n\nHello.\n.\n..\n"

    def assert_sent(self, side, since, source, account, subject):
        service = "postfix/smtpd" if side.submits_by_postfix else "submission-login"
        side.logs.wait(since, service=service, client=source, user=account)
        until(lambda: subject in side.subjects(RECIPIENT), f"{subject!r} is not delivered", limit=20, every=0.1)

    def assert_refused_here(self, source):
        """The login was refused by the proxy itself: neither server saw the client."""
        for side in self.lab.sides.values():
            self.assertEqual([entry for entry in side.logs.seen() if entry["client"] == source], [])


class Curl(Client):
    def send(self, account, side, kind, subject, *arguments):
        endpoint, source, since = self.proxy.endpoint(kind, "submission"), fresh(), side.logs.mark()
        scheme = "smtps" if endpoint.is_implicit else "smtp"
        self.run_client(
            "curl", "--silent", "--show-error", "--max-time", "20", "--cacert", endpoint.ca, "--interface", source,
            "--resolve", f"{endpoint.server_name}:{endpoint.port}:{endpoint.host}", "--ssl-reqd", *arguments,
            "--mail-from", account, "--mail-rcpt", RECIPIENT, "--upload-file", "-",
            f"{scheme}://{endpoint.server_name}:{endpoint.port}/client.example.org",
            text=self.message(subject, account).replace("\n", "\r\n"))
        self.assert_sent(side, since, source, account, subject)

    def test_every_mechanism_it_knows(self):
        for account, side in self.accounts():
            words = ("--user", f"{account}:{password(account)}")
            bearer = ("--user", account, "--oauth2-bearer", tokens.opaque(account))
            for number, (options, secret) in enumerate((("PLAIN", words), ("LOGIN", words), ("OAUTHBEARER", bearer),
                                                        ("XOAUTH2", bearer))):
                for initial in ((), ("--sasl-ir",)):
                    kind = KINDS[number % 2]
                    with self.subTest(options, initial=initial, side=side.name):
                        subject = f"by curl, {side.name} {options} {initial}"
                        self.send(account, side, kind, subject, "--login-options", f"AUTH={options}", *initial, *secret)

    def test_a_refusal_is_one(self):
        endpoint = self.proxy.endpoint("implicit", "submission")
        self.run_client("curl", "--silent", "--cacert", endpoint.ca, "--user", f"{BOB}:wrong", "--mail-from", BOB,
                        "--mail-rcpt", RECIPIENT, "--upload-file", "-", f"smtps://{endpoint.host}:{endpoint.port}",
                        text=self.message("refused", BOB), status=67)  # CURLE_LOGIN_DENIED


class Swaks(Client):
    def swaks(self, account, kind, mechanism, subject, source, status=0):
        endpoint = self.proxy.endpoint(kind, "submission")
        return self.run_client(
            "swaks", "--server", endpoint.host, "--port", endpoint.port, "--local-interface", source,
            "--tls-on-connect" if endpoint.is_implicit else "--tls", "--tls-verify", "--tls-ca-path", endpoint.ca,
            "--auth", mechanism, "--auth-user", account, "--auth-password", password(account), "--helo", "client.example.org",
            "--from", account, "--to", RECIPIENT, "--header", f"Subject: {subject}", "--timeout", 20, status=status)

    def test_the_mechanisms_that_are_offered(self):
        for account, side in self.accounts():
            for kind in KINDS:
                for mechanism in ("PLAIN", "LOGIN"):
                    with self.subTest(mechanism, kind=kind, side=side.name):
                        since, source, subject = side.logs.mark(), fresh(), f"by swaks, {side.name} {kind} {mechanism}"
                        self.swaks(account, kind, mechanism, subject, source)
                        self.assert_sent(side, since, source, account, subject)

    def test_the_mechanisms_that_are_not(self):
        # The server speaks first in them, and which server that is depends on the name that comes second.
        for kind in KINDS:
            for mechanism in ("CRAM-MD5", "CRAM-SHA1", "DIGEST-MD5", "NTLM"):
                with self.subTest(mechanism, kind=kind):
                    source = fresh()
                    self.swaks(BOB, kind, mechanism, "not sent", source, status=28)  # no such mechanism
                    self.assert_refused_here(source)

    def test_any_mechanism(self):
        since, source = self.new.logs.mark(), fresh()
        self.swaks(BOB, "starttls", "ANY", "by swaks, any", source)
        self.assert_sent(self.new, since, source, BOB, "by swaks, any")


class Msmtp(Client):
    def test_every_mechanism_it_knows(self):
        for account, side in self.accounts():
            for number, mechanism in enumerate(("plain", "login", "scram-sha-1", "scram-sha-256", "oauthbearer", "xoauth2")):
                with self.subTest(mechanism, side=side.name):
                    kind, source, since = KINDS[number % 2], fresh(), side.logs.mark()
                    subject = f"by msmtp, {side.name} {mechanism}"
                    word = tokens.opaque(account) if "oauth" in mechanism else password(account)
                    self.msmtp(account, kind, mechanism, word, source, subject)
                    self.assert_sent(side, since, source, account, subject)

    def test_a_refusal_is_one(self):
        for mechanism in ("plain", "scram-sha-256", "cram-md5"):
            with self.subTest(mechanism):
                # EX_NOPERM; EX_UNAVAILABLE where the mechanism is not offered.
                status = 69 if mechanism == "cram-md5" else 77
                self.msmtp(BOB, "starttls", mechanism, "wrong", fresh(), "refused", status)

    def msmtp(self, account, kind, mechanism, word, source, subject, status=0):
        endpoint = self.proxy.endpoint(kind, "submission")
        self.run_client(
            "msmtp", "--file=/dev/null", f"--host={endpoint.host}", f"--port={endpoint.port}", f"--source-ip={source}",
            "--tls=on", f"--tls-starttls={'off' if endpoint.is_implicit else 'on'}", f"--tls-trust-file={endpoint.ca}",
            f"--auth={mechanism}", f"--user={account}", f"--passwordeval=echo {shlex.quote(word)}", f"--from={account}",
            "--domain=client.example.org", "--timeout=20", RECIPIENT, text=self.message(subject, account), status=status)


class Smtplib(Client):
    def smtp(self, kind, source):
        endpoint = self.proxy.endpoint(kind, "submission")
        how, context = {"timeout": 20, "source_address": (source, 0)}, certificates.trusting(endpoint.ca)
        if endpoint.is_implicit:
            smtp = smtplib.SMTP_SSL(endpoint.host, endpoint.port, context=context, **how)
        else:
            smtp = smtplib.SMTP(endpoint.host, endpoint.port, **how)
            smtp.starttls(context=context)
        self.addCleanup(smtp.close)
        return smtp

    def test_mail_is_sent(self):
        for account, side in self.accounts():
            for kind in KINDS:
                with self.subTest(kind, side=side.name):
                    since, source, subject = side.logs.mark(), fresh(), f"by smtplib, {side.name} {kind}"
                    smtp = self.smtp(kind, source)
                    smtp.login(account, password(account))
                    smtp.sendmail(account, [RECIPIENT], self.message(subject, account))
                    smtp.quit()
                    self.assert_sent(side, since, source, account, subject)

    def test_without_an_initial_response(self):
        for mechanism in ("PLAIN", "LOGIN"):
            with self.subTest(mechanism):
                smtp = self.smtp("implicit", fresh())
                smtp.ehlo()
                smtp.user, smtp.password = BOB, password(BOB)
                code, _ = smtp.auth(mechanism, getattr(smtp, f"auth_{mechanism.lower()}"), initial_response_ok=False)
                self.assertEqual(code, 235)
                # The session is the server's, which knows it from the EHLO that was said there.
                self.assertEqual(smtp.mail(BOB)[0], 250)

    def test_a_refusal_is_one(self):
        smtp = self.smtp("implicit", fresh())
        with self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
            smtp.login(ALICE, "wrong")
        self.assertEqual(refused.exception.smtp_code, 535)


class Openssl(Client):
    def test_a_session_by_hand(self):
        for (account, side), (kind, extra) in zip(self.accounts(), (("implicit", ""), ("starttls", "-starttls smtp"))):
            endpoint, since = self.proxy.endpoint(kind, "submission"), side.logs.mark()
            command = (f"openssl s_client -quiet -crlf -verify_return_error {extra} -connect {endpoint.host}:{endpoint.port} "
                       f"-servername {endpoint.server_name} -verify_hostname {endpoint.server_name} -CAfile {endpoint.ca}")
            response = tokens.b64(b"\0".join([b"", account.encode(), ACCOUNTS[account]]))
            words = f"EHLO client.example.org\nAUTH PLAIN {response}\nMAIL FROM:<{account}>\nRCPT TO:<{RECIPIENT}>\nQUIT\n"
            done = subprocess.run(shlex.split(command), input=words, capture_output=True, text=True, timeout=30)
            self.assertRegex(done.stdout, r"(?s)\n235 2\.7\.0 .*\n250 2\.1\.0 .*\n250 2\.1\.5 .*\n221 2\.0\.0 ", done.stderr)
            service = "postfix/smtpd" if side.submits_by_postfix else "submission-login"
            side.logs.wait(since, service=service, user=account)
