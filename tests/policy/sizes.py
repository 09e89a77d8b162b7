"""Files and functions stay short, or say why they do not.

The production part of a file is what remains without `#[cfg(test)]` items. A longer file states its reason before its
first item (`// policy: long file: REASON`), a longer function directly above itself (`// policy: long function: REASON`).
"""

from dataclasses import dataclass
from pathlib import Path

from . import modules, rust
from .problem import Problem
from .repository import ROOT, crate_packages

FILE_LINES = 400
FUNCTION_LINES = 60


@dataclass(frozen=True)
class Function:
    """A function: from the line of its `fn` to the line of its closing brace."""

    name: str
    line: int
    lines: int
    reason: str  # as stated above it; None where there is no such comment


@dataclass(frozen=True)
class Sizes:
    """What is measured of one file."""

    file: Path
    lines: int
    reason: str
    functions: tuple


def measure(file):
    """Returns the sizes of the production part of `file`."""
    source = rust.production(file)
    lines = file.read_text().splitlines()
    production = [number for number in range(1, len(lines) + 1) if number not in source.test_lines]
    while production and not lines[production[-1] - 1].strip():
        production.pop()
    reason = stated_reason("file", lines[: first_item_line(source) - 1])
    return Sizes(file, len(production), reason, tuple(functions(source, lines)))


def first_item_line(source):
    """Returns the line of the first item, which ends the head of the file."""
    index = 0
    while rust.is_attribute(source, index) and source.text(index + 1) == "!":
        index = rust.end_of_attribute(source, index)
    return source.tokens[index].line if index < len(source.tokens) else source.line_count + 1


def functions(source, lines):
    """Yields each function with a body."""
    for index, token in enumerate(source.tokens):
        if token.text != "fn" or source.tokens[index + 1].kind != "ident":
            continue
        body = index
        while source.text(body) not in ("{", ";", "}", ""):
            body = source.skip_group(body)
        if source.text(body) == "{":
            last = source.tokens[source.closing[body]].line
            reason = stated_reason("function", lines_above(lines, token.line))
            yield Function(source.text(index + 1), token.line, last - token.line + 1, reason)


def lines_above(lines, line):
    """Returns the comments and attributes directly above `line`."""
    above = []
    for text in reversed(lines[: line - 1]):
        if not text.strip().startswith(("//", "#[")):
            break
        above.append(text)
    return above


def stated_reason(what, lines):
    """Returns the reason that `lines` state for a long file or function: None without a comment, "" without words."""
    prefix = f"// policy: long {what}:"
    for line in lines:
        if line.strip().startswith(prefix.rstrip(":")):
            return line.strip().removeprefix(prefix.rstrip(":")).removeprefix(":").strip()
    return None


def check_file(sizes, root=ROOT):
    """Returns the problems of one file."""
    where = str(sizes.file.relative_to(root))
    problems = judge(where, "file", "production lines", sizes.lines, FILE_LINES, sizes.reason, "split it by subject")
    for function in sizes.functions:
        place = f"{where}:{function.line} fn {function.name}"
        problems += judge(place, "function", "lines", function.lines, FUNCTION_LINES, function.reason, "give its steps functions of their own")
    return problems


def judge(where, what, unit, lines, limit, reason, fix):
    """Returns the problem of one file or function, if there is one."""
    comment = f"`// policy: long {what}: REASON`"
    place = "before the first item" if what == "file" else "directly above it"
    if lines > limit and not reason:
        return [Problem(where, f"{lines} {unit}{' and a reason without words' if reason == '' else ''}",
                        f"at most {limit}, or a stated reason", f"{fix}, or write {comment} {place}")]
    if lines <= limit and reason is not None:
        return [Problem(where, f"a reason for a long {what} of {lines} {unit}", f"a reason only above {limit}", f"remove the comment {comment}")]
    return []


def production_files(crate):
    """Returns the production files of a crate: what the modules of its targets lead to, and build.rs."""
    files = {module.file for target in modules.read_crate(crate) for module in target.every()}
    build = crate / "build.rs"
    return sorted(files | ({build} if build.exists() else set()))


def check():
    """Returns the problems of all production files."""
    problems = []
    for name in sorted(crate_packages()):
        for file in production_files(ROOT / "crates" / name):
            problems += check_file(measure(file))
    return problems
