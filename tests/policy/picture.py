"""Draws the crates as floors of a house: docs/crates.svg.

A crate stands on the floor above the highest crate that it imports, so every arrow points down. Arrows that others
imply are left out. Arrows to the same crate run together when they pass a floor. The output depends on the manifests
and on the table of docs/architecture.md alone, so that a test can compare it with the committed file.
"""

import re
import textwrap
from xml.sax.saxutils import escape

from . import architecture
from .layout import BOX_HEIGHT, BOX_WIDTH, arrange, layers, place
from .problem import Problem
from .repository import ARCHITECTURE, ROOT, import_graph

PICTURE = "docs/crates.svg"
COMMAND = "python3 tests/draw_crates.py"

# Pixels, except for the two about text.
LINE_CHARACTERS, LINES = 24, 2
FLOOR_GAP = 58
FLOOR_EDGE = 10  # of a floor above and below its boxes
MARGIN, GUTTER, CAPTION = 24, 34, 56
PORT = 14  # between arrows that leave or reach the same box

STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; }
  .page { fill: #ffffff; }
  .floor { fill: #f3f5f8; }
  .box { fill: #ffffff; stroke: #c4ccd6; }
  .title { fill: #1f2328; font-size: 17px; font-weight: 600; }
  .caption, .number { fill: #59636e; font-size: 13px; }
  .name { fill: #1f2328; font-size: 15px; font-weight: 600; font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
  .contents { fill: #59636e; font-size: 11.5px; }
  .c0 { stroke: #3b74c4; fill: #3b74c4; } .c1 { stroke: #b3702a; fill: #b3702a; } .c2 { stroke: #2f8a63; fill: #2f8a63; }
  .c3 { stroke: #9557b5; fill: #9557b5; } .c4 { stroke: #c0504d; fill: #c0504d; } .c5 { stroke: #687385; fill: #687385; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    .floor { fill: #151b23; }
    .box { fill: #1c2430; stroke: #414b58; }
    .title, .name { fill: #f0f3f6; }
    .caption, .number, .contents { fill: #a6b1bd; }
    .c0 { stroke: #79aef2; fill: #79aef2; } .c1 { stroke: #e0a364; fill: #e0a364; } .c2 { stroke: #67c39a; fill: #67c39a; }
    .c3 { stroke: #c896e2; fill: #c896e2; } .c4 { stroke: #ee8f8b; fill: #ee8f8b; } .c5 { stroke: #a0abba; fill: #a0abba; }
  }
  .arrow { fill: none; stroke-width: 1.4; }
  .tip { stroke: none; }
"""
COLOURS = 6


# --- the drawing -------------------------------------------------------------------------------------------------------


def summary(contents):
    """Returns the lines of a box: the first clause of the cell, shortened at a comma; None where that does not fit."""
    clause = re.split(r"[.;:](?:\s|$)", contents.replace("`", "").replace("**", ""), maxsplit=1)[0].strip()
    parts = clause.split(", ")
    while parts:
        lines = wrapped(", ".join(parts), LINE_CHARACTERS)
        if len(lines) <= LINES and all(len(line) <= LINE_CHARACTERS for line in lines):
            # The narrowest lines that are no more: no word stands alone on the last.
            narrow = next(width for width in range(1, LINE_CHARACTERS + 1) if len(wrapped(", ".join(parts), width)) <= len(lines))
            return wrapped(", ".join(parts), narrow)
        parts.pop()
    return None


def wrapped(text, width):
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def draw(graph, contents):
    """Returns the picture of `graph` as SVG; `contents` has the lines of each box."""
    floors_ = layers(graph)
    arrange(floors_)
    place(floors_)
    for node in (node for floor in floors_ for node in floor):
        node.x += MARGIN + GUTTER
    width = max(node.x + node.width / 2 for floor in floors_ for node in floor) + MARGIN
    height = top_of(0, len(floors_)) + BOX_HEIGHT + FLOOR_EDGE + MARGIN // 2
    parts = [*head(int(width), int(height), len(graph))]
    for level in range(len(floors_)):
        y = top_of(level, len(floors_))
        parts.append(f'<rect class="floor" x="{MARGIN // 2}" y="{y - FLOOR_EDGE}" '
                     f'width="{int(width) - MARGIN}" height="{BOX_HEIGHT + 2 * FLOOR_EDGE}" rx="8"/>')
        parts.append(f'<text class="number" x="{MARGIN + 4}" y="{y + BOX_HEIGHT // 2 + 4}" text-anchor="middle">{level}</text>')
    parts += arrows(floors_)
    for floor in floors_:
        for node in floor:
            if node.is_box:
                parts += box(node, top_of(node.floor, len(floors_)), contents.get(node.crate, []))
    return "\n".join([*parts, "</svg>", ""])


def head(width, height, count):
    title = "The crates of Pointsman"
    caption = "An arrow leads from a crate to one that it imports. Arrows that others imply are left out."
    description = f"{count} crates, each on the floor above the highest one that it imports. {caption}"
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-labelledby="title description">',
        f"<!-- Made by {COMMAND} from the manifests and {ARCHITECTURE}. Do not edit. -->",
        f'<title id="title">{title}</title>',
        f'<desc id="description">{description}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="12"/>',
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 14}">{title}</text>',
        f'<text class="caption" x="{MARGIN}" y="{MARGIN + 36}">{caption}</text>',
    ]


def top_of(level, count):
    """Returns the y of the upper edge of the boxes on a floor."""
    return CAPTION + MARGIN + FLOOR_EDGE + (count - 1 - level) * (BOX_HEIGHT + FLOOR_GAP)


def box(node, y, lines):
    x = node.x - BOX_WIDTH // 2
    first = y + BOX_HEIGHT // 2 + 5 - 8 * len(lines)
    parts = [
        f'<g data-crate="{node.crate}" data-floor="{node.floor}">',
        f'<rect class="box" x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>',
        f'<text class="name" x="{node.x}" y="{first}" text-anchor="middle">{escape(node.crate)}</text>',
    ]
    for number, line in enumerate(lines):
        parts.append(f'<text class="contents" x="{node.x}" y="{first + 18 + 15 * number}" text-anchor="middle">{escape(line)}</text>')
    return [*parts, "</g>"]


def arrows(floors_):
    """Returns the arrows, one piece between two floors at a time."""
    colours = colours_of(floors_)
    parts = []
    for lower, upper in zip(floors_, floors_[1:]):
        for node in upper:
            for other in node.below:
                colour = f"c{colours[other.crate]}"
                start_x, end_x = port(node, other, node.below), port(other, node, other.above)
                start_y = top_of(node.floor, len(floors_)) + BOX_HEIGHT
                end_y = top_of(other.floor, len(floors_)) - (5 if other.is_box else 0)
                middle = (start_y + end_y) // 2
                parts.append(f'<path class="arrow {colour}" d="M{start_x},{start_y} C{start_x},{middle} {end_x},{middle} {end_x},{end_y}"/>')
                if other.is_box:
                    tip = end_y + 5
                    parts.append(f'<path class="tip {colour}" d="M{end_x},{tip} l-4,-8 h8 z"/>')
    for floor in floors_:
        for node in floor:
            if not node.is_box:
                y = top_of(node.floor, len(floors_))
                parts.append(f'<path class="arrow c{colours[node.crate]}" d="M{node.x},{y} V{y + BOX_HEIGHT}"/>')
    return parts


def colours_of(floors_):
    """Returns crate -> colour of the arrows to it. Arrows that run beside each other differ where that can be had."""
    beside = {node.crate: set() for floor in floors_ for node in floor}
    for floor in floors_:
        rows = [floor, *(sorted(node.below, key=lambda other: other.x) for node in floor)]
        for row in rows:
            for left, right in zip(row, row[1:]):
                beside[left.crate].add(right.crate)
                beside[right.crate].add(left.crate)
    colours = {}
    for crate in sorted(beside, key=lambda crate: (-len(beside[crate]), crate)):
        taken = [colours[other] for other in beside[crate] if other in colours]
        used = list(colours.values())
        colours[crate] = min(range(COLOURS), key=lambda colour: (taken.count(colour), used.count(colour), colour))
    return colours


def port(node, other, neighbours):
    """Returns the x at which the arrow between `node` and `other` leaves or reaches `node`."""
    if not node.is_box:
        return node.x
    order = sorted(neighbours, key=lambda neighbour: (neighbour.x, neighbour.key))
    step = min(PORT, (BOX_WIDTH - 24) / len(order))
    return round(node.x + (order.index(other) - (len(order) - 1) / 2) * step)


# --- what the command and the check need ---------------------------------------------------------------------------------


def current():
    """Returns the picture of the crates as they are, and the problems of their descriptions."""
    rows = architecture.crate_rows(architecture.read_page())
    contents, problems = {}, []
    for row in rows:
        lines = summary(row.contents)
        if lines is None:
            problems.append(Problem(f"{ARCHITECTURE}: `{row.name}`", "a first clause that does not fit into its box",
                                    f"{LINES} lines of {LINE_CHARACTERS} characters", "begin the cell with a shorter clause and a colon"))
        contents[row.name] = lines or []
    return draw(import_graph(), contents), problems


def check():
    """Returns a problem where the committed picture is not that of the manifests."""
    picture, problems = current()
    file = ROOT / PICTURE
    if not file.exists() or file.read_text() != picture:
        found = "not the picture of the manifests" if file.exists() else "missing"
        problems.append(Problem(PICTURE, found, f"what {COMMAND} draws", f"run {COMMAND} and commit {PICTURE}"))
    return problems
