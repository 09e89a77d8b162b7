"""The look-ups of docs/architecture.md lead where they say: one search, one file opened.

Each row of "Where do I find …?" names a term, a file and an item. The item is defined in the file, and
`git grep -lF TERM crates/` lists the file among a handful.
"""

import re

from . import architecture, rust
from .modules import DEFINING, skip_generics
from .problem import Problem
from .repository import ARCHITECTURE, ROOT, git_grep

MOST_FILES = 5

# What the table must answer: a name for messages, and the words of which its question has one.
SUBJECTS = {
    "XCLIENT's attribute filter": r"xclient",
    "STARTTLS injection": r"starttls",
    "default destination": r"default destination",
    "request smuggling": r"smuggl",
    "421 and 401": r"421|401",
    "store outage": r"\bstore\b.*(outage|down|fail|unreachable)|outage",
    "a new SASL mechanism": r"sasl",
    "pre-auth time-out": r"pre-?auth",
    "metric names": r"metric",
    "kick": r"kick|disconnect",
}
HOW = "the table | question | search term | file | item | below the heading \"Where do I find …?\""


def check(root=ROOT):
    """Returns the problems of all look-ups."""
    rows = architecture.lookup_rows(architecture.read_page(root))
    if not rows:
        return [Problem(ARCHITECTURE, "no table of look-ups", HOW, "add it, with a row for each of: " + ", ".join(SUBJECTS))]
    problems = check_subjects(rows)
    for row in rows:
        problems += check_row(row, root)
    return problems


def check_subjects(rows):
    """Each subject has a row."""
    return [
        Problem(f"{ARCHITECTURE}: Where do I find …?", f"no question about {subject}", "a row for each of the ten subjects",
                f"add a row whose question has the words of /{words}/")
        for subject, words in SUBJECTS.items()
        if not any(re.search(words, row.question, re.IGNORECASE) for row in rows)
    ]


def check_row(row, root):
    """The file exists, defines the item, and is among the few that the search lists."""
    where = f"{ARCHITECTURE}: \"{row.question}\""
    file = root / row.file
    if not file.is_file():
        return [Problem(where, f"{row.file} is not there", "a file of the repository", "correct the path")]
    problems = []
    if file.suffix == ".rs" and not defines(file.read_text(), row.item):
        problems.append(Problem(where, f"{row.file} does not define {row.item}", "the item that answers the question", "correct the item or the file"))
    found = git_grep("-lF", "-e", row.term, "--", "crates/", root=root)
    search = f"`git grep -lF '{row.term}' crates/`"
    if row.file not in found:
        problems.append(Problem(where, f"{search} does not list {row.file}", "the file among its hits",
                                "write the term into a comment of the file, or choose another term"))
    elif len(found) > MOST_FILES:
        problems.append(Problem(where, f"{search} lists {len(found)} files", f"at most {MOST_FILES}", "choose a term that leads to fewer files"))
    return problems


def defines(text, item):
    """Says whether `text` defines `item`: a function, type, constant, macro or module; or `Type::member`."""
    names = item.removesuffix("()").removesuffix("!").split("::")
    source = rust.read(text)
    return all(name in defined_names(source) for name in names)


def defined_names(source):
    """Returns all names that `source` defines, variants of its enums and types with an `impl` included."""
    names = set()
    for index, token in enumerate(source.tokens):
        following = source.text(index + 1)
        if token.text in DEFINING or token.text == "mod":
            names.add(source.text(index + 2) if following in ("!", "mut") else following)
        if token.text == "impl":
            names.update(header_names(source, index))
        if token.text == "enum":
            names.update(variant_names(source, index))
    return names


def header_names(source, index):
    """Returns the names in the header of the `impl` at `index`."""
    index = skip_generics(source, index + 1)
    while source.text(index) not in ("{", ";", ")", ",", ""):
        yield source.text(index)
        index += 1


def variant_names(source, index):
    """Returns the names at the top of the body of the enum at `index`."""
    while source.text(index) not in ("{", ";", ""):
        index += 1
    end = source.closing.get(index, index)
    index += 1
    while index < end:
        if source.tokens[index].kind == "ident":
            yield source.text(index)
        index = source.skip_group(index)
