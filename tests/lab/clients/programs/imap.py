"""IMAP programs. Each reads the INBOX and, where it can, adds a message to it."""

import hashlib
import imaplib
import mailbox
import os
import re
import shutil
import ssl

from lab import certificates

from .program import Outcome, message, run

ADDED = "added by the client"
# As whom getmail delivers, where root runs it.
DELIVERS = "nobody"


def subjects(folder):
    return tuple(sorted(re.sub(r"\s+", " ", item["Subject"] or "") for item in mailbox.Maildir(folder, create=False)))


def mbsync(target, login, folder):
    (folder / "state").mkdir()
    local = mailbox.Maildir(folder / "mail", create=True)
    local.add(message(login.account, login.account, ADDED).encode())
    (folder / "config").write_text(f"""
IMAPAccount far
Host {target.host}
Port {target.port}
User {login.account}
Pass {login.password}
SSLType {"IMAPS" if target.is_implicit else "STARTTLS"}
SystemCertificates no
CertificateFile {target.certificate}

IMAPStore far
Account far

MaildirStore near
Inbox {folder}/mail

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Both
SyncState {folder}/state/
Sync All
""")
    done = run("mbsync", "--config", folder / "config", "--all", folder=folder)
    return done.outcome(subjects(folder / "mail"))


def offlineimap(target, login, folder):
    fingerprint = hashlib.sha1(ssl.PEM_cert_to_DER_cert(target.certificate.read_text().partition("-----END")[0]
                                                        + "-----END CERTIFICATE-----\n")).hexdigest()
    local = mailbox.Maildir(folder / "mail/INBOX", create=True) if (folder / "mail").mkdir() is None else None
    local.add(message(login.account, login.account, ADDED).encode())
    (folder / "config").write_text(f"""
[general]
accounts = only
metadata = {folder}/state
[Account only]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {folder}/mail
[Repository far]
type = IMAP
remotehost = {target.host}
remoteport = {target.port}
remoteuser = {login.account}
remotepass = {login.password}
ssl = {"yes" if target.is_implicit else "no"}
starttls = {"no" if target.is_implicit else "yes"}
cert_fingerprint = {fingerprint}
folderfilter = lambda name: name == 'INBOX'
""")
    done = run("offlineimap", "-c", folder / "config", "-o", "-u", "basic", folder=folder)
    return done.outcome(subjects(folder / "mail/INBOX"))


def imapfilter(target, login, folder):
    encryption = ", ssl = 'auto'" if target.is_implicit else ""
    (folder / "config.lua").write_text(f"""
options.timeout = 20
options.certificates = false
options.truststore = '{target.ca}'
options.hostnames = false
account = IMAP {{ server = '{target.host}', port = {target.port}, username = '{login.account}', password = '{login.password}'{encryption} }}
print(account.INBOX:check_status())
account:create_mailbox('Copies')
account.INBOX:select_all():copy_messages(account.Copies)
print(account.Copies:check_status())
for _, message in ipairs(account.INBOX:select_all()) do
    mailbox, uid = table.unpack(message)
    print(mailbox[uid]:fetch_field('Subject'))
end
account:delete_mailbox('Copies')
""")
    done = run("imapfilter", "-c", folder / "config.lua", folder=folder)
    # Numbers alone are a mailbox's status, and numbers in brackets are UIDs, which grow.
    said = re.sub(r"\[\d+\]", "[UID]", done.stdout.replace(target.host, "HOST"))
    return done.outcome([line for line in said.splitlines() if not line[0].isdigit() or "messages" in line])


def curl(target, login, folder):
    """Reads one message, and uploads one."""
    scheme = "imaps" if target.is_implicit else "imap"
    common = ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", target.ca, "--ssl-reqd",
              "--user", f"{login.account}:{login.password}"]
    url = f"{scheme}://{target.host}:{target.port}/INBOX"
    read = run(*common, f"{url};MAILINDEX=1", folder=folder)
    (folder / "message").write_text(message(login.account, login.account, ADDED).replace("\n", "\r\n"), newline="")
    uploaded = run(*common, "--upload-file", folder / "message", url, folder=folder)
    return uploaded.outcome(read.status, re.findall(r"Subject: .*", read.stdout))


def fetchmail(target, login, folder):
    return fetch_by_fetchmail("IMAP", target, login, folder)


def fetch_by_fetchmail(protocol, target, login, folder):
    fetched, config = folder / "fetched", folder / "config"
    tls = "ssl" if target.is_implicit else "sslproto 'TLS1.2+'"
    config.write_text(f"""
set no bouncemail
set idfile "{folder}/ids"
poll {target.host} protocol {protocol} port {target.port}{" uidl" if protocol == "POP3" else ""}
    user "{login.account}" password "{login.password}"
    {tls} sslcertck sslcertfile "{target.ca}" sslcommonname "{target.endpoint.server_name}"
    mda "cat >> {fetched}"
""")
    config.chmod(0o600)
    done = run("fetchmail", "--nodetach", "--nosyslog", "--fetchmailrc", config, "--pidfile", folder / "pid", folder=folder,
               env={"FETCHMAILHOME": str(folder)})
    text = fetched.read_text() if fetched.exists() else ""
    return done.outcome(re.findall(r"(?m)^Subject: .*", text))


def getmail(target, login, folder):
    return fetch_by_getmail("IMAP", target, login, folder)


def fetch_by_getmail(protocol, target, login, folder):
    mailbox.Maildir(folder / "mail", create=True)
    if os.geteuid() == 0:  # it refuses to deliver as root
        for path in (folder / "mail", *(folder / "mail").iterdir()):
            shutil.chown(path, DELIVERS)
    (folder / "getmailrc").write_text(f"""
[retriever]
type = Simple{protocol}{"SSL" if target.is_implicit else ""}Retriever
server = {target.host}
port = {target.port}
username = {login.account}
password = {login.password}
{f"ca_certs = {target.ca}" if target.is_implicit else ""}
[destination]
type = Maildir
path = {folder}/mail/
{f"user = {DELIVERS}" if os.geteuid() == 0 else ""}
[options]
delete = true
""")
    done = run("getmail", "--getmaildir", folder, "--rcfile", "getmailrc", folder=folder)
    return done.outcome(subjects(folder / "mail"))


def python_imaplib(target, login, _folder):
    context = certificates.trusting(target.ca)
    if target.is_implicit:
        box = imaplib.IMAP4_SSL(target.host, target.port, ssl_context=context, timeout=20)
    else:
        box = imaplib.IMAP4(target.host, target.port, timeout=20)
        box.starttls(context)
    try:
        with box:
            box.login(login.account, login.password)
            text = message(login.account, login.account, ADDED).replace("\n", "\r\n").encode()
            appended = box.append("INBOX", r"(\Seen)", None, text)[0]
            box.select("INBOX")
            found = box.search(None, "SUBJECT", '"added"')
            return Outcome(0, (appended, found))
    except imaplib.IMAP4.error as error:
        return Outcome(1, (), str(error))


IMAP = {"mbsync": mbsync, "offlineimap": offlineimap, "imapfilter": imapfilter, "curl": curl, "fetchmail": fetchmail, "getmail": getmail, "imaplib": python_imaplib}
