"""Runs last: of all passwords and tokens that this run has sent, none is in any log, whatever its level."""

import base64

from lab import leaks, tokens
from lab.layout import address

from . import base
from .base import Case


class Logs(Case):
    def test_no_secret_is_in_any_log(self):
        secrets = base.SECRETS | {token.encode() for token in tokens.KNOWN}
        for proxy in base.PROXIES:
            with self.subTest(proxy.name):
                self.assertEqual(leaks.find(secrets, proxy.log_path.read_bytes()), [])

    def test_no_secret_is_in_any_file_of_ours(self):
        secrets = base.SECRETS | {token.encode() for token in tokens.KNOWN}
        for proxy in base.PROXIES:
            for path in (path for path in (proxy.dir / "state").rglob("*") if path.is_file()):
                with self.subTest(path.name):
                    self.assertEqual(leaks.find(secrets, path.read_bytes()), [])

    def test_the_logs_tell_all_that_they_can(self):
        for proxy in base.PROXIES:
            # Those with thousands of sessions would write gigabytes.
            if not proxy.is_quiet:
                self.assertEqual(proxy.document["server"]["log_level"], "trace", proxy.name)
        log = self.proxy.log()
        for word in (" TRACE ", " DEBUG ", address("alice")):
            self.assertTrue(word in log, f"no {word} in a log of {len(log)} characters")


class Detector(Case):
    """The search finds what it looks for."""

    needs_proxy = False

    def test_every_form_is_found(self):
        secret = b"alice-secret"
        for shown in (b"password=alice-secret", b"616c6963652d736563726574", repr(list(secret)).encode(),
                      base64.b64encode(b"\0alice@example.org\0alice-secret"), base64.b64encode(b"x\0alice-secret"),
                      base64.b64encode(b"user=alice\x01auth=Bearer alice-secret\x01\x01")):
            with self.subTest(shown):
                self.assertNotEqual(leaks.find({secret}, b"a line\nwith " + shown + b" in it\n"), [])

    def test_binary_and_odd_ones_are_found(self):
        for secret in (b"p\xe4ssw\xf6rd-\xff", b'say "hi" \\ \\"'):
            escaped = secret.decode("latin-1").encode("unicode_escape")
            for shown in (secret, escaped, escaped.replace(b'"', b'\\"')):
                self.assertNotEqual(leaks.find({secret}, b"with " + shown + b" in it"), [])

    def test_what_is_not_there_is_not_found(self):
        self.assertEqual(leaks.find({b"alice-secret"}, b"account=alice@example.org secret=[redacted]"), [])
