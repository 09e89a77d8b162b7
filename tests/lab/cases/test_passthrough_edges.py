"""What passes through beside mail: the backend's STARTTLS, its absence, its greeting; and real clients."""

import itertools
import shlex
import smtplib
import subprocess
from dataclasses import replace

from clients.addresses import fresh
from clients.smtp import Lmtp, Smtp
from lab import certificates
from lab.configuration import PASSING_LISTENERS, SCRIPTED_HOST, passing
from lab.layout import DOMAIN, FORWARDINGS, address
from lab.scripted import Scripted
from lab.waiting import until

from .passing import Passing

RECIPIENT, SENDER = address("crowd2"), f"sender@{DOMAIN}"


class Tls(Passing):
    """STARTTLS is between the client and Postfix: the certificate is Postfix's, and we see nothing of it."""

    client = Smtp

    def backend_endpoint(self, forwarding):
        """The proxy's listener, with the backend's certificate to be expected there."""
        endpoint = self.passing(forwarding).endpoint("plain", "smtp")
        return replace(endpoint, ca=self.new.pair.ca, server_name=self.new.hostname)

    def test_the_certificate_is_the_backends(self):
        for forwarding in FORWARDINGS:
            with self.subTest(forwarding):
                since, talk = self.new.logs.mark(), self.dial_endpoint(self.backend_endpoint(forwarding))
                self.assertIn("STARTTLS", talk.ok("EHLO client.example.org"))
                talk.starttls()
                self.assertEqual(talk.certificate(), self.new.pair.fingerprint())
                self.assertNotIn("STARTTLS", talk.begin(SENDER, RECIPIENT))
                talk.expect("250", talk.data(b"Subject: encrypted\r\n\r\nHello.\r\n"), "DATA")
                talk.quit()
                client = talk.source if forwarding != "none" else "127.0.0.1"
                self.new.logs.wait(since, service="postfix/smtpd", what="message", client=client)

    def test_openssl(self):
        for forwarding in FORWARDINGS:
            with self.subTest(forwarding):
                endpoint = self.backend_endpoint(forwarding)
                command = (f"openssl s_client -quiet -crlf -starttls smtp -connect {endpoint.host}:{endpoint.port} "
                           f"-verify_return_error -verify_hostname {endpoint.server_name} -CAfile {endpoint.ca}")
                done = subprocess.run(shlex.split(command), input="EHLO client.example.org\nquit\n",
                                      capture_output=True, text=True, timeout=30)
                self.assertRegex(done.stdout, rf"(?m)^250-{self.new.hostname}$", done.stderr)
                self.assertRegex(done.stdout, r"(?m)^221 2\.0\.0 ")


