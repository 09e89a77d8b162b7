"""POP3 programs. Each fetches what is there, and some delete it."""

import poplib
import re

from lab import certificates

from .imap import fetch_by_fetchmail, fetch_by_getmail, subjects
from .program import Outcome, run


def curl(target, login, folder):
    scheme = "pop3s" if target.is_implicit else "pop3"
    done = run("curl", "--silent", "--show-error", "--max-time", "20", "--cacert", target.ca, "--ssl-reqd",
               "--user", f"{login.account}:{login.password}", f"{scheme}://{target.host}:{target.port}/1", folder=folder)
    return done.outcome(re.findall(r"Subject: .*", done.stdout))


def fetchmail(target, login, folder):
    return fetch_by_fetchmail("POP3", target, login, folder)


def getmail(target, login, folder):
    return fetch_by_getmail("POP3", target, login, folder)


def mpop(target, login, folder):
    (folder / "mail/tmp").mkdir(parents=True)
    for name in ("new", "cur"):
        (folder / "mail" / name).mkdir()
    done = run("mpop", "--file=/dev/null", f"--host={target.host}", f"--port={target.port}", "--tls=on",
               f"--tls-starttls={'off' if target.is_implicit else 'on'}", f"--tls-trust-file={target.ca}", f"--user={login.account}",
               f"--passwordeval=echo {login.password}", f"--delivery=maildir,{folder}/mail", f"--uidls-file={folder}/uidls", "--keep=off",
               "--timeout=20", folder=folder)
    return done.outcome(subjects(folder / "mail"))


def python_poplib(target, login, _folder):
    context = certificates.trusting(target.ca)
    if target.is_implicit:
        box = poplib.POP3_SSL(target.host, target.port, context=context, timeout=20)
    else:
        box = poplib.POP3(target.host, target.port, timeout=20)
        box.stls(context)
    try:
        box.user(login.account)
        box.pass_(login.password)
        lines = box.retr(1)[1]
        return Outcome(0, (box.stat()[0], [line for line in lines if line.startswith(b"Subject:")]))
    except poplib.error_proto as error:
        return Outcome(1, (), str(error))
    finally:
        box.close()


POP3 = {"curl": curl, "fetchmail": fetchmail, "getmail": getmail, "mpop": mpop, "poplib": python_poplib}
