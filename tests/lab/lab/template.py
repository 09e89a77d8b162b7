"""Configuration files from templates: `@name@` is replaced, and a name without a value is a mistake."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "templates"


def fill(name, /, **values):
    text = (FOLDER / name).read_text()
    return re.sub(r"@(\w+)@", lambda match: str(values[match[1]]), text)
