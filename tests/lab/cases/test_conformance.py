"""The conformance matrix: every program with every server, direct and through the proxy. The outcome must be the same in both.

An outcome is what the program saw, its exit status, and what the mailbox holds afterwards. A difference that is known is listed in
`EXPLAINED`, with its reason in docs/clients.md; a listed difference that no longer occurs is a failure, too.
"""

import itertools
import shutil
import tempfile
from pathlib import Path

from clients.programs.imap import IMAP
from clients.programs.managesieve import MANAGESIEVE
from clients.programs.pop3 import POP3
from clients.programs.program import Login, Target
from clients.programs.submission import SENT, SUBMISSION
from lab.layout import address, password
from lab.servers.courier import Courier
from lab.servers.of_side import Dovecot, Postfix
from lab.servers.server import SERVICES
from lab.waiting import until

from . import base
from .base import Case, secret

FIRST_HOST, PROXY_HOST = 101, 100
DOCUMENT = Path(__file__).resolve().parents[3] / "docs/clients.md"
SERVERS = (Dovecot, Courier, Postfix)
PROGRAMS = {"imap": IMAP, "pop3": POP3, "managesieve": MANAGESIEVE, "submission": SUBMISSION}
# Logs in without STARTTLS, whatever the server offers. The proxy refuses a password in the clear.
IMPLICIT_ONLY = {"getmail"}
# Needs DSN, which Dovecot's submission service lacks.
ONLY_WITH = {"msmtp_dsn": (Postfix.name,)}
# (protocol, program, server, kind, login) -> heading in docs/clients.md.
EXPLAINED = {("submission", "msmtp_dsn", Postfix.name, kind, word): "Delivery reports"
             for kind, word in (("implicit", "right"), ("implicit", "wrong"), ("starttls", "right"))}


class Matrix(Case):
    servers, matrix_proxy = {}, None

    def setUp(self):
        if not Matrix.servers:
            Matrix.start(self.lab)

    @classmethod
    def start(cls, lab):
        accounts = {kind.name: address(f"crowd{10 + number}") for number, kind in enumerate(SERVERS)}
        for number, kind in enumerate(SERVERS):
            if not kind.is_possible(lab):
                continue
            server = kind(lab, FIRST_HOST + number)
            server.account = accounts[kind.name]
            server.start(list(accounts.values()))
            base.at_end(server.stop)
            cls.servers[kind.name] = server
        for server in cls.servers.values():
            server.wait()

        def change(document):
            document.pop("capabilities")
            document["listener"] = {name: listener for name, listener in document["listener"].items() if listener["protocol"] in PROGRAMS}
            document["destination"] = {name: server.destination() for name, server in cls.servers.items()}
            document["routing"]["default_destination"] = Dovecot.name
        cls.matrix_proxy = base.start_proxy("matrix", PROXY_HOST, change, {server.account: name for name, server in cls.servers.items()})

    def compare(self, protocol, name):
        program = PROGRAMS[protocol][name]
        kinds = ("implicit",) if name in IMPLICIT_ONLY else tuple(SERVICES[protocol])
        names = ONLY_WITH.get(name, self.servers)
        servers = [server for server in self.servers.values() if protocol in server.protocols and server.name in names]
        for server, kind in itertools.product(servers, kinds):
            # A server delays its answer to a wrong password by seconds, so one kind of listener has to do.
            for word in ("right", "wrong") if kind == kinds[0] else ("right",):
                with self.subTest(server=server.name, kind=kind, password=word):
                    login = Login(server.account, password(server.account) if word == "right" else secret("wrong-in-the-matrix").decode())
                    target = Target(server.endpoint(protocol, kind), server.pair.cert)
                    proxied_target = Target(self.matrix_proxy.endpoint(kind, protocol), self.matrix_proxy.pairs["mail"].cert)
                    direct, proxied = (self.outcome(protocol, program, one, server, login) for one in (target, proxied_target))
                    self.judge((protocol, name, server.name, kind, word), direct, proxied)

    def test_the_document_names_every_program_and_difference(self):
        text = DOCUMENT.read_text()
        for protocol, programs in PROGRAMS.items():
            for name in programs:
                self.assertIn(name, text, protocol)
        for heading in EXPLAINED.values():
            self.assertIn(f"### {heading}\n", text)

    def outcome(self, protocol, program, target, server, login):
        """What came of one run, and what is in the mailbox then."""
        server.reset(server.account)
        folder = Path(tempfile.mkdtemp(dir=self.lab.dir))
        folder.chmod(0o755)
        try:
            done = program(target, login, folder)
            if protocol == "submission" and done.status == 0:
                # The server delivers it after it has accepted it.
                until(lambda: SENT in server.subjects(server.account), f"{server.name} did not deliver the message")
            return done, server.subjects(server.account)
        finally:
            shutil.rmtree(folder)

    def judge(self, cell, direct, proxied):
        report = f"direct: {direct}\n{direct[0].output}\nproxied: {proxied}\n{proxied[0].output}"
        if cell in EXPLAINED:
            self.assertNotEqual(direct, proxied, f"{cell}: no difference; remove it from EXPLAINED and from docs/clients.md")
        else:
            self.assertEqual(direct, proxied, report)
        # The direct run says whether the program works at all: a matrix of failures would prove nothing.
        self.assertEqual(direct[0].status == 0, cell[-1] == "right", report)


def _test(protocol, name):
    return lambda self: self.compare(protocol, name)


for _protocol, _programs in PROGRAMS.items():
    for _name in _programs:
        setattr(Matrix, f"test_{_protocol}_{_name}", _test(_protocol, _name))
