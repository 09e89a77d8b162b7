"""The runnable blocks of the book, for the cases that run them."""

import re
import textwrap
from pathlib import Path

BOOK = Path(__file__).resolve().parents[3] / "docs"


def blocks(page, heading=None):
    """Returns the `sh` blocks of a page, or of one of its sections, in order."""
    text = (BOOK / page).read_text()
    if heading is not None:
        text = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^##+ |\Z)", text, re.M | re.S)[2]
    return [textwrap.dedent(block) for block in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.M | re.S)]
