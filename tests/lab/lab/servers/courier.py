"""Courier's IMAP and POP3 server. It has no LITERAL+, and its response to a login carries no capabilities."""

import subprocess

from ..layout import ACCOUNTS
from . import unpacked
from .maildir import OWNER, Maildir, seed
from .server import Server

SETTINGS = """\
authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
"""
SCRIPT = """\
set -e
echo 'courier:x:5050:5050::/var/lib/courier:/bin/sh' >>/etc/passwd
echo 'courier:x:5050:' >>/etc/group
mkdir -p /run/courier/authdaemon /var/lib/courier
cp {dir}/authdaemonrc {dir}/userdb /etc/courier/
chown courier:courier /etc/courier/userdb
chmod 600 /etc/courier/userdb
makeuserdb
/usr/lib/courier/courier-authlib/authdaemond &
set -a
AUTHMODULES=authdaemon DEBUG_LOGIN=0 DEFDOMAIN=
serve() {{ # PROTOCOL PORT TLS_PORT LOGIN SERVER
    PROTOCOL=$1
    couriertcpd -address={host} -nodnslookup -noidentlookup -maxprocs=80 -maxperip=80 "$3" \\
        /usr/bin/couriertls -server -tcpd "$4" "$5" Maildir &
    couriertcpd -address={host} -nodnslookup -noidentlookup -maxprocs=80 -maxperip=80 "$2" "$4" "$5" Maildir &
}}
. /etc/courier/imapd
. /etc/courier/imapd-ssl
TLS_CERTFILE={dir}/tls.pem TLS_CACHEFILE= TLS_DHPARAMS= IMAP_STARTTLS=YES IMAP_TLS_REQUIRED=0
serve IMAP {imap} {imaps} /usr/lib/courier/courier/imaplogin /usr/bin/imapd
. /etc/courier/pop3d
. /etc/courier/pop3d-ssl
TLS_CERTFILE={dir}/tls.pem TLS_CACHEFILE= TLS_DHPARAMS= POP3_STARTTLS=YES POP3_TLS_REQUIRED=0
serve POP3 {pop3} {pop3s} /usr/lib/courier/courier/courierpop3login /usr/lib/courier/courier/courierpop3d
wait
"""


class Courier(Server):
    name, protocols = "courier", ("imap", "pop3")

    def start(self, accounts):
        """`accounts`: those that the matrix uses."""
        (self.dir / "authdaemonrc").write_text(SETTINGS)
        (self.dir / "tls.pem").write_text(self.pair.key.read_text() + self.pair.cert.read_text())
        (self.dir / "userdb").write_text("".join(
            f"{account}\thome={self.mailbox(account).path}|mail={self.mailbox(account).path}|uid={OWNER}|gid={OWNER}"
            f"|systempw={hashed(ACCOUNTS[account])}\n" for account in accounts))
        ports = {service: self.port(service) for service in ("imap", "imaps", "pop3", "pop3s")}
        (self.dir / "start.sh").write_text(SCRIPT.format(dir=self.dir, host=self.host, **ports))
        self.daemon = unpacked.start(self.name, self.dir, ["/bin/sh", self.dir / "start.sh"])

    def mailbox(self, account):
        return Maildir(self.dir / "mail" / account)

    def reset(self, account):
        self.mailbox(account).reset(seed(self.name))

    def messages(self, account):
        return self.mailbox(account).messages()


def hashed(password):
    done = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, check=True)
    return done.stdout.decode().strip()
