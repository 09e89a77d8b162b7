"""Messages that the book quotes are in the source of the program.

A message is quoted in a block with the words `text quoted`, one a line, or in the first column of a table whose second column is its level. `…` stands
for what differs from case to case.
"""

import re
from functools import cache

from policy.problem import Problem

from .pages import ROOT, blocks_of, book_pages, parts

LEVELS = r"error|warn|info|debug"


def check(root=ROOT):
    """Returns the quoted messages that the program does not have."""
    text = source(root)
    problems = []
    for page in book_pages(root):
        for line, message in [*quoted_in_blocks(page), *quoted_in_tables(page)]:
            if not all(part in text for part in re.split(r"\s*…\s*", message) if part):
                problems.append(Problem(f"{page.relative_to(root)}:{line}", f"the message `{message}`", "a message that the program prints",
                                        "quote the message as it is in the source"))
    return problems


def quoted_in_blocks(page):
    """Yields (line, message)."""
    for block in blocks_of(page):
        if block.words == ("text", "quoted"):
            for number, message in enumerate(block.text.splitlines(), block.line + 1):
                yield number, message


def quoted_in_tables(page):
    """Yields (line, message) for each message in a table of messages and levels."""
    for number, line in parts(page)[0]:
        if row := re.match(rf"\| *(`.*?`(?:, `.*?`)*) *\| *(?:{LEVELS}) *\|", line):
            for message in re.findall(r"`(.*?)`", row[1]):
                yield number, message


@cache
def source(root=ROOT):
    """Returns the source of all crates, with string literals that continue on the next line joined."""
    text = "\n".join(path.read_text() for path in sorted((root / "crates").glob("*/src/**/*.rs")))
    return re.sub(r"\\\n\s*", "", text)