class Clients(Passing):
    client = Smtp

    def test_smtplib(self):
        for kind in PASSING_LISTENERS:
            with self.subTest(kind):
                endpoint, source, since = self.passing("xclient").endpoint(kind, "smtp"), fresh(), self.new.logs.mark()
                how = {"timeout": 20, "source_address": (source, 0)}
                context = certificates.trusting(endpoint.ca)
                with (smtplib.SMTP_SSL(endpoint.host, endpoint.port, context=context, **how) if endpoint.is_implicit
                      else smtplib.SMTP(endpoint.host, endpoint.port, **how)) as smtp:
                    subject = f"by smtplib, {kind}"
                    smtp.sendmail(SENDER, [RECIPIENT], f"Subject: {subject}\r\n\r\nHello.\r\n")
                self.new.logs.wait(since, service="postfix/smtpd", what="message", client=source)
                self.assert_delivered(subject)

    def test_swaks(self):
        endpoint, source, since = self.passing("proxy").endpoint("plain", "smtp"), fresh(), self.new.logs.mark()
        done = subprocess.run(
            ["swaks", "--server", endpoint.host, "--port", str(endpoint.port), "--local-interface", source,
             "--helo", "client.example.org", "--from", SENDER, "--to", RECIPIENT, "--header", "Subject: by swaks",
             "--timeout", "20"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.new.logs.wait(since, service="postfix/smtpd", what="message", client=source)
        self.assert_delivered("by swaks")

    def assert_delivered(self, subject):
        until(lambda: subject in self.new.subjects(RECIPIENT), f"{subject!r} is not delivered", limit=20, every=0.1)


class Away(Passing):
    """No backend: the client is told so in one line, and may come again."""

    client = Lmtp

    def test_a_backend_that_is_down(self):
        for forwarding, client, kind in itertools.product(FORWARDINGS, (Smtp, Lmtp), PASSING_LISTENERS):
            with self.subTest(forwarding, protocol=client.protocol, listener=kind):
                talk = self.through(forwarding, kind, self.lab.block.host(99), client=client, is_greeted=False)
                talk.script("S: 421 4.3.2 ...\nEND")


class Made(Passing):
    """Against a backend that a test makes up, with forwarding by XCLIENT, where we speak first."""

    client = Lmtp

    def scripted(self, *answers):
        """A backend that says these: the first unasked, each other to a line."""
        def converse(connection):
            for number, lines in enumerate(answers):
                if number:
                    connection.line()
                connection.say(*lines)
        backend = Scripted(self.lab.block.host(SCRIPTED_HOST), self.new.port("lmtp"), converse)
        self.addCleanup(backend.stop)
        return backend

    def dial_scripted(self, *answers):
        """The client's conversation, and the backend."""
        backend = self.scripted(*answers)
        return self.through("xclient", host=self.lab.block.host(SCRIPTED_HOST), is_greeted=False), backend

    def assert_heard(self, backend, *lines):
        """On one connection; the look whether the proxy listens may have been another."""
        wanted = "".join(f"{line}\r\n" for line in lines).encode()
        self.assertIn(wanted, [connection.received for connection in backend.connections])

    def test_a_server_without_xclient_that_accepts_one_greeting(self):
        """As OpenSMTPD does. The proxy connects anew, and asks no more."""
        host = self.lab.block.host(SCRIPTED_HOST)
        backend = self.scripted(
            ["220-scripted", "220 ready"], ["250-scripted", "250 SIZE"], ["503 5.5.1 Already greeted"])
        # A proxy of its own, since it remembers.
        proxy = self.extra_proxy("without-xclient", 94, passing(host, self.new, "xclient"))
        asked, greeted = f"LHLO proxy.{DOMAIN}\r\n".encode(), b"LHLO client.example.org\r\n"
        questions = []
        for _ in range(2):
            self.dial("plain", proxy=proxy, is_greeted=False).script("""
                S: 220-scripted
                S: 220 ready
                C: LHLO client.example.org
                S: 250-scripted
                S: 250 SIZE
                """)
            questions.append(sum(connection.received == asked for connection in backend.connections))
        self.assertGreaterEqual(questions[0], 1)
        self.assertEqual(questions[1], questions[0])
        self.assertEqual([one.received for one in backend.connections if one.received not in (b"", asked)], [greeted] * 2)

    def test_only_what_is_announced_is_told(self):
        talk, backend = self.dial_scripted(["220 one"], ["250-scripted", "250 XCLIENT ADDR"], ["220 two"], ["250 hello"])
        talk.script("S: 220 two\nC: LHLO client.example.org\nS: 250 hello")
        self.assert_heard(backend, f"LHLO proxy.{DOMAIN}", f"XCLIENT ADDR={talk.source}", "LHLO client.example.org")

    def test_a_refused_xclient_gives_the_connection_up(self):
        talk, _ = self.dial_scripted(["220 one"], ["250-scripted", "250 XCLIENT ADDR"], ["501 5.5.4 no"])
        talk.script("S: 421 4.3.2 ...\nEND")

    def test_a_backend_of_another_protocol(self):
        talk, backend = self.dial_scripted(["* OK IMAP4rev1 ready"])
        talk.script("S: 421 4.3.2 ...\nEND")
        self.assertEqual(backend.received(), b"")

    def test_a_backend_that_will_not_serve_says_so_itself(self):
        talk, _ = self.dial_scripted(["554 5.7.1 not you"])
        self.assertEqual(talk.line(), "554 5.7.1 not you")
