"""The Debian package in a Debian of its own: installed, started, upgraded with a session open, removed, purged.

systemd does not run in a chroot: the test starts what the unit says, with the unit's user and capabilities, and is the
service manager. What only systemd does (the sandbox's system calls and mounts) is examined by systemd-analyze instead.
"""

import os
import re
import shutil
import stat
import unittest
from dataclasses import replace
from pathlib import Path

from lab.layout import ACCOUNTS, address
from lab.process import Daemon, run
from lab.service_manager import Notified
from lab.waiting import until

from . import base
from .base import Case, new_proxy

ROOT = Path(__file__).resolve().parents[3]
UNIT = ROOT / "packaging/debian/pointsman.service"
CHROOT = ROOT / "target/lab-chroot.tar"
ALICE = address("alice")


def debian():
    """The archive of a small Debian with what the package depends on; made once."""
    if not CHROOT.exists():
        beside = CHROOT.with_suffix(".new.tar")
        run("mmdebstrap", "--variant=minbase", "--include=adduser,init-system-helpers,libgcc-s1", "bookworm", beside)
        beside.rename(CHROOT)
    return CHROOT


def unit_values():
    """The unit's settings; of those that it has several times, the last."""
    return dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match(r"[A-Za-z]+=", line))


class Unit(Case):
    needs_proxy = False

    def test_the_sandbox_is_tight(self):
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", UNIT, check=False)
        level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
        self.assertIsNotNone(level, done.stdout + done.stderr)
        print(f"    (exposure level {level[1]})")
        self.assertLessEqual(float(level[1]), 2.0)
        self.assertEqual(done.returncode, 0)


