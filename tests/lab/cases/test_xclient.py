"""XCLIENT: what each server is told of the client, in the form that it wants, and what a trusted front tells us."""

import re

from clients import proxy_header
from clients.addresses import fresh
from clients.managesieve import ManageSieve
from clients.pop3 import Pop3
from clients.submission import HELO, Submission
from lab.configuration import LEG_PORTS, SCRIPTED_HOST
from lab.layout import ACCOUNTS, DOMAIN, address, leg_name
from lab.scripted import Scripted

from .base import Case

ALICE, SCRIPTED = address("alice"), address("scripted-xclient")
CLIENT6, LOCAL6 = "2001:db8::7", "2001:db8::9"
BALANCER, FRONT = 3, 4
SERVICES = {Pop3: "pop3-login", ManageSieve: "managesieve-login", Submission: "submission-login"}


class RealServers(Case):
    needs_postfix = True

    def seen(self, talk, side, since, account):
        """What the side logged of the login."""
        if not (talk.protocol == "submission" and side.submits_by_postfix):
            return side.logs.wait(since, what="Login", service=SERVICES[type(talk)], user=account)
        talk.ok(f"MAIL FROM:<{account}>")
        talk.ok(f"RCPT TO:<{account}>")
        return side.logs.wait(since, what="message", service="postfix/smtpd", user=account)

    def test_ipv6_in_the_form_that_each_takes(self):
        # Postfix takes it with IPV6: alone, Dovecot's POP3 and ManageSieve without it alone.
        header = proxy_header.v2((CLIENT6, 4711), (LOCAL6, 993))
        for client in SERVICES:
            for side in self.lab.sides.values():
                for leg in ("starttls", "plain"):
                    with self.subTest(client.protocol, side=side.name, leg=leg):
                        account, since = address(leg_name(side.name, leg, "xclient")), side.logs.mark()
                        talk = self.dial("required", client, source=fresh(BALANCER), header=header)
                        self.assert_ok(talk.login(account, ACCOUNTS[account]))
                        entry = self.seen(talk, side, since, account)
                        self.assertEqual((entry["client"], entry["port"]), (CLIENT6, "4711"))
                        self.assert_at(talk, side.name)

    def test_a_front_is_believed_where_it_is_trusted(self):
        for client, attributes in ((Pop3, "ADDR=203.0.113.77 PORT=4718 SESSION=front/1+x"),
                                   (ManageSieve, "ADDR=203.0.113.77 PORT=4718 SESSION=front/1+x"),
                                   (Submission, f"ADDR=203.0.113.77 PORT=4718 HELO={HELO} PROTO=ESMTP")):
            for side in self.lab.sides.values():
                account = address(leg_name(side.name, "starttls", "xclient"))
                for kind, source, is_believed in (("fronted", fresh(FRONT), True), ("fronted", fresh(), False),
                                                  ("implicit", fresh(FRONT), False)):
                    with self.subTest(client.protocol, side=side.name, listener=kind, source=source):
                        since, talk = side.logs.mark(), self.dial(kind, client, source=source)
                        answer = talk.command(f"XCLIENT {attributes}")
                        words = answer if isinstance(answer, str) else answer[0]
                        self.assertEqual(re.match(r"\+?OK|220 ", words) is not None, is_believed, words)
                        self.assert_ok(talk.login(account, ACCOUNTS[account]))
                        self.assertEqual(self.seen(talk, side, since, account)["client"],
                                         "203.0.113.77" if is_believed else source)


