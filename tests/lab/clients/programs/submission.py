"""Submission programs. Each sends one message, which is looked for in the recipient's mailbox."""

import smtplib

from lab import certificates

from .program import Outcome, message, run

SENT = "sent by the client"


def curl(target, login, folder):
    scheme = "smtps" if target.is_implicit else "smtp"
    done = run("curl", "--silent", "--show-error", "--max-time", "20", "--cacert", target.ca, "--ssl-reqd",
               "--user", f"{login.account}:{login.password}", "--mail-from", login.account, "--mail-rcpt", login.account,
               "--upload-file", "-", f"{scheme}://{target.host}:{target.port}/client.example.org", folder=folder,
               text=message(login.account, login.account, SENT).replace("\n", "\r\n"))
    return done.outcome()


def msmtp(target, login, folder):
    return by_msmtp(target, login, folder)


def msmtp_dsn(target, login, folder):
    """Asks for a report of the delivery (RFC 3461), which it does only where the server offers that."""
    return by_msmtp(target, login, folder, "--dsn-notify=failure", "--dsn-return=hdrs")


def by_msmtp(target, login, folder, *more):
    done = run("msmtp", "--file=/dev/null", f"--host={target.host}", f"--port={target.port}", "--tls=on",
               f"--tls-starttls={'off' if target.is_implicit else 'on'}", f"--tls-trust-file={target.ca}", "--auth=on",
               f"--user={login.account}", f"--passwordeval=echo {login.password}", f"--from={login.account}",
               "--domain=client.example.org", "--timeout=20", *more, login.account, folder=folder,
               text=message(login.account, login.account, SENT))
    return done.outcome()


def swaks(target, login, folder):
    done = run("swaks", "--server", target.host, "--port", target.port, "--tls-on-connect" if target.is_implicit else "--tls",
               "--tls-verify", "--tls-ca-path", target.ca, "--auth", "PLAIN,LOGIN", "--auth-user", login.account,
               "--auth-password", login.password, "--helo", "client.example.org", "--from", login.account, "--to", login.account,
               "--header", f"Subject: {SENT}", "--timeout", 20, folder=folder)
    return done.outcome()


def python_smtplib(target, login, _folder):
    context = certificates.trusting(target.ca)
    if target.is_implicit:
        smtp = smtplib.SMTP_SSL(target.host, target.port, context=context, timeout=20)
    else:
        smtp = smtplib.SMTP(target.host, target.port, timeout=20)
        smtp.starttls(context=context)
    with smtp:
        try:
            smtp.login(login.account, login.password)
        except smtplib.SMTPAuthenticationError as error:
            return Outcome(1, (error.smtp_code,), str(error))
        refused = smtp.sendmail(login.account, [login.account], message(login.account, login.account, SENT))
    return Outcome(0, (tuple(refused),))


SUBMISSION = {"curl": curl, "msmtp": msmtp, "msmtp_dsn": msmtp_dsn, "swaks": swaks, "smtplib": python_smtplib}
