"""Access to the repository: its root, git, cargo."""

import json
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ARCHITECTURE = "docs/architecture.md"


def run(*command, check=True, root=ROOT):
    """Returns what `command` prints when it runs in the root of the repository."""
    return subprocess.run(command, check=check, stdout=subprocess.PIPE, text=True, cwd=root).stdout


def git_grep(*arguments, root=ROOT):
    """Returns the lines of `git grep`. Status 1 means that nothing matched, which is no error."""
    done = subprocess.run(("git", "grep", *arguments), stdout=subprocess.PIPE, text=True, cwd=root)
    if done.returncode > 1:
        raise RuntimeError(f"git grep {' '.join(arguments)}: exit status {done.returncode}")
    return done.stdout.splitlines()


@cache
def workspace_packages():
    """Returns the packages of the workspace as `cargo metadata` describes them."""
    return json.loads(run("cargo", "metadata", "--format-version", "1", "--locked", "--no-deps"))["packages"]


def folder_of(package, root=ROOT):
    """Returns the folder of a package, relative to the root."""
    return Path(package["manifest_path"]).parent.relative_to(root)


def crate_packages():
    """Returns folder name -> package for the crates of the program, which are those under `crates/`."""
    crates = {}
    for package in workspace_packages():
        folder = folder_of(package)
        if folder.parts[0] == "crates":
            crates[folder.name] = package
    return crates


def imports_of(package, crates):
    """Returns the folder names of the crates that `package` imports outside of its tests."""
    folder_by_package = {other["name"]: folder for folder, other in crates.items()}
    imported = set()
    for dependency in package["dependencies"]:
        if dependency.get("path") and dependency["kind"] != "dev" and dependency["name"] in folder_by_package:
            imported.add(folder_by_package[dependency["name"]])
    return imported


def import_graph():
    """Returns crate -> the crates that it imports, for all crates of the program."""
    crates = crate_packages()
    return {name: imports_of(package, crates) for name, package in sorted(crates.items())}
