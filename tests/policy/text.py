"""What a search for a string finds: `unsafe` outside of `bridge`, paths of the machine on which a file was written."""

from .problem import Problem
from .repository import ROOT, git_grep


def check(root=ROOT):
    """Returns the problems of all committed text."""
    return check_unsafe(root) + check_paths(root)


def check_unsafe(root):
    """`unsafe` is for the crate `bridge`."""
    found = git_grep("-nE", r"\bunsafe\s*(\{|fn|impl)", "--", "crates/*.rs", ":!crates/bridge", root=root)
    return [Problem(place(line), "unsafe code", "unsafe code in crates/bridge only", "write it without unsafe, or move it into bridge") for line in found]


def check_paths(root):
    """Nothing names a folder of the machine of who wrote it."""
    # Brackets, so that this line does not find itself.
    found = git_grep("-nIE", r"(^|[^A-Za-z0-9_.>}-])/(work|root)[/]", root=root)
    return [Problem(place(line), "an absolute path of somebody's machine", "paths relative to the repository, or of the documented installation",
                    "write the path from the root of the repository") for line in found]


def place(line):
    """Returns FILE:LINE of a line of `git grep -n`."""
    return ":".join(line.split(":")[:2])
