"""A small tree of files in a scratch directory."""

import tempfile
import textwrap
import unittest
from pathlib import Path


class Tree(unittest.TestCase):
    """A test with a directory of its own."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)

    def write(self, **files):
        """Writes files by the names `lib`, `a`, `a__b` (for `a/b.rs`); returns the folder of the crate."""
        crate = self.root / "crates" / "sample"
        for name, text in files.items():
            file = crate / "src" / (name.replace("__", "/") + ".rs")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
        return crate
