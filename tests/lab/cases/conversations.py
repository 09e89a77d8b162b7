"""Generated login conversations: a plan is drawn from a seeded generator, and spoken over any connection of its protocol."""

import base64
import re
from dataclasses import dataclass

from clients.imap import Imap
from clients.managesieve import ManageSieve
from clients.pop3 import Pop3
from clients.submission import Submission

CLIENTS = {"imap": Imap, "pop3": Pop3, "managesieve": ManageSieve, "submission": Submission}
MECHANISMS = ("PLAIN", "LOGIN")
# The longest conversation: one more failure would end the connection at the proxy, whose limit is 3.
MOST_FAILURES = 2


@dataclass(frozen=True)
class Step:
    """One attempt. `words` are the pieces that are sent, each after the server's response to the one before."""

    name: str
    words: tuple
    is_right: bool


@dataclass(frozen=True)
class Plan:
    protocol: str
    kind: str
    # Whether lines are sent in pieces, each of which the server reads alone.
    is_slow: bool
    steps: tuple


def draw(random, accounts):
    """One conversation. `accounts`: (account, password) of those who may log in."""
    protocol = random.choice(sorted(CLIENTS))
    failures = random.choice((0, 0, 1, 1, MOST_FAILURES))
    account, password = random.choice(accounts)
    steps = []
    for _ in range(failures):
        steps.append(_step(random, protocol, account, _wrong(random, password), False, bool(steps)))
    if failures < MOST_FAILURES or random.random() < 0.5:
        steps.append(_step(random, protocol, account, password, True, bool(steps)))
    return Plan(protocol, random.choice(("implicit", "starttls")), random.random() < 0.05, tuple(steps))


def _wrong(random, password):
    return random.choice((password[:-1], password + b" ", b"  " + password, password.upper(), b"x", b"p\xc3\xa4ss", b'a"b\\c'))


def _step(random, protocol, account, password, is_right, is_later):
    # After a failure, Dovecot's ManageSieve answers NO to a command that brings no response.
    needs_initial = protocol == "managesieve" and is_later
    if not needs_initial and random.random() < 0.03:
        return Step("cancelled", _cancelled(random, protocol), False)
    if not is_right and random.random() < 0.2:
        account = f"nobody-{random.randrange(10**6)}@example.org"
    native = {"imap": _imap_login, "pop3": _pop3_user}.get(protocol)
    if native and random.random() < 0.4:
        return Step("native", native(random, account.encode(), password), is_right)
    mechanism = "PLAIN" if needs_initial else random.choice(MECHANISMS)
    # An authorization identity that is the same as the other one changes nothing.
    authzid = account if random.random() < 0.2 else ""
    if mechanism == "PLAIN":
        responses = [b"\0".join([authzid.encode(), account.encode(), password])]
    else:
        responses = [account.encode(), password]
    has_initial = needs_initial or mechanism == "PLAIN" and random.random() < 0.7
    return Step(mechanism, _sasl(random, protocol, mechanism, responses, has_initial), is_right)


def _cancelled(random, protocol):
    return _sasl(random, protocol, "PLAIN", [None], False)


def _case(random, word):
    return random.choice((word, word.lower(), word.capitalize())).encode()


def _sasl(random, protocol, mechanism, responses, has_initial):
    verb = {"imap": "AUTHENTICATE", "pop3": "AUTH", "managesieve": "AUTHENTICATE", "submission": "AUTH"}[protocol]
    name = _case(random, mechanism)
    coded = [b"*" if response is None else base64.b64encode(response) for response in responses]
    if protocol == "managesieve":
        name = b'"%s"' % name
        coded = [_sieve_string(random, one) for one in coded]
    words = [b"%s %s" % (_case(random, verb), name)]
    if has_initial:
        words[0] += b" " + coded.pop(0)
    return tuple(word + b"\r\n" for word in words + coded)


def _sieve_string(random, text):
    return b"{%d+}\r\n%s" % (len(text), text) if random.random() < 0.5 else b'"%s"' % text


def _imap_login(random, account, password):
    return (_case(random, "LOGIN") + b" " + _astring(random, account) + b" " + _astring(random, password) + b"\r\n",)


def _astring(random, text):
    is_atom = re.fullmatch(rb"[A-Za-z0-9@.+/_-]+", text)
    kind = random.choice(("quoted", "literal", "atom" if is_atom else "literal"))
    if kind == "atom":
        return text
    if kind == "quoted" and text.isascii():
        return b'"%s"' % re.sub(rb'(["\\])', rb"\\\1", text)
    return b"{%d+}\r\n%s" % (len(text), text)


def _pop3_user(random, account, password):
    return _case(random, "USER") + b" " + account + b"\r\n", _case(random, "PASS") + b" " + password + b"\r\n"


# Speaking.

def speak(plan, talk):
    """What came of each step: the verdict and its response code. The last one says whether the session works."""
    seen = []
    if plan.protocol == "submission":
        talk.ehlo()
    for number, step in enumerate(plan.steps):
        tag = f"s{number}".encode()
        for position, words in enumerate(step.words):
            prefix = tag + b" " if plan.protocol == "imap" and position == 0 else b""
            _send(plan, talk, prefix + words)
            response = _response(plan, talk, tag.decode())
            if not _is_continued(plan.protocol, response):
                break
        seen.append((step.name, verdict(plan.protocol, response)))
    seen.append(("afterwards", verdict(plan.protocol, _afterwards(plan, talk))))
    return tuple(seen)


def _send(plan, talk, data):
    if not plan.is_slow:
        return talk.send(data)
    middle = len(data) // 2
    talk.send_alone(data[:middle])
    talk.send(data[middle:])
    return None


def _response(plan, talk, tag):
    """The next line that asks for more or completes the command."""
    while True:
        line = talk.line()
        if plan.protocol == "imap" and line.startswith("* ") or plan.protocol == "submission" and line[3:4] == "-":
            continue
        return line.removeprefix(f"{tag} ") if plan.protocol == "imap" else line


def _is_continued(protocol, line):
    if protocol == "managesieve":
        return line.startswith('"')
    if protocol == "submission":
        return line.startswith("334")
    if protocol == "pop3":
        # +OK completes USER, and PASS follows.
        return line.startswith("+")
    return line.startswith("+")


def _afterwards(plan, talk):
    if plan.protocol == "imap":
        # Only after a login is it a command.
        return talk.command("NAMESPACE")[0]
    # Without a login, Postfix refuses the recipient, and the proxy the sender (docs/clients.md).
    mail = "MAIL FROM:<alice@example.org>"
    return {"pop3": lambda: talk.command("STAT"), "managesieve": lambda: talk.command("LISTSCRIPTS")[0],
            "submission": lambda: talk.command(mail if plan.steps[-1].is_right else "NOOP")}[plan.protocol]()


def verdict(protocol, line):
    """The status and the response code of a line, without the words for people."""
    if protocol == "submission":
        return re.match(r"\d{3}(?: \d\.\d{1,3}\.\d{1,3})?", line)[0]
    if protocol == "managesieve":
        return re.match(r"(OK|NO|BYE)( \([^)]*\))?", line)[0]
    found = re.match(r"(\+?OK|NO|BAD|-ERR)(?: (\[[^\]]*\]))?", line)
    # The code of a success has the capabilities of the session, or where it began.
    return found[1] if found[1].endswith("OK") else found[0]
