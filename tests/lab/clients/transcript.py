"""Transcripts: what the client says and what the server must say to it.

    S: * OK ...                    the server's next line; `...` stands for any text in it
    C: a1 LOGIN $user $password    the client's; `$name` is filled in; lines that follow each other are one segment
    S: ...                         any number of lines (none, too) up to the one that the next `S:` describes
    S: a1 OK ...
    TLS                            the handshake
    END                            the server ends the connection, saying nothing more
"""

import re
import string
import textwrap


def play(talk, text, names):
    """Plays it on a conversation (a `Talk`); raises an AssertionError where it differs."""
    steps = _steps(string.Template(textwrap.dedent(text).strip()).substitute(names))
    skips = False
    for kind, words in steps:
        if kind == "C":
            talk.send(words.encode())
        elif kind == "S" and words == "...":
            skips = True
        elif kind == "S":
            _expect(talk, words, skips)
            skips = False
        elif kind == "TLS":
            talk.handshake()
        elif rest := talk.rest():
            raise AssertionError(talk.report(f"expected the end, and there was {rest!r}"))


def _steps(text):
    """(kind, words); what the client says in a row is one step."""
    found = []
    for line in text.splitlines():
        if line in ("TLS", "END"):
            found.append((line, ""))
            continue
        kind, colon, words = line.partition(":")
        if kind not in ("C", "S") or not colon:
            raise ValueError(f"not a line of a transcript: {line!r}")
        words = words[1:]
        if kind == "C" and found and found[-1][0] == "C":
            found[-1] = ("C", found[-1][1] + words + "\r\n")
        else:
            found.append((kind, words + "\r\n" if kind == "C" else words))
    return found


def _expect(talk, pattern, skips):
    wanted = re.compile(".*".join(re.escape(part) for part in pattern.split("...")))
    while True:
        line = talk.line()
        if wanted.fullmatch(line):
            return
        if not skips:
            raise AssertionError(talk.report(f"expected {pattern!r}, and there was {line!r}"))