class Recorded(Case):
    """Against a backend that a test makes up, to see each word that it is told."""

    def scripted(self, protocol, converse):
        port = self.old.port(LEG_PORTS[protocol]["plain"])
        backend = Scripted(self.lab.block.host(SCRIPTED_HOST), port, converse)
        self.addCleanup(backend.stop)
        return backend

    def lines(self, backend):
        """Of the last conversation, once it is over."""
        connection = backend.connections[-1]
        self.assertTrue(connection.has_ended.wait(10), "the leg is still open")
        return connection.received.decode("latin-1").split("\r\n")[:-1]

    def submit(self, keywords, helo=HELO.encode(), answers=("220 scripted again",)):
        """Logs in with a HELO of that name at a backend that offers these keywords; what the backend heard."""
        def converse(connection):
            connection.say("220 scripted")
            replies = {"EHLO": [["250-scripted", *[f"250-{word}" for word in keywords], "250 AUTH PLAIN"]] * 3,
                       "XCLIENT": [[answer] for answer in answers], "AUTH": [["235 2.7.0 Welcome"]], "QUIT": [["221 Bye"]]}
            while True:
                connection.say(*replies[connection.line().split()[0]].pop(0))
        backend, talk = self.scripted("submission", converse), self.dial(client=Submission)
        talk.send(b"EHLO " + helo + b"\r\n")
        talk.offered = talk.expect("250", talk.reply(), "EHLO")
        reply = talk.login(SCRIPTED, ACCOUNTS[SCRIPTED])
        talk.close()
        backend.stop()
        return talk, reply, self.lines(backend)

    def test_only_what_is_announced_is_told(self):
        xclient = f"XCLIENT ADDR={{0.source}} PORT={{0.local_port}} HELO={HELO} PROTO=ESMTP"
        for keyword, expected in (("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
                                   "XCLIENT ADDR={0.source} PORT={0.local_port} DESTADDR={1} DESTPORT=5870 "
                                   f"HELO={HELO} PROTO=ESMTP"),
                                  ("XCLIENT ADDR PORT PROTO HELO LOGIN", xclient), ("XCLIENT LOGIN ADDR", "XCLIENT ADDR={0.source}"),
                                  ("xclient=addr port", "XCLIENT ADDR={0.source} PORT={0.local_port}"),
                                  ("XCLIENT LOGIN NAME REVERSE_NAME", None), ("XFORWARD ADDR", None)):
            with self.subTest(keyword):
                talk, reply, lines = self.submit([keyword])
                self.assert_ok(reply)
                told = [] if expected is None else [expected.format(talk, self.proxy.host), f"EHLO {HELO}"]
                self.assertEqual(lines[:-1], [f"EHLO proxy.{DOMAIN}", *told])
                self.assertRegex(lines[-1], "^AUTH PLAIN ")

    def test_names_of_clients_are_xtext_or_not_told(self):
        for helo, told in ((b"a=b+c", "a+3Db+2Bc"), (b"[192.0.2.1]", "[192.0.2.1]"), (b"ADDR=203.0.113.66", "ADDR+3D203.0.113.66"),
                           (b"x" * 255, "x" * 255), (b"x" * 256, None), (b"two ADDR=203.0.113.66", None), (b"a\tb", None),
                           (b"caf\xc3\xa9", None), (b"a\x7fb", None)):
            with self.subTest(helo):
                talk, reply, lines = self.submit(["XCLIENT ADDR HELO"], helo)
                self.assert_ok(reply)
                name = "" if told is None else f" HELO={told}"
                self.assertEqual(lines[1:3], [f"XCLIENT ADDR={talk.source}{name}",
                                              f"EHLO {helo.decode() if told else f'proxy.{DOMAIN}'}"])

    def test_a_refused_xclient_gives_the_connection_up(self):
        for answer in ("501 5.5.4 Bad XCLIENT attribute", "550 5.7.0 not you", "421 4.3.2 closing"):
            with self.subTest(answer):
                _, reply, lines = self.submit(["XCLIENT ADDR"], answers=[answer])
                self.assertRegex(reply, "^454 4.7.0 ")
                self.assertEqual([line.split()[0] for line in lines], ["EHLO", "XCLIENT"])

    def test_pop3_and_managesieve(self):
        told = "ADDR={0.source} PORT={0.local_port} DESTADDR={1} DESTPORT={2} SESSION=... TTL=... CLIENT-TRANSPORT=TLS"
        sieve = ['"IMPLEMENTATION" "scripted"', '"SASL" "PLAIN"', '"SIEVE" "fileinto"']
        cases = (
            (Pop3, ["+OK [XCLIENT] scripted"], f"XCLIENT {told}"),
            (Pop3, ["+OK scripted XCLIENT"], None),
            (ManageSieve, [*sieve, '"XCLIENT" "ADDR PORT DESTADDR DESTPORT SESSION TTL CLIENT-TRANSPORT LOGIN"', 'OK "hi"'],
             f"XCLIENT {told}"),
            (ManageSieve, [*sieve, '"XCLIENT" "ADDR LOGIN"', 'OK "hi"'], "XCLIENT ADDR={0.source}"),
            (ManageSieve, [*sieve, '"XCLIENT" "LOGIN"', 'OK "hi"'], None),
            (ManageSieve, [*sieve, 'OK "hi"'], None),
        )
        for client, greeting, expected in cases:
            with self.subTest(client.protocol, greeting=greeting):
                def converse(connection):
                    connection.say(*greeting)
                    while True:
                        verb, _, argument = connection.line().partition(" ")
                        if verb == "CAPA":
                            connection.say("+OK", "SASL PLAIN", ".")
                        elif verb == "NOOP":
                            connection.say(f'OK (TAG {argument}) "done"')
                        elif verb == "AUTH":
                            connection.say("+ ")
                        else:
                            connection.say("+OK" if client is Pop3 else "OK")
                backend, talk = self.scripted(client.protocol, converse), self.dial(client=client)
                self.assert_ok(talk.login(SCRIPTED, ACCOUNTS[SCRIPTED]))
                port = talk.endpoint.port
                talk.close()
                backend.stop()
                said = [line for line in self.lines(backend) if line.startswith("XCLIENT")]
                wanted = [] if expected is None else [expected.format(talk, self.proxy.host, port)]
                self.assertEqual([re.sub("(SESSION|TTL)=[A-Za-z0-9]+", r"\1=...", line) for line in said], wanted)
                self.assertNotIn("LOGIN", "".join(said))
