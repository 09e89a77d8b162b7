"""Where the crates stand in the picture: on which floor, in which order, at which x.

A crate stands on the floor above the highest crate that it imports. Arrows that others imply are left out. Arrows to the
same crate share a lane on each floor that they pass. Everything starts from sorted names, so the result is the same
on every machine.
"""

import bisect
import zlib
from dataclasses import dataclass, field

# Pixels.
BOX_WIDTH, BOX_HEIGHT = 172, 64
LANE_WIDTH = 12  # of an arrow that passes a floor
GAP = 16  # between boxes and lanes on a floor

STARTS, SWEEPS = 40, 8  # of the search for an order without crossings


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
            node.x = round(node.x - left)


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
