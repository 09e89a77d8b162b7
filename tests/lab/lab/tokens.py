"""Every access token that the identity provider knows, in the shapes that clients really send."""

import base64
import hashlib
import json
from dataclasses import dataclass

from .layout import ACCOUNTS


@dataclass(frozen=True)
class Token:
    account: str
    is_active: bool


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def b64url(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else data.encode()).decode().rstrip("=")


def opaque(account):
    """Says nothing of its owner."""
    return f"token-{_name(account)}"


def sealed(account):
    """92 characters of base64 that say nothing: what Stalwart up to 0.15 issues."""
    return b64(hashlib.sha512(account.encode()).digest() + b"seal.")


def expired(account):
    """Known, and no longer good."""
    return f"expired-{_name(account)}"


def footed(account):
    """Carries its account in a footer: `sw1.BODY.FOOTER`."""
    return f"sw1.{b64url('body-of-' + _name(account))}.{b64url(account)}"


def jwt(account):
    """Has the claims of a JWT; nobody verifies its signature."""
    header = b64url(json.dumps({"alg": "HS256", "typ": "JWT"}))
    claims = b64url(json.dumps({"sub": _name(account), "email": account}))
    return f"{header}.{claims}.{b64url('signature-of-' + _name(account))}"


def long(account):
    """5 KiB. (Dovecot takes no SASL response of more than 8 KiB.)"""
    return f"sw1.{b64url(b'L' * 3900 + account.encode())}.{b64url(account)}"


def _name(account):
    return account.split("@")[0]


KNOWN = {shape(account): Token(account, shape is not expired)
         for account in ACCOUNTS for shape in (opaque, sealed, expired, footed, jwt, long)}
