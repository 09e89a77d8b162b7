"""The client's side of the SASL mechanisms: an object that answers challenges, one each."""

import base64
import hashlib
import hmac
import secrets

# What a response is when there is none to begin with.
NOTHING = None


def encode(data):
    return base64.b64encode(data).decode()


class Steps:
    """Fixed responses, in their order, whatever the challenges are."""

    def __init__(self, name, first, *rest):
        self.name, self.first, self.rest = name, first, list(rest)

    def answer(self, _challenge):
        return self.rest.pop(0)


def plain(user, password, authzid=""):
    return Steps("PLAIN", b"\0".join([authzid.encode(), user.encode(), password]))


def login(user, password):
    return Steps("LOGIN", NOTHING, user.encode(), password)


def login_with_name(user, password):
    """LOGIN whose user name goes with the command, where that is asked for."""
    return Steps("LOGIN", user.encode(), password)


def xoauth2(user, token):
    # The empty answer follows the challenge that reports an error.
    return Steps("XOAUTH2", f"user={user}\x01auth=Bearer {token}\x01\x01".encode(), b"")


def oauthbearer(user, token):
    quoted = user.replace("=", "=3D").replace(",", "=2C")
    named = f"a={quoted}" if user else ""
    return Steps("OAUTHBEARER", f"n,{named},\x01auth=Bearer {token}\x01\x01".encode(), b"\x01")


class Scram:
    """RFC 5802, which checks the server's signature too: nobody in between can have answered for it."""

    name = digest = None

    def __init__(self, user, password):
        self.password, self.nonce, self.signature = password, secrets.token_hex(12), None
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"
        self.first = f"n,,{self.bare}".encode()

    def answer(self, challenge):
        if self.signature is None:
            return self._prove(challenge.decode())
        assert challenge == b"v=" + self.signature, f"not the server's signature: {challenge}"
        return b""

    def _prove(self, server_first):
        fields = dict(item.split("=", 1) for item in server_first.split(","))
        assert fields["r"].startswith(self.nonce), "not an answer to our nonce"
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        key, final = self._mac(salted, b"Client Key"), f"c=biws,r={fields['r']}"
        message = f"{self.bare},{server_first},{final}".encode()
        mask = self._mac(hashlib.new(self.digest, key).digest(), message)
        self.signature = base64.b64encode(self._mac(self._mac(salted, b"Server Key"), message))
        return f"{final},p={encode(bytes(a ^ b for a, b in zip(key, mask)))}".encode()

    def _mac(self, key, text):
        return hmac.new(key, text, self.digest).digest()


class ScramSha1(Scram):
    name, digest = "SCRAM-SHA-1", "sha1"


class ScramSha256(Scram):
    """RFC 7677."""

    name, digest = "SCRAM-SHA-256", "sha256"
