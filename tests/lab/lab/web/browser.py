"""Headless Chromium, with a profile of its own that goes with the test."""

import shutil
import tempfile

from ..process import Daemon

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--mute-audio",
         "--window-size=1280,900")


def is_possible():
    return shutil.which("chromium") is not None


class Browser:
    """Opens one page, and stays there."""

    def __init__(self, folder, url):
        """Certificates are not checked: which one is shown is a matter of other tests."""
        self.profile = tempfile.mkdtemp(prefix="chromium-", dir=folder)
        self.out = open(f"{self.profile}.log", "ab")
        # A port for a debugger keeps it open, where it would end with the page.
        self.daemon = Daemon("chromium", *QUIET, "--ignore-certificate-errors", "--remote-debugging-port=0",
                             f"--user-data-dir={self.profile}", url, out=self.out)

    def stop(self):
        self.daemon.stop()
        self.out.close()
        shutil.rmtree(self.profile, ignore_errors=True)
