"""Compressed forms, counted. A plain form is easier to read; the counts may only go down.

`CEILINGS` has the count of the whole workspace, in production code. Lower it with the count; never raise it.
"""

from . import rust
from .problem import Problem
from .repository import ROOT, crate_packages
from .sizes import production_files

# Each form is called by how it looks.
PACKED = "let (a, b) = (x, y)"
MAP_OR = ".map_or( .map_or_else("
BOX_PIN = "Box::pin("
CLOSURE = "let name = |…| …;"
TWO_BOOLS = "(bool, bool)"

CEILINGS = {PACKED: 5, MAP_OR: 75, BOX_PIN: 62, CLOSURE: 99, TWO_BOOLS: 0}

PARAMETERS_FOLLOW = {"Fn", "FnMut", "FnOnce", "fn"}  # what stands before `(bool, bool)` where it is no tuple

PLAIN = {
    PACKED: "write one `let` for each name",
    MAP_OR: "write `match` or `if let`",
    BOX_PIN: "await the future as it is; pin it only where clippy::large_futures or a measurement asks for it",
    CLOSURE: "write the statement where it is used, or a function",
    TWO_BOOLS: "write an enum or a struct with two named fields",
}


def count(source):
    """Returns form -> number of its occurrences."""
    counts = dict.fromkeys(CEILINGS, 0)
    for index in range(len(source.tokens)):
        if is_packed(source, index):
            counts[PACKED] += 1
        elif is_closure(source, index):
            counts[CLOSURE] += 1
        elif source.text(index) == "." and source.text(index + 1) in ("map_or", "map_or_else"):
            counts[MAP_OR] += 1
        elif texts(source, index, 4) == ("Box", "::", "pin", "("):
            counts[BOX_PIN] += 1
        elif texts(source, index, 5) == ("(", "bool", ",", "bool", ")") and source.text(index - 1) not in PARAMETERS_FOLLOW:
            counts[TWO_BOOLS] += 1
    return counts


def texts(source, index, length):
    """Returns the texts of `length` tokens from `index`."""
    return tuple(source.text(index + offset) for offset in range(length))


def is_packed(source, index):
    """Says whether `let (…) = (…, …);` starts at `index`."""
    if texts(source, index, 2) != ("let", "("):
        return False
    equals = after_pattern(source, index + 1)
    tuple_ = equals + 1
    if texts(source, equals, 2) != ("=", "("):
        return False
    end = source.skip_group(tuple_)
    return source.text(end) == ";" and has_comma(source, tuple_ + 1, end - 1)


def after_pattern(source, index):
    """Returns the index of the `=` or `;` after the pattern and the type of a `let`."""
    while source.text(index) not in ("=", ";", "}", ""):
        index = source.skip_group(index)
    return index


def has_comma(source, start, end):
    """Says whether a comma stands between `start` and `end` outside of inner brackets."""
    while start < end:
        if source.text(start) == ",":
            return True
        start = source.skip_group(start)
    return False


def is_closure(source, index):
    """Says whether `let name = |…| expression;` starts at `index`, the body being no block."""
    if source.text(index) != "let" or source.text(index - 1) in ("if", "while", "&&", "||"):
        return False
    position = after_pattern(source, index + 1) + 1
    while source.text(position) in ("move", "async"):
        position += 1
    if source.text(position) == "||":
        return source.text(position + 1) not in ("{", "->")
    if source.text(position) != "|":
        return False
    position += 1
    while source.text(position) not in ("|", ""):
        position = source.skip_group(position)
    return source.text(position + 1) not in ("{", "->")


def counts_by_crate():
    """Returns crate -> form -> count."""
    table = {}
    for name in sorted(crate_packages()):
        table[name] = dict.fromkeys(CEILINGS, 0)
        for file in production_files(ROOT / "crates" / name):
            for form, number in count(rust.production(file)).items():
                table[name][form] += number
    return table


def totals(table):
    """Returns form -> count of the whole workspace."""
    return {form: sum(counts[form] for counts in table.values()) for form in CEILINGS}


def check(table=None, ceilings=None):
    """Returns a problem for each form that has become more frequent."""
    table = counts_by_crate() if table is None else table
    ceilings = CEILINGS if ceilings is None else ceilings
    problems = []
    for form, number in totals(table).items():
        if number > ceilings[form]:
            problems.append(Problem(f"crates: `{form}`", f"{number} occurrence{'s' if number != 1 else ''}", f"at most {ceilings[form]}, as before",
                                    f"{PLAIN[form]} (`tests/policy.py --report` counts by crate)"))
    return problems
