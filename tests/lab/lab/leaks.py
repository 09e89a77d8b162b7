"""Looks for secrets in text, in every form in which a log could have them."""

import base64
import urllib.parse


def forms(secret):
    """What to look for, as (name, bytes). Short secrets are looked for in their longer forms alone."""
    escaped = secret.decode("latin-1").encode("unicode_escape")
    found = {
        "as it is": secret,
        "hex": secret.hex().encode(),
        "a list of numbers": ", ".join(str(byte) for byte in secret).encode(),
        "percent-encoded": urllib.parse.quote_from_bytes(secret).encode(),
        "escaped": escaped,
        "escaped and quoted": escaped.replace(b'"', b'\\"'),
    }
    for offset in range(3):
        # Base64 of anything that holds it: the groups of four that come from its bytes alone.
        encoded = base64.b64encode(b"\0" * offset + secret)
        start, end = (0, 4, 4)[offset], len(encoded) - 4
        found[f"base64 at offset {offset}"] = encoded[start:end]
        found[f"base64url at offset {offset}"] = encoded[start:end].translate(bytes.maketrans(b"+/", b"-_"))
    return [(name, form) for name, form in found.items() if len(form) >= 8]


def find(secrets, text):
    """(secret, form, line) of each that is in it."""
    found = []
    for secret in sorted(secrets):
        for name, form in forms(secret):
            if (at := text.find(form)) >= 0:
                begin, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
                found.append((secret, name, text[begin:end if end >= 0 else None]))
    return found
