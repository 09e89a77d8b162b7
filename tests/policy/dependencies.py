"""Licences of what is built, and crates that stay out."""

import re

from .problem import Problem
from .repository import run

PERMISSIVE = {"MIT", "Apache-2.0", "ISC", "BSD-3-Clause", "BSD-2-Clause", "0BSD", "Zlib", "Unlicense", "CC0-1.0",
              "Unicode-3.0", "MIT-0", "BSL-1.0", "CDLA-Permissive-2.0", "Apache-2.0 WITH LLVM-exception", "OpenSSL"}
BANNED = {"ring": "one crypto library: aws-lc-rs", "openssl": "rustls only", "openssl-sys": "rustls only",
          "native-tls": "rustls only"}


def built_packages():
    """Returns (name, licence) of each package that any target of the workspace builds."""
    lines = run("cargo", "tree", "--workspace", "--locked", "--target", "all", "-e", "normal,build,dev", "--prefix", "none",
                "--no-dedupe", "--format", "{p}|{l}").splitlines()
    return {(line.split()[0], line.rpartition("|")[2]) for line in lines if line.strip()}


def check(built=None):
    """Returns the problems of the packages that are built."""
    problems = []
    for name, licence in sorted(built_packages() if built is None else built):
        if name in BANNED:
            problems.append(Problem(f"package {name}", "it is built", f"not to be built: {BANNED[name]}",
                                    f"see who imports it (cargo tree -i {name}) and turn that feature off"))
        if not allowed(licence or "none"):
            problems.append(Problem(f"package {name}", f"licence {licence or 'none'}", "a choice of permissive licences",
                                    "use another crate; a permissive licence that is missing belongs into PERMISSIVE in tests/policy/dependencies.py"))
    return problems


def allowed(expression):
    """Says whether an SPDX expression leaves a choice that is permissive."""
    def satisfied(part):
        part = part.strip(" ()")
        return all(one.strip(" ()") in PERMISSIVE for one in part.split(" AND "))
    expression = expression.replace("/", " OR ")
    return any(satisfied(part) for part in re.split(r" OR (?![^(]*\))", expression)) or all(
        any(satisfied(one) for one in part.strip(" ()").split(" OR ")) for part in expression.split(" AND "))
