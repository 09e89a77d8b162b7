"""TLS to clients: which certificate is shown to whom, renewed while we run, and resumed sessions."""

import re
import ssl
import subprocess

from clients.addresses import fresh
from clients.talk import Talk
from lab import certificates
from lab.layout import address
from lab.proxy import SECOND_NAME
from lab.waiting import until

from .base import Case

ALICE = address("alice")


def unverifying(version=None):
    """A client's context that takes any certificate, to look at it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Unverified(Talk):
    """Does its handshake with any certificate and the context that was set."""

    protocol = "imap"
    context = unverifying()

    def handshake(self, context=None, session=None):
        super().handshake(context or self.context, session)


class Certificates(Case):
    def shown(self, name, kind="implicit"):
        """The fingerprint of the certificate that a client gets that asks for this name (None: for none)."""
        with Unverified(self.proxy.endpoint(kind).named(name), fresh()) as talk:
            if not talk.is_encrypted:
                talk.script("C: a STARTTLS\nS: a OK ...\nTLS")
            return talk.certificate()

    def test_choice_by_name(self):
        for kind in ("implicit", "starttls"):
            for name, stem in (("mail.example.org", "mail"), (SECOND_NAME, "second"), ("host.example.net", "wildcard"),
                               ("HOST.Example.NET", "wildcard"), ("two.labels.example.net", "mail"),
                               ("unknown.example", "mail"), (None, "mail")):
                with self.subTest(kind, name=name):
                    self.assertEqual(self.shown(name, kind), self.proxy.pairs[stem].fingerprint())

    def test_chains_verify(self):
        for name in ("mail.example.org", SECOND_NAME, "host.example.net"):
            self.dial_endpoint(self.proxy.endpoint().named(name))

    def test_a_renewed_certificate_is_picked_up(self):
        before = self.shown(SECOND_NAME)
        talk = self.dial()
        self.proxy.authority.issue("second", [SECOND_NAME])
        after = self.proxy.pairs["second"].fingerprint()
        self.assertNotEqual(before, after)
        until(lambda: self.shown(SECOND_NAME) == after, "the renewed certificate is not shown")
        # Connections go on, and the other certificates are as they were.
        self.assert_at_prompt(talk)
        self.assertEqual(self.shown("mail.example.org"), self.proxy.pairs["mail"].fingerprint())

    def test_a_broken_certificate_is_not(self):
        pair, begin = self.proxy.pairs["second"], len(self.proxy.log())
        before = self.shown(SECOND_NAME)
        self.addCleanup(self.proxy.authority.issue, "second", [SECOND_NAME])
        pair.cert.write_text("-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n")
        until(lambda: any("second" in line and re.search("WARN|ERROR", line)
                          for line in self.proxy.log()[begin:].splitlines()), "the broken pair is not logged")
        self.assertEqual(self.shown(SECOND_NAME), before)


class Versions(Case):
    def test_which_are_spoken(self):
        for version, is_spoken in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True),
                                   (ssl.TLSVersion.TLSv1_1, False)):
            with self.subTest(version.name):
                Unverified.context = unverifying(version)
                Unverified.context.set_ciphers("DEFAULT@SECLEVEL=0")
                self.addCleanup(setattr, Unverified, "context", unverifying())
                if is_spoken:
                    self.assertRegex(self.dial(client=Unverified).greeting, r"^\* OK ")
                else:
                    self.assertRaises((OSError, AssertionError), self.dial, client=Unverified)


class Resumption(Case):
    def test_clients_resume(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version.name):
                context = certificates.trusting(self.proxy.pairs["mail"].ca)
                context.minimum_version = context.maximum_version = version
                first = self.dial("starttls")
                first.ok("STARTTLS")
                first.handshake(context)
                first.ok("NOOP")  # a TLS 1.3 ticket comes with the first data
                second = self.dial("starttls")
                second.ok("STARTTLS")
                second.handshake(context, first.socket.session)
                second.ok("NOOP")
                self.assertTrue(second.socket.session_reused)
                self.assert_at_prompt(second)

    def test_openssl_resumes(self):
        endpoint = self.proxy.endpoint()
        done = subprocess.run(["openssl", "s_client", "-connect", f"{endpoint.host}:{endpoint.port}", "-tls1_2", "-reconnect",
                               "-servername", endpoint.server_name, "-CAfile", endpoint.ca],
                              input="", capture_output=True, text=True, timeout=30)
        self.assertEqual(len(re.findall(r"(?m)^Reused, TLSv1\.2", done.stdout)), 5, done.stdout[-2000:])
