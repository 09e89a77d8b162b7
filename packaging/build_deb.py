#!/usr/bin/env python3
"""Builds the Debian package of a pointsman binary: `build_deb.py BINARY FOLDER` writes FOLDER/pointsman_VERSION_ARCH.deb.

The same binary and the same SOURCE_DATE_EPOCH give the same bytes.
"""

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# As Debian's own tools do, so that whoever distributes the package can name themselves.
MAINTAINER = f"{os.environ.get('DEBFULLNAME', 'The Pointsman developers')} <{os.environ.get('DEBEMAIL', 'pointsman@localhost')}>"
SUMMARY = "mail proxy for moving accounts between servers"
DESCRIPTION = """\
 Pointsman listens in front of an old and a new mail server. It reads from
 each login which account the connection belongs to, looks up which server
 holds that account, replays the login there and passes the bytes. Accounts
 move one by one, and no client changes a setting, a password or a host name.
 .
 IMAP, POP3, ManageSieve, submission, SMTP, LMTP and HTTP (JMAP, WebDAV).
"""
# The programs that maintainer scripts run; the libraries are found in the binary.
DEPENDS = ["adduser", "init-system-helpers (>= 1.52)"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", help="default: the workspace's, and the revision 1")
    parser.add_argument("--compression", choices=["xz", "gzip"], default="xz", help="gzip: larger and made sooner, for tests")
    options = parser.parse_args()
    version = options.version or f"{workspace_version()}-1"
    architecture = output("dpkg", "--print-architecture")
    options.folder.mkdir(parents=True, exist_ok=True)
    package = options.folder / f"pointsman_{version}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        lay_out(tree, options.binary.resolve(), version)
        write(tree / "DEBIAN/control", control(tree, version, architecture).encode())
        stamp(tree)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch())}
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", f"-Z{options.compression}", tree, package], check=True, env=environment,
                       stdout=subprocess.DEVNULL)
    print(package)


def workspace_version():
    return re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def epoch():
    """The time that every file has: SOURCE_DATE_EPOCH, else the last commit's."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "-C", ROOT, "log", "-1", "--format=%ct"))


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def lay_out(tree, binary, version):
    """Every file of the package but the control file."""
    write(tree / "usr/bin/pointsman", binary.read_bytes(), 0o755)
    subprocess.run(["strip", "--strip-unneeded", "--remove-section=.comment", "--remove-section=.note", tree / "usr/bin/pointsman"],
                   check=True)
    write(tree / "lib/systemd/system/pointsman.service", source("debian/pointsman.service"))
    write(tree / "etc/default/pointsman", source("debian/default"))
    for folder in ("etc/pointsman", "var/lib/pointsman"):
        (tree / folder).mkdir(parents=True)
    for script in ("postinst", "prerm", "postrm"):
        write(tree / "DEBIAN" / script, source(f"debian/{script}"), 0o755)
    write(tree / "DEBIAN/conffiles", b"/etc/default/pointsman\n")
    write(tree / "usr/share/lintian/overrides/pointsman", source("debian/lintian-overrides"))
    generated(tree, binary)
    documents(tree / "usr/share/doc/pointsman", version)


def generated(tree, binary):
    """Manual pages and completions, which the program prints from the definitions of its arguments."""
    with tempfile.TemporaryDirectory() as pages:
        subprocess.run([binary, "man", "--out", pages], check=True)
        for page in sorted(Path(pages).iterdir()):
            write(tree / "usr/share/man/man1" / f"{page.name}.gz", compressed(page.read_bytes()))
    for shell, path in {"bash": "bash-completion/completions/pointsman", "zsh": "zsh/vendor-completions/_pointsman",
                        "fish": "fish/vendor_completions.d/pointsman.fish"}.items():
        write(tree / "usr/share" / path, subprocess.run([binary, "completions", shell], check=True, capture_output=True).stdout)


def documents(folder, version):
    date = formatdate(epoch())
    entry = f"pointsman ({version}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- {MAINTAINER}  {date}\n"
    write(folder / "changelog.Debian.gz", compressed(entry.encode()))
    write(folder / "changelog.gz", compressed((ROOT / "CHANGELOG.md").read_bytes()))
    mit = "".join(f" {line}".rstrip() + "\n" if line.strip() else " .\n" for line in (ROOT / "LICENSE-MIT").read_text().splitlines())
    write(folder / "copyright", source("debian/copyright") + mit.encode())
    for name in ("resources", "contrib"):
        for path in sorted((ROOT / name).rglob("*")):
            if path.is_file():
                write(folder / "examples" / path.relative_to(ROOT / name), path.read_bytes())


def control(tree, version, architecture):
    size = sum(-(-path.stat().st_size // 1024) for path in tree.rglob("*") if path.is_file())
    depends = ", ".join([*libraries(tree / "usr/bin/pointsman"), *DEPENDS])
    return (f"Package: pointsman\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {MAINTAINER}\n"
            f"Installed-Size: {size}\nDepends: {depends}\nSection: mail\nPriority: optional\n"
            f"Description: {SUMMARY}\n{DESCRIPTION}")


def libraries(binary):
    """The packages of the libraries that the binary is linked with; none if it is static."""
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch) / "debian/control", b"Source: pointsman\n\nPackage: pointsman\nArchitecture: any\n")
        found = subprocess.run(["dpkg-shlibdeps", "-O", "-e", binary], cwd=scratch, capture_output=True, text=True)
    if found.returncode:
        sys.exit(f"dpkg-shlibdeps: {found.stderr}")
    depends = found.stdout.strip().removeprefix("shlibs:Depends=")
    return depends.split(", ") if depends else []


def source(name):
    return (HERE / name).read_bytes()


def compressed(data):
    return gzip.compress(data, 9, mtime=0)


def write(path, data, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def stamp(tree):
    """Gives all files one time and all folders one mode, whatever umask built them."""
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (epoch(), epoch()))


if __name__ == "__main__":
    os.umask(0o022)
    main()
