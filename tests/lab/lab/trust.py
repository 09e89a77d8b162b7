"""The sections of `resources/dovecot-postfix-trust.conf`, as an operator copies them."""

import re
from pathlib import Path

FILE = Path(__file__).resolve().parents[3] / "resources/dovecot-postfix-trust.conf"
# The address of the proxy in the file.
PROXY = "192.0.2.10"


def sections():
    """Title -> text, for each line `# ==== TITLE ====`."""
    pieces = re.split(r"^# ==== (.*) ====$", FILE.read_text(), flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2]))


def section(*words, proxy):
    """The one section with these words in its title, for a proxy at this address."""
    found = [text for title, text in sections().items() if all(word in title for word in words)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} sections of {FILE} match {words}")
    return found[0].replace(PROXY, proxy)
