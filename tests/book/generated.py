"""Writes the pages that are made from the program: every command's help, and the calls of the management API.

`docs/configuration.md` is made by the program itself and compared by a test of the crate `config`.
"""

import json
import os
import subprocess

from policy.problem import Problem

from .pages import BOOK, ROOT

DESCRIPTION = "crates/admin/src/openapi.json"
COMMANDS_HEAD = """# Command reference

This page has the help of every command, as `pointsman COMMAND --help` prints it. [Command line](cli.md) explains how to use the commands.
This page is generated: run `python3 tests/book.py --write`.
"""
API_HEAD = """# API reference

This page lists every call of the management API. [Management API](management.md) explains how to set it up and how to use it. The same
description for programs is at `/openapi.json`. Every path is also available under `/api/v1`.
This page is generated: run `python3 tests/book.py --write`.
"""


def contents(pointsman, root=ROOT):
    """Returns page name -> text."""
    return {"commands.md": commands(pointsman), "api.md": api(json.loads((root / DESCRIPTION).read_text()))}


def check(pointsman, root=ROOT):
    """Returns the pages that are not what would be generated now."""
    fix = "python3 tests/book.py --write"
    return [Problem(f"{BOOK}/{name}", "a page that is out of date", "what the program prints now", fix)
            for name, text in contents(pointsman, root).items() if not _has(root / BOOK / name, text)]


def write(pointsman, root=ROOT):
    """Writes the pages."""
    for name, text in contents(pointsman, root).items():
        (root / BOOK / name).write_text(text)


def _has(page, text):
    return page.is_file() and page.read_text() == text


# Commands.


def commands(pointsman):
    """Returns the page with the help of every command."""
    sections = [COMMANDS_HEAD]
    for words in [()] + subcommands(pointsman, ()):
        sections.append(f"\n## {' '.join(('pointsman', *words))}\n\n```text\n{help_of(pointsman, words)}```\n")
    return "".join(sections)


def subcommands(pointsman, words):
    """Returns the words of every command below `words`, each after the command that it belongs to."""
    found, is_listed = [], False
    for line in help_of(pointsman, words).splitlines():
        if line == "Commands:":
            is_listed = True
        elif is_listed and not line:
            break
        elif is_listed and line.startswith("  ") and line[2] != " ":
            name = line.split()[0]
            if name != "help":
                found += [(*words, name), *subcommands(pointsman, (*words, name))]
    return found


def help_of(pointsman, words):
    """Returns the help of a command."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run([pointsman, *words, "--help"], check=True, capture_output=True, text=True, timeout=60, env=environment)
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.rstrip().splitlines())


# The management API.


def api(description):
    """Returns the page of all calls and their documents."""
    lines = [API_HEAD]
    for path, methods in description["paths"].items():
        for method, call in methods.items():
            lines += _call(description, method.upper(), path, call)
    lines.append("\n# Documents\n")
    for name, schema in description["components"]["schemas"].items():
        lines += [f"\n## {name}\n\n", *([f"{_cell(schema['description'])}\n\n"] if "description" in schema else []), *_members(schema)]
    return "".join(lines)


def _call(description, method, path, call):
    yield f"\n## {method} {path}\n\n{call['summary']}.\n"
    if "description" in call:
        yield f"\n{_cell(call['description'])}\n"
    parameters = [_resolved(description, one) for one in call.get("parameters", [])]
    if parameters:
        yield "\n| parameter | in | type | meaning |\n|---|---|---|---|\n"
        for one in parameters:
            required = ", required" if one.get("required") and one["in"] != "path" else ""
            yield f"| `{one['name']}` | {one['in']}{required} | {_type(one['schema'])} | {_cell(one.get('description', one['schema'].get('description', '')))} |\n"
    if "requestBody" in call:
        kinds = ", ".join(f"`{kind}`: {_type(body.get('schema', {}))}" for kind, body in _resolved(description, call["requestBody"])["content"].items())
        yield f"\nBody: {kinds}.\n"
    yield "\n| status | response |\n|---|---|\n"
    for status, response in call["responses"].items():
        response = _resolved(description, response)
        kinds = ", ".join(dict.fromkeys(_type(body.get("schema", {})) for body in response.get("content", {}).values()))
        yield f"| {status} | {_cell(response['description'])}{f' ({kinds})' if kinds else ''} |\n"


def _members(schema):
    if "properties" not in schema:
        yield f"{_type(schema)}\n"
        return
    yield "| member | type | meaning |\n|---|---|---|\n"
    for name, member in schema["properties"].items():
        optional = "" if name in schema.get("required", []) else ", optional"
        yield f"| `{name}` | {_type(member)}{optional} | {_cell(member.get('description', ''))} |\n"


def _resolved(description, item):
    while "$ref" in item:
        target = description
        for part in item["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        item = target
    return item


def _type(schema):
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[key]))
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else kind


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|")
