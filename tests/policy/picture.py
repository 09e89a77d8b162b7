"""Draws the crates as floors of a house: docs/crates.svg.

A crate stands on the floor above the highest crate that it imports, so every arrow points down. Arrows that others
imply are left out. Arrows to the same crate run together when they pass a floor. The output depends on the manifests
and on the table of docs/architecture.md alone, so that a test can compare it with the committed file.
"""

import bisect
import re
import textwrap
import zlib
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from . import architecture
from .problem import Problem
from .repository import ARCHITECTURE, ROOT, import_graph

PICTURE = "docs/crates.svg"
COMMAND = "python3 tests/draw_crates.py"

# Pixels, except for the two about text.
BOX_WIDTH, BOX_HEIGHT = 172, 64
LINE_CHARACTERS, LINES = 24, 2
LANE_WIDTH = 12  # of an arrow that passes a floor
GAP, FLOOR_GAP = 16, 58
FLOOR_EDGE = 10  # of a floor above and below its boxes
MARGIN, GUTTER, CAPTION = 24, 34, 56
PORT = 14  # between arrows that leave or reach the same box

STARTS, SWEEPS = 40, 8  # of the search for an order without crossings

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


@dataclass
class Node:
    """A box, or the lane in which the arrows to a crate pass a floor."""

    crate: str
    floor: int
    is_box: bool
    x: float = 0.0
    above: list = field(default_factory=list)
    below: list = field(default_factory=list)

    @property
    def width(self):
        return BOX_WIDTH if self.is_box else LANE_WIDTH

    @property
    def key(self):
        return (self.crate, self.floor)


# --- the graph ---------------------------------------------------------------------------------------------------------


def floors(graph):
    """Returns crate -> floor: the number of arrows on the longest way down. The graph has no cycle."""
    known = {}

    def floor(name):
        if name not in known:
            known[name] = max((floor(other) + 1 for other in graph[name]), default=0)
        return known[name]

    return {name: floor(name) for name in sorted(graph)}


