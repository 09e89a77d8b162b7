"""ManageSieve as Stalwart speaks it.

A PROXY header with an SSL TLV makes the server believe that the connection is encrypted: it offers no STARTTLS. The TLV of the
proxy describes the client's connection, though, so the proxy must not send it on a leg that needs STARTTLS.
"""

import re

from .session import Session

SSL_TLV, CLIENT_USES_TLS = 0x20, 0x01
STRING = re.compile(r'"([^"]*)"|\{(\d+)\+?\}$')
# The recording cuts this line.
EXTENSIONS = ("body comparator-elbonia comparator-i;ascii-casemap comparator-i;ascii-numeric comparator-i;octet convert copy date"
              " duplicate editheader enclose encoded-character enotify envelope envelope-deliverby envelope-dsn environment ereject"
              " extlists extracttext fcc fileinto foreverypart ihave imap4flags imapsieve include index mailbox mailboxid mboxmetadata"
              " mime redirect-deliverby redirect-dsn regex reject relational")


class ManageSieve(Session):
    protocol = "managesieve"

    def run(self):
        flags = self.proxied.tlvs.get(SSL_TLV, b"\0")[0]
        self.believes_tls = self.is_encrypted or bool(flags & CLIENT_USES_TLS)
        self.greet()
        while True:
            words = self.command()
            handler = getattr(self, f"do_{words[0].lower()}", None)
            if handler is None:
                self.say('NO "Unknown command"')
            else:
                handler(words[1:])

    def command(self):
        """A command's words: the name, then its strings."""
        line = self.line()
        name, _, rest = line.partition(" ")
        words = [name]
        for quoted, size in STRING.findall(rest):
            if size:
                words.append(self.exactly(int(size)).decode("utf-8", "surrogateescape"))
                self.line()
            else:
                words.append(quoted)
        return words

    def greet(self):
        self.say(*self.capabilities(), 'OK "Stalwart ManageSieve at your service."')

    def capabilities(self):
        mechanisms = "PLAIN OAUTHBEARER XOAUTH2" if self.believes_tls else "OAUTHBEARER XOAUTH2"
        return ['"IMPLEMENTATION" "Stalwart ManageSieve"', '"VERSION" "1.0"', *([] if self.believes_tls else ['"STARTTLS"']),
                f'"SASL" "{mechanisms}"', f'"SIEVE" "{EXTENSIONS}"', '"NOTIFY" "mailto"', '"MAXREDIRECTS" "1"']

    def do_starttls(self, _words):
        if self.believes_tls:
            self.say('NO "Already in TLS mode."')
            return
        self.say('OK "Begin TLS negotiation now"')
        self.start_tls()
        self.believes_tls = True
        self.greet()

    def do_capability(self, _words):
        self.say(*self.capabilities(), "OK")

    def do_authenticate(self, words):
        mechanism, *responses = words
        if not responses:
            self.say('""')
            responses = [self.line().strip('"')]
        verdict = self.judge(mechanism.upper(), responses[0])
        self.say('OK "Authentication successful"' if verdict.account else 'NO "Authentication failed"')

    def do_unauthenticate(self, _words):
        self.account = None
        self.say('OK "Unauthenticate successful."')

    def do_listscripts(self, _words):
        self.say("OK" if self.account else 'NO "Not authenticated."')

    def do_logout(self, _words):
        self.say('OK "Stalwart ManageSieve bids you farewell."')
        self.hang_up()
