"""Recorded conversations (`recordings/*.md`) as steps that a test can play again.

A recording is a Markdown file with one section for each conversation. `C:` and `S:` are lines of the client and the server, `(TLS)` is
the handshake, `<closed>` the end of the connection. An ellipsis stands for a credential.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "recordings"
# The recorder cuts a line after this many characters, "S: " included.
MAX_LINE = 420


@dataclass(frozen=True)
class Step:
    """`kind` is C, S, TLS or END; `text` is empty for the last two."""

    kind: str
    text: str = ""


def conversations(name):
    """Title -> steps, of one file."""
    sections = re.findall(r"(?ms)^## (.*?)$\s*^```$\n(.*?)^```$", (FOLDER / f"{name}.md").read_text())
    return {title: [_step(line) for line in text.splitlines() if line] for title, text in sections}


def _step(line):
    if line.strip() == "(TLS)":
        return Step("TLS")
    if line == "S: <closed>":
        return Step("END")
    kind, colon, text = line.partition(":")
    if colon and kind in ("C", "S"):
        return Step(kind, text.removeprefix(" "))
    # A line without a mark goes on with the body before it.
    return Step("S", line)


def is_same(recorded, line):
    """Whether a line is the recorded one. A cut line is compared as far as it goes, and a point in time is not compared."""
    recorded, line = (re.sub(r"(FUTURERELEASE \d+) \d+$", r"\1 TIME", text) for text in (recorded, line))
    return line == recorded or (len(recorded) + 3 >= MAX_LINE and line.startswith(recorded))
