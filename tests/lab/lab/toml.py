"""Writes TOML from dicts: the part of it that a configuration needs, which Python 3.11 can only read."""

import json
from pathlib import Path


def dump(document):
    return "".join(_table(document, ()))


def _table(table, path):
    values = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if path and (values or not table):
        yield f"\n[{'.'.join(_key(part) for part in path)}]\n"
    for key, value in values.items():
        yield f"{_key(key)} = {_value(value)}\n"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _table(value, (*path, key))


def _key(key):
    return key if key.replace("-", "").replace("_", "").isalnum() else json.dumps(key)


def _value(value):
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(item)}' for key, item in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, (bool, int, str, Path)):
        return json.dumps(value if isinstance(value, (bool, int, str)) else str(value))
    raise TypeError(f"no TOML for {value!r}")
