"""Certificate authorities and the certificates they sign, made with the openssl tool."""

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .process import run

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
DAYS = 90


class Authority:
    """One CA in a folder of its own; `ca.pem` is what clients trust."""

    def __init__(self, folder, name):
        self.folder, self.pem = Path(folder), Path(folder) / "ca.pem"
        self.folder.mkdir(parents=True, exist_ok=True)
        run("openssl", "req", "-x509", *EC, "-keyout", self.folder / "ca.key", "-out", self.pem, "-days", DAYS,
            "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, stem, names, addresses=(), days=DAYS):
        """A leaf for these names and addresses; `days` below zero: it ended so long ago. Replaces a pair of the same stem,
        each file in one step."""
        request, extensions = self.folder / f"{stem}.req", self.folder / f"{stem}.ext"
        new_key, new_leaf = self.folder / f"{stem}.key.new", self.folder / f"{stem}.pem.new"
        run("openssl", "req", "-new", *EC, "-keyout", new_key, "-out", request, "-subj", f"/CN={names[0]}")
        alternatives = [f"DNS:{name}" for name in names] + [f"IP:{ip}" for ip in addresses]
        extensions.write_text(f"subjectAltName={','.join(alternatives)}\n"
                              "basicConstraints=critical,CA:false\nextendedKeyUsage=serverAuth\n")
        if days < 0:
            self._sign_in_the_past(request, extensions, new_leaf, days)
        else:
            run("openssl", "x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.folder / "ca.key",
                "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", new_leaf)
        pair = Pair(self.folder / f"{stem}.pem", self.folder / f"{stem}.key", self.pem)
        new_leaf.write_text(new_leaf.read_text() + self.pem.read_text())
        new_key.rename(pair.key)
        new_leaf.rename(pair.cert)
        return pair

    def _sign_in_the_past(self, request, extensions, leaf, days):
        """`openssl x509` knows days from now alone, and would let a leaf end before it begins."""
        index, settings = self.folder / "index", self.folder / "ca.cnf"
        index.touch()
        settings.write_text(f"[ca]\ndefault_ca=here\n[here]\ndatabase={index}\nnew_certs_dir={self.folder}\ndefault_md=sha256\n"
                            "rand_serial=yes\nunique_subject=no\npolicy=names\n[names]\ncommonName=supplied\n")
        begin, end = (datetime.now(UTC) + timedelta(days=count) for count in (days - DAYS, days))
        run("openssl", "ca", "-batch", "-notext", "-config", settings, "-in", request, "-cert", self.pem, "-keyfile",
            self.folder / "ca.key", "-startdate", f"{begin:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}",
            "-extfile", extensions, "-out", leaf)


class Pair:
    """A chain, its key, and the CA to trust it by."""

    def __init__(self, cert, key, ca):
        self.cert, self.key, self.ca = cert, key, ca

    def fingerprint(self):
        """SHA-256 of the leaf as it is on disk now, in hex."""
        return fingerprint(ssl.PEM_cert_to_DER_cert(self.cert.read_text().split("-----END CERTIFICATE-----")[0]
                                                    + "-----END CERTIFICATE-----\n"))


def fingerprint(der):
    return hashlib.sha256(der).hexdigest()


def trusting(ca):
    """A client's context that trusts this CA alone."""
    return ssl.create_default_context(cafile=ca)
