"""The differences between the recorded versions of Stalwart. Every value is quoted from `tests/lab/recordings`."""

from collections.abc import Callable
from dataclasses import dataclass

from .. import tokens


@dataclass(frozen=True)
class Version:
    number: str
    # IMAP capabilities before and after login.
    imap_before: str
    imap_after: str
    uid_validity: int
    # Returns the access token that this version issues to an account.
    token: Callable[[str], str]
    # `Connection: upgrade` starts a WebSocket; 0.15.5 requires the capital U.
    accepts_lower_case_upgrade: bool
    bearer_challenge: str
    # An unknown path is redirected to the web interface; 0.15.5 responds with 404.
    redirects_unknown_paths: bool
    # The port that the OAuth metadata name, with its colon, and the path of the login page.
    issuer_port: str
    authorization_path: str
    # Fields of that response by which pages of other origins may read it.
    cross_origin_fields: tuple[tuple[str, str], ...]

    def __str__(self):
        return self.number


_BEFORE = "IMAP4rev2 IMAP4rev1 ENABLE SASL-IR LITERAL+ ID UTF8=ACCEPT"
_MECHANISMS = "AUTH=PLAIN AUTH=OAUTHBEARER AUTH=XOAUTH2"
_AFTER = (f"{_BEFORE} JMAPACCESS IDLE NAMESPACE CHILDREN MULTIAPPEND BINARY UNSELECT ACL UIDPLUS ESEARCH WITHIN SEARCHRES SORT"
          " THREAD=REFERENCES LIST-EXTENDED LIST-STATUS ESORT SORT=DISPLAY SPECIAL-USE CREATE-SPECIAL-USE MOVE CONDSTORE QRESYNC"
          " UNAUTHENTICATE STATUS=SIZE")

V0_15_5 = Version(
    number="0.15.5",
    imap_before=f"{_BEFORE} JMAPACCESS {_MECHANISMS}",
    imap_after=f"{_AFTER} OBJECTID PREVIEW QUOTA QUOTA=RES-STORAGE",
    uid_validity=3438792218,
    token=tokens.sealed,
    accepts_lower_case_upgrade=False,
    bearer_challenge='Bearer realm="Stalwart Server"',
    redirects_unknown_paths=False,
    issuer_port=":2443",
    authorization_path="/authorize/code",
    cross_origin_fields=(),
)
V0_16_16 = Version(
    number="0.16.16",
    imap_before=f"{_BEFORE} {_MECHANISMS}",
    imap_after=f"{_AFTER} OBJECTID+ PREVIEW RIGHTS=texk QUOTA QUOTA=RES-STORAGE",
    uid_validity=2792080810,
    token=tokens.footed,
    accepts_lower_case_upgrade=True,
    bearer_challenge='Bearer realm="Stalwart Server", resource_metadata="/.well-known/oauth-protected-resource"',
    redirects_unknown_paths=True,
    issuer_port="",
    authorization_path="/login",
    cross_origin_fields=(
        ("access-control-allow-origin", "*"),
        ("access-control-allow-headers", "Authorization, Content-Type, Accept, X-Requested-With"),
        ("access-control-allow-methods", "POST, GET, PATCH, PUT, DELETE, HEAD, OPTIONS"),
    ),
)
VERSIONS = (V0_15_5, V0_16_16)