class Package(Case):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("a chroot needs root")
        cls.folder = base.LAB.dir / "package"
        cls.first, cls.second = (cls.build(version) for version in ("0.1.0-1", "0.1.0-2"))

    @classmethod
    def build(cls, version):
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        return run(ROOT / "packaging/build_deb.py", "--version", version, "--compression", "gzip", base.BINARY, cls.folder, env=environment).stdout.strip()

    def setUp(self):
        super().setUp()
        self.root = self.folder / self._testMethodName
        self.root.mkdir()
        run("tar", "-C", self.root, "-xf", debian())
        self.addCleanup(shutil.rmtree, self.root)

    def inside(self, *command, **how):
        return run("chroot", self.root, *command, **how)

    def dpkg(self, *arguments):
        return self.inside("dpkg", *arguments).stdout

    def install(self, package):
        shutil.copy(package, self.root / "pointsman.deb")
        return self.dpkg("--install", "/pointsman.deb")

    def path(self, name):
        return self.root / name.lstrip("/")

    def assert_mode(self, name, owner, mode):
        found = self.path(name).stat()
        names = self.inside("stat", "--format=%U:%G", name).stdout.strip()
        self.assertEqual((names, oct(stat.S_IMODE(found.st_mode))), (owner, oct(mode)), name)

    def configure(self, proxy):
        """The laboratory's configuration, as an administrator would put it there. The files that it names keep their paths."""
        shutil.copy(proxy.config_path, self.path("/etc/pointsman/config.toml"))
        self.inside("chown", "root:pointsman", "/etc/pointsman/config.toml")
        for name in set(re.findall(rf'"({re.escape(str(self.lab.dir))}[^"]+)"', proxy.config_path.read_text())):
            if Path(name).is_file():
                self.path(name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(name, self.path(name))
                self.inside("chown", "pointsman:pointsman", name)

    def start(self, proxy, notified):
        """As the unit says."""
        unit = unit_values()
        capability = unit["AmbientCapabilities"].removeprefix("CAP_").lower()
        self.assertEqual(unit["CapabilityBoundingSet"], unit["AmbientCapabilities"])
        privileges = [f"--reuid={unit['User']}", f"--regid={unit['Group']}", "--clear-groups", "--no-new-privs",
                      *(f"--{kind}=-all,+{capability}" for kind in ("inh-caps", "ambient-caps", "bounding-set"))]
        environment = {"NOTIFY_SOCKET": notified.address, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        seen = len(notified.having("READY"))
        with open(proxy.log_path, "ab") as log:
            proxy.daemon = Daemon("/usr/sbin/chroot", self.root, "setpriv", *privileges, *unit["ExecStart"].split(), out=log, env=environment)
        until(lambda: proxy.daemon.has_ended() or len(notified.having("READY")) > seen, lambda: proxy.tail())
        self.assertFalse(proxy.daemon.has_ended(), proxy.tail())

    def test_the_life_of_an_installation(self):
        # Installed.
        self.install(self.first)
        self.assert_mode("/etc/pointsman", "root:pointsman", 0o750)
        self.assert_mode("/var/lib/pointsman", "pointsman:pointsman", 0o700)
        self.assert_mode("/usr/bin/pointsman", "root:root", 0o755)
        self.assert_mode("/etc/default/pointsman", "root:root", 0o644)
        enabled = self.path("/etc/systemd/system/multi-user.target.wants/pointsman.service")
        self.assertTrue(enabled.is_symlink())
        self.assertIn("pointsman 0.1.0", self.inside("pointsman", "--version").stdout)
        for name in ("man/man1/pointsman.1.gz", "man/man1/pointsman-map-set.1.gz", "bash-completion/completions/pointsman",
                     "zsh/vendor-completions/_pointsman", "fish/vendor_completions.d/pointsman.fish"):
            self.assertIn(f"/usr/share/{name}\n", self.dpkg("--listfiles", "pointsman"))

        # Started, with a port that needs the capability.
        def change(document):
            document["server"]["state_dir"] = "/var/lib/pointsman"
            document["listener"]["imap-implicit"]["bind"].append(f"{self.lab.block.host(70)}:993")
        proxy = new_proxy("package", 70, change)
        self.configure(proxy)
        notified = Notified("@pointsman-package-" + self.lab.dir.name)
        self.addCleanup(notified.close)
        self.addCleanup(proxy.stop)
        self.start(proxy, notified)
        session = self.dial(proxy=proxy)
        self.assert_ok(session.login(ALICE, ACCOUNTS[ALICE]))
        low = self.dial_endpoint(replace(proxy.endpoint(), port=993))
        self.assert_ok(low.login(ALICE, ACCOUNTS[ALICE]))

        # Upgraded with sessions open, and with a changed conffile.
        default = self.path("/etc/default/pointsman")
        default.write_text(default.read_text() + "RUST_LOG=warn\n")
        said = self.install(self.second)
        self.assertIn("goes on with version 0.1.0-1 until: systemctl restart pointsman", said)
        self.assertTrue(default.read_text().endswith("RUST_LOG=warn\n"))
        self.assertFalse(proxy.daemon.has_ended())
        self.assert_at(session, "old")
        self.assert_at(low, "old")
        self.assertIn("0.1.0-2", self.dpkg("--status", "pointsman"))
        self.assertEqual(proxy.stop(), 0)
        self.start(proxy, notified)
        self.assert_ok(self.dial(proxy=proxy).login(ALICE, ACCOUNTS[ALICE]))
        self.assertEqual(proxy.stop(), 0)

        # Removed: what the administrator wrote, and state, stay. Purged: nothing stays.
        self.path("/var/lib/pointsman/mapping").write_text(f"{ALICE} new\n")
        self.dpkg("--remove", "pointsman")
        self.assertFalse(self.path("/usr/bin/pointsman").exists())
        for name in ("/etc/pointsman/config.toml", "/etc/default/pointsman", "/var/lib/pointsman/mapping"):
            self.assertTrue(self.path(name).exists(), name)
        self.dpkg("--purge", "pointsman")
        for name in ("/etc/pointsman", "/etc/default/pointsman", "/var/lib/pointsman"):
            self.assertFalse(self.path(name).exists(), name)
        self.assertFalse(enabled.is_symlink())

    def test_lintian_has_nothing_to_report(self):
        done = run("lintian", "--allow-root", "--fail-on", "error,warning", self.first, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_the_same_input_gives_the_same_bytes(self):
        bytes_before = Path(self.first).read_bytes()
        os.utime(ROOT / "packaging/debian/default")
        self.assertEqual(Path(self.build("0.1.0-1")).read_bytes(), bytes_before)
