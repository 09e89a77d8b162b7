"""Reads docs/architecture.md: the table of crates and the table of look-ups."""

import re
from dataclasses import dataclass

from .repository import ARCHITECTURE, ROOT

CRATES_HEADINGS = ("crates", "rooms")
LOOKUPS_HEADING = "where do i find"
NAME = r"[a-z][a-z0-9_-]*"


@dataclass(frozen=True)
class CrateRow:
    """A row of the table of crates."""

    name: str
    contents: str
    imports: frozenset


@dataclass(frozen=True)
class LookupRow:
    """A row of the table of look-ups: a search for `term` leads to `file`, which defines `item`."""

    question: str
    term: str
    file: str
    item: str


def read_page(root=ROOT):
    return (root / ARCHITECTURE).read_text()


def section(page, *beginnings):
    """Returns the lines of the first section whose heading begins so, with its subsections; None where there is none."""
    found, level, fenced = None, 0, False
    for line in page.splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else re.fullmatch(r"(#+) +(.*?) *#*", line)
        if heading and found is not None and len(heading[1]) <= level:
            break
        if found is not None:
            found.append(line)
        elif heading and heading[2].lower().startswith(beginnings):
            found, level = [], len(heading[1])
    return found


def cells(line):
    """Returns the cells of a row of a table; empty for a line that is none. A pipe in `code` or after \\ divides nothing."""
    line = line.strip()
    if len(line) < 2 or line[0] != "|" or line[-1] != "|":
        return []
    hidden = re.sub(r"`[^`]*`|\\\|", lambda match: match[0].replace("|", "\0"), line[1:-1])
    return [cell.replace("\0", "|").strip() for cell in hidden.split("|")]


def code(cell):
    """Returns the text of a cell that is one piece of `code`, or the cell itself."""
    return cell[1:-1] if re.fullmatch(r"`[^`]+`", cell) else cell


def crate_rows(page):
    """Returns the rows of the table of crates, in their order: | `name` | text | imports |."""
    rows = []
    for line in section(page, *CRATES_HEADINGS) or []:
        row = cells(line)
        if len(row) == 3 and re.fullmatch(f"`{NAME}`", row[0]):
            rows.append(CrateRow(code(row[0]), row[1], frozenset(re.findall(NAME, row[2]))))
    return rows


def lookup_rows(page):
    """Returns the rows of the table of look-ups: | question | term | file | item |. None where there is no section."""
    lines = section(page, LOOKUPS_HEADING)
    if lines is None:
        return None
    rows = [cells(line) for line in lines]
    rows = [row for row in rows if len(row) == 4 and not re.fullmatch(r":?-+:?", row[0])]
    return [LookupRow(row[0], *(code(cell) for cell in row[1:])) for row in rows[1:]]