def reachable(graph, name):
    """Returns all that `name` imports, directly or through others."""
    found, waiting = set(), list(graph[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += graph[other]
    return found


def reduced(graph):
    """Returns the graph without the arrows that others imply."""
    return {
        name: {other for other in imports if not any(other in reachable(graph, third) for third in imports)}
        for name, imports in graph.items()
    }


# --- the layout --------------------------------------------------------------------------------------------------------


def layers(graph):
    """Returns the floors from the ground up, each a list of nodes that know their neighbours above and below."""
    floor, arrows = floors(graph), reduced(graph)
    result = [[] for _ in range(max(floor.values()) + 1)]
    nodes = {}

    def node(crate, level):
        if (crate, level) not in nodes:
            nodes[crate, level] = Node(crate, level, level == floor[crate])
            result[level].append(nodes[crate, level])
        return nodes[crate, level]

    for name in sorted(graph):
        node(name, floor[name])
    for name in sorted(graph):
        for other in sorted(arrows[name]):
            upper = node(name, floor[name])
            for level in range(floor[name] - 1, floor[other] - 1, -1):
                lower = node(other, level)
                if lower not in upper.below:
                    upper.below.append(lower)
                    lower.above.append(upper)
                upper = lower
    return result


def crossings(upper, lower):
    """Returns how many arrows cross between two floors: how often an arrow ends left of one that starts before it."""
    place = {id(node): index for index, node in enumerate(lower)}
    count, ends = 0, []
    for node in upper:
        starts_here = sorted(place[id(other)] for other in node.below)
        count += sum(len(ends) - bisect.bisect_right(ends, end) for end in starts_here)
        for end in starts_here:
            bisect.insort(ends, end)
    return count


def all_crossings(floors_):
    return sum(crossings(upper, lower) for lower, upper in zip(floors_, floors_[1:]))


def arrange(floors_):
    """Orders each floor so that few arrows cross. Starts from several orders, as each can end in a dead end."""
    best, fewest = None, None
    for start in range(STARTS):
        for floor in floors_:
            floor.sort(key=lambda node: zlib.crc32(f"{start} {node.key}".encode()))
        for sweep in range(SWEEPS):
            sweep_floors(floors_, upwards=sweep % 2 == 0)
            found = all_crossings(floors_)
            if best is None or found < fewest:
                best, fewest = [list(floor) for floor in floors_], found
    floors_[:] = best


def sweep_floors(floors_, upwards):
    """Orders the floors one after the other by the middle of the neighbours, then by exchanges."""
    levels = range(1, len(floors_)) if upwards else range(len(floors_) - 2, -1, -1)
    for level in levels:
        order_by_neighbours(floors_[level], floors_[level - 1] if upwards else floors_[level + 1], upwards)
    exchange(floors_)


def order_by_neighbours(floor, fixed, upwards):
    """Sorts a floor by the mean place of each node's neighbours on the fixed floor."""
    place = {node.key: index / max(1, len(fixed) - 1) for index, node in enumerate(fixed)}
    means = {}
    for index, node in enumerate(floor):
        neighbours = node.below if upwards else node.above
        own = index / max(1, len(floor) - 1)
        means[node.key] = sum(place[other.key] for other in neighbours) / len(neighbours) if neighbours else own
    floor.sort(key=lambda node: means[node.key])


def exchange(floors_):
    """Swaps neighbours on a floor while that removes crossings."""
    improved = True
    while improved:
        improved = False
        places = {node.key: index for floor in floors_ for index, node in enumerate(floor)}
        for floor in floors_:
            for index in range(len(floor) - 1):
                left, right = floor[index], floor[index + 1]
                if crossings_of(right, left, places) < crossings_of(left, right, places):
                    floor[index], floor[index + 1] = right, left
                    places[left.key], places[right.key] = index + 1, index
                    improved = True


def crossings_of(left, right, places):
    """Returns how many arrows of two neighbours on a floor cross each other, if they stand in this order."""
    return sum(
        places[a.key] > places[b.key]
        for ours, theirs in ((left.above, right.above), (left.below, right.below))
        for a in ours
        for b in theirs
    )


def place(floors_):
    """Gives each node its x: near the mean of its neighbours, in the order of its floor, without overlaps."""
    for floor in floors_:
        spread(floor, [0.0] * len(floor))
    for sweep in range(400):
        lanes = {}
        for node in (node for floor in floors_ for node in floor if not node.is_box):
            lanes.setdefault(node.crate, []).append(node.x)
        straight = {crate: sum(places) / len(places) for crate, places in lanes.items()}
        for floor in floors_ if sweep % 2 else floors_[::-1]:
            spread(floor, [wish(node, straight) for node in floor])
    left = min(node.x - node.width / 2 for floor in floors_ for node in floor)
    for floor in floors_:
        for node in floor:
            node.x = round(node.x - left + MARGIN + GUTTER)


def wish(node, straight):
    """Returns where a node would stand if it were alone: amid its neighbours; a lane rather where it is straight."""
    neighbours = node.above + node.below
    if not neighbours:
        return node.x
    middle = sum(other.x for other in neighbours) / len(neighbours)
    return middle if node.is_box else 0.8 * straight[node.crate] + 0.2 * middle


def spread(floor, wishes):
    """Sets each x as near to its wish as order and widths allow (least squares: pool adjacent violators)."""
    offsets, offset = [], 0.0
    for index, node in enumerate(floor):
        if index:
            offset += floor[index - 1].width / 2 + GAP + node.width / 2
        offsets.append(offset)
    pools = []  # [sum, count]
    for wished, offset in zip(wishes, offsets):
        pools.append([wished - offset, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    means = [total / count for total, count in pools for _ in range(count)]
    for node, mean, offset in zip(floor, means, offsets):
        node.x = mean + offset


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
    width = max(node.x + node.width / 2 for floor in floors_ for node in floor) + MARGIN
    height = top_of(0, len(floors_)) + BOX_HEIGHT + FLOOR_EDGE + MARGIN // 2
    parts = [*head(int(width), int(height), len(graph))]
    for level in range(len(floors_)):
        y = top_of(level, len(floors_))
        parts.append(f'<rect class="floor" x="{MARGIN // 2}" y="{y - FLOOR_EDGE}" width="{int(width) - MARGIN}" height="{BOX_HEIGHT + 2 * FLOOR_EDGE}" rx="8"/>')
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
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-labelledby="title description">',
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
        problems.append(Problem(PICTURE, "not the picture of the manifests" if file.exists() else "missing", f"what {COMMAND} draws", f"run {COMMAND} and commit {PICTURE}"))
    return problems
