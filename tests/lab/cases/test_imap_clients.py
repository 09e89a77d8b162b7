"""Real clients, as people use them."""

import imaplib
import mailbox
import shlex
import subprocess

from clients.addresses import fresh
from lab import certificates, tokens
from lab.layout import ACCOUNTS, address, password

from .base import Case

ALICE, BOB, SYNCER = address("alice"), address("bob"), address("syncer")


class Curl(Case):
    def curl(self, *arguments, kind="implicit", path="INBOX;MAILINDEX=1"):
        endpoint, source = self.proxy.endpoint(kind), fresh()
        scheme = "imaps" if endpoint.is_implicit else "imap"
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", endpoint.ca, "--interface", source,
             "--resolve", f"{endpoint.server_name}:{endpoint.port}:{endpoint.host}", *arguments,
             f"{scheme}://{endpoint.server_name}:{endpoint.port}/{path}"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_imaps(self):
        for user, side in ((ALICE, "old"), (BOB, "new")):
            self.assertIn(f"Subject: I am {side}", self.curl("--user", f"{user}:{password(user)}"))

    def test_starttls(self):
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
        endpoint = self.proxy.endpoint()
        done = subprocess.run(
            ["curl", "--silent", "--cacert", endpoint.ca, "--resolve", f"{endpoint.server_name}:{endpoint.port}:{endpoint.host}",
             "--user", f"{BOB}:wrong", f"imaps://{endpoint.server_name}:{endpoint.port}/INBOX"], capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 67)  # CURLE_LOGIN_DENIED


class Mbsync(Case):
    def test_a_mailbox_is_synchronised(self):
        folder = self.lab.dir / "mbsync"
        (folder / "mail").mkdir(parents=True, exist_ok=True)
        # The account is mapped nowhere: it is on the default side.
        for number in range(20):
            self.old.deliver([SYNCER], f"message {number}", "line\r\n" * 200)
        for kind, ssl_type in (("implicit", "IMAPS"), ("starttls", "STARTTLS")):
            with self.subTest(kind):
                self.run_mbsync(folder, kind, ssl_type)
                local = mailbox.Maildir(folder / "mail/INBOX", create=False)
                self.assertEqual(sorted(message["Subject"] for message in local), sorted(self.old.subjects(SYNCER)))
                subject = f"written here, for {kind}"
                local.add(f"From: <{SYNCER}>\r\nTo: <{SYNCER}>\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode())
                self.run_mbsync(folder, kind, ssl_type)
                self.assertIn(subject, self.old.subjects(SYNCER))

    def run_mbsync(self, folder, kind, ssl_type):
        endpoint = self.proxy.endpoint(kind)
        (folder / "config").write_text(f"""
IMAPAccount proxy
Host {endpoint.host}
Port {endpoint.port}
User {SYNCER}
Pass {password(SYNCER)}
SSLType {ssl_type}
SystemCertificates no
CertificateFile {self.proxy.pairs["mail"].cert}

IMAPStore far
Account proxy

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
Expunge None
SyncState {folder}/state-
Sync All
""")
        done = subprocess.run(["mbsync", "--config", folder / "config", "--all"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Imaplib(Case):
    def box(self, account, kind="implicit"):
        endpoint, context = self.proxy.endpoint(kind), certificates.trusting(self.proxy.pairs["mail"].ca)
        # It verifies the address that it connects to; the certificate has that too.
        if endpoint.is_implicit:
            box = imaplib.IMAP4_SSL(endpoint.host, endpoint.port, ssl_context=context, timeout=20)
        else:
            box = imaplib.IMAP4(endpoint.host, endpoint.port, timeout=20)
            box.starttls(context)
        self.addCleanup(box.shutdown)
        box.login(account, password(account))
        return box

    def test_everyday_commands(self):
        for kind in ("implicit", "starttls"):
            box, folder = self.box(BOB, kind), f"folder of {kind}"
            self.assertEqual(box.create(f'"{folder}"')[0], "OK")
            self.assertEqual(box.append(f'"{folder}"', r"\Seen", None, b"Subject: kept\r\n\r\nText.\r\n")[0], "OK")
            self.assertEqual(box.select(f'"{folder}"'), ("OK", [b"1"]))
            self.assertEqual(box.search(None, "SUBJECT", "kept"), ("OK", [b"1"]))
            self.assertIn(b"Text.", box.fetch("1", "(BODY[TEXT])")[1][0][1])
            box.store("1", "+FLAGS", r"\Deleted")
            box.expunge()
            self.assertEqual(box.delete(f'"{folder}"')[0], "OK")

    def test_idle_hears_of_new_mail(self):
        box = self.box(address("crowd0"))
        box.select("INBOX")
        tag = box._new_tag()
        box.send(tag + b" IDLE\r\n")
        self.assertTrue(box.readline().startswith(b"+ "))
        self.old.deliver([address("crowd0")], "news")
        while b" EXISTS" not in (line := box.readline()):
            self.assertTrue(line.startswith(b"* "), line)
        self.assertEqual(line, b"* 2 EXISTS\r\n")
        box.send(b"DONE\r\n")
        while not (line := box.readline()).startswith(tag):
            self.assertTrue(line.startswith(b"* "), line)
        self.assertTrue(line.startswith(tag + b" OK"), line)


class Openssl(Case):
    def test_a_session_by_hand(self):
        for kind, extra in (("implicit", ""), ("starttls", "-starttls imap")):
            endpoint = self.proxy.endpoint(kind)
            command = (f"openssl s_client -quiet -crlf -verify_return_error {extra} -connect {endpoint.host}:{endpoint.port} "
                       f"-servername {endpoint.server_name} -verify_hostname {endpoint.server_name} -CAfile {endpoint.ca}")
            words = f"a LOGIN {BOB} {ACCOUNTS[BOB].decode()}\nb SELECT INBOX\nc LOGOUT\n"
            done = subprocess.run(shlex.split(command), input=words, capture_output=True, text=True, timeout=30)
            lines = done.stdout.splitlines()
            for tag in "abc":
                self.assertTrue(any(line.startswith(f"{tag} OK") for line in lines), done.stdout + done.stderr)
