"""The manifests of the crates answer to the table of crates in docs/architecture.md, and no arrow goes upwards.

The compiler refuses an import that the manifest does not have; this refuses a manifest that the table does not have.
A crate has one name: its folder, its package (the program's own, without a library, apart) and its imports agree.
"""

import re
import tomllib

from . import architecture
from .cycles import components
from .problem import Problem
from .repository import ARCHITECTURE, ROOT, crate_packages, import_graph, workspace_packages

PICTURE = "docs/crates.svg"


def check():
    """Returns the problems of all manifests."""
    rows = architecture.crate_rows(architecture.read_page())
    graph = import_graph()
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    picture = ROOT / PICTURE
    return (
        check_table(rows, graph)
        + check_names(crate_packages(), workspace.get("dependencies", {}))
        + check_renames(workspace_packages(), workspace.get("dependencies", {}))
        + check_arrows(graph)
        + (check_floors(graph, floors_of(picture.read_text())) if picture.exists() else [])
    )


def check_table(rows, graph):
    """Holds the imports of each crate against its row."""
    if not rows:
        return [Problem(ARCHITECTURE, "no table of crates", "rows | `name` | contents | imports | below the heading \"Crates\"", "add the table")]
    table = {row.name: row.imports for row in rows}
    problems = []
    for name, imports in sorted(graph.items()):
        if name not in table:
            problems.append(Problem(f"crates/{name}", f"no row in {ARCHITECTURE}", "a row for each crate",
                                    f"add | `{name}` | contents | imports |"))
            continue
        for extra in sorted(imports - table[name]):
            problems.append(Problem(f"crates/{name}/Cargo.toml", f"imports {extra}", f"the imports of its row in {ARCHITECTURE}: {listed(table[name])}",
                                    f"remove the import, or argue for the arrow and add {extra} to the row"))
        for unused in sorted(table[name] - imports):
            known = "which the manifest does not have" if unused in graph else "which is no crate"
            problems.append(Problem(f"{ARCHITECTURE}: `{name}`", f"the import {unused}, {known}",
                                    f"the imports of crates/{name}/Cargo.toml: {listed(imports)}",
                                    f"remove {unused} from the row"))
    for name in sorted(table.keys() - graph.keys()):
        problems.append(Problem(f"{ARCHITECTURE}: `{name}`", "a row without a crate", f"a crate in crates/{name}", "remove the row, or correct its name"))
    return problems


def listed(names):
    return ", ".join(sorted(names)) or "none"


def check_names(crates, dependencies):
    """Holds the name of each package against its folder and its key in the workspace table."""
    problems = []
    for folder, package in sorted(crates.items()):
        libraries = [target for target in package["targets"] if {"lib", "proc-macro"} & set(target["kind"])]
        where = f"crates/{folder}/Cargo.toml"
        if libraries and package["name"] != folder:
            problems.append(Problem(where, f"the package is called {package['name']}", f"the name of its folder, {folder}", f'write name = "{folder}"'))
        for target in libraries:
            expected = package["name"].replace("-", "_")
            if target["name"] != expected:
                problems.append(Problem(where, f"the library is called {target['name']}", f"the name of its package, {expected}", "remove `name` from [lib]"))
    for key, value in sorted(dependencies.items()):
        if isinstance(value, dict) and "path" in value and "package" in value:
            problems.append(Problem(f"Cargo.toml: {key}", f'package = "{value["package"]}"', "the package's own name as the key",
                                    f'call the package {key} in its manifest, and remove `package` here'))
    return problems


def check_renames(packages, dependencies):
    """No manifest imports a crate of ours by another name. Renames of the workspace table are reported there."""
    problems = set()
    for package in packages:
        for dependency in package["dependencies"]:
            name, rename = dependency["name"], dependency["rename"]
            if dependency.get("path") and rename and rename not in dependencies:
                problems.add(Problem(f"package {package['name']}", f"imports {name} as {rename}", "imports by the package's own name",
                                     f"give package and folder the name {rename}, or import {name}"))
    return sorted(problems)


def check_arrows(graph):
    """No crate imports itself through others."""
    return [
        Problem("crates", f"{', '.join(component)} import each other", "no cycle between crates", "move what they share into a crate below them")
        for component in components(graph)
    ]


def floors_of(picture):
    """Returns crate -> floor, as drawn."""
    return {name: int(floor) for name, floor in re.findall(r'data-crate="([^"]+)" data-floor="(\d+)"', picture)}


def check_floors(graph, floors):
    """In the picture, each crate stands above all that it imports."""
    problems = []
    for name, imports in sorted(graph.items()):
        for other in sorted(imports):
            if name in floors and other in floors and floors[name] <= floors[other]:
                problems.append(Problem(f"{PICTURE}: {name}", f"floor {floors[name]}", f"a floor above {other}, which it imports ({floors[other]})",
                                        "draw it again: python3 tests/draw_crates.py"))
    return problems
