"""Reads pages of Markdown: their headings, links and fenced blocks, as mdBook and GitHub read them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BOOK = "docs"
SUMMARY = "SUMMARY.md"
# Pages outside of the book whose links are checked too.
OTHERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/lab/README.md")

FENCE = re.compile(r"^( *)(```+)(.*)$")
HEADING = re.compile(r"^(#{1,6}) +(.*?)(?: +#+)?$")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, the words after the fence, its text."""

    page: Path
    line: int
    words: tuple
    text: str

    @property
    def language(self):
        return self.words[0] if self.words else ""

    def where(self, root=ROOT):
        return f"{self.page.relative_to(root)}:{self.line}"


def book_pages(root=ROOT):
    """Returns the pages of the book, without the table of contents."""
    return sorted(page for page in (root / BOOK).rglob("*.md") if page.name != SUMMARY)


def all_pages(root=ROOT):
    """Returns every page whose links are checked."""
    return [*book_pages(root), *(root / name for name in (*OTHERS, f"{BOOK}/{SUMMARY}") if (root / name).is_file())]


def parts(page):
    """Returns the lines outside of fenced blocks, as pairs of number and text, and the blocks."""
    prose, blocks, fence = [], [], None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        found = FENCE.match(line)
        if fence is None and found:
            fence, begin, words, indent, text = found[2], number, tuple(found[3].split()), len(found[1]), []
        elif fence is None:
            prose.append((number, line))
        elif found and found[2].startswith(fence) and not found[3].strip():
            blocks.append(Block(page, begin, words, "".join(f"{one[indent:]}\n" for one in text)))
            fence = None
        else:
            text.append(line)
    if fence is not None:
        raise ValueError(f"{page}:{begin}: the block has no end")
    return prose, blocks


def blocks_of(page):
    """Returns the fenced blocks of a page."""
    return parts(page)[1]


def links_of(page):
    """Returns (line, target) for each link of a page."""
    prose, _ = parts(page)
    return [(number, target) for number, line in prose for target in LINK.findall(re.sub(r"`[^`]*`", lambda code: "x" * len(code[0]), line))]


def anchors_of(page):
    """Returns the anchors of the headings of a page."""
    anchors, seen = set(), {}
    for _, line in parts(page)[0]:
        if heading := HEADING.match(line):
            anchor = slug(heading[2])
            count = seen[anchor] = seen.get(anchor, -1) + 1
            anchors.add(f"{anchor}-{count}" if count else anchor)
    return anchors


def slug(heading):
    """Returns the anchor of a heading: lower case, hyphens for spaces, no punctuation."""
    text = LINK.sub(lambda link: link[0][link[0].index("[") + 1:link[0].index("](")], heading)
    return "".join("-" if char.isspace() else char for char in text.lower() if char.isalnum() or char.isspace() or char in "-_")
