import textwrap
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from book import links, messages, pages, snippets, summary


class Book(unittest.TestCase):
    """A small book in a scratch directory, without an error until a test adds one."""

    def setUp(self):
        scratch = TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        self.write("docs/SUMMARY.md", "- [One](one.md)\n- [Two](sub/two.md)\n")
        self.write("docs/one.md", "# One\n\nSee [two](sub/two.md#use-the-x-command).\n")
        self.write("docs/sub/two.md", "# Two\n\n## Use the `x` command\n\n[back](../one.md)\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def found(self, problems):
        return [(problem.where, problem.found) for problem in problems]

    def test_no_error(self):
        self.assertEqual(summary.check(self.root) + links.check(self.root) + snippets.unrun(self.root), [])

    def test_contents(self):
        self.write("docs/three.md", "# Three\n")
        self.write("docs/SUMMARY.md", "- [One](one.md)\n- [Two](sub/two.md)\n- [Again](one.md)\n- [Four](four.md)\n")
        self.assertEqual(self.found(summary.check(self.root)), [
            ("docs/SUMMARY.md:3", "one.md for the second time"), ("docs/SUMMARY.md:4", "four.md, which does not exist"),
            ("docs/three.md", "a page that docs/SUMMARY.md does not list")])

    def test_links(self):
        self.write("README.md", "[outside](docs/one.md) ![a picture](docs/none.svg)\n")
        self.write("docs/one.md", "[a](sub/none.md) [b](sub/two.md#none) [c](#one) `[d](none)` [e](https://example.org/none) [f](../README.md)\n```\n[g](none)\n```\n# One\n")
        self.assertEqual(self.found(links.check(self.root)), [
            ("docs/one.md:1", "sub/none.md: none.md does not exist"), ("docs/one.md:1", "sub/two.md#none: two.md has no such heading"),
            ("docs/one.md:1", "../README.md leaves the book"), ("README.md:1", "docs/none.svg: none.svg does not exist")])

    def test_repeated_headings(self):
        page = self.write("docs/one.md", "# A b\n## A b\n```\n# no heading\n```\n### [A](x.md) & `b_c`\n")
        self.assertEqual(pages.anchors_of(page), {"a-b", "a-b-1", "a--b_c"})

    def test_blocks(self):
        page = self.write("docs/one.md", "text\n\n   ```toml file\n   a = 1\n     b\n   ```\n\n````\n```\n````\n")
        self.assertEqual([(block.line, block.words, block.text) for block in pages.blocks_of(page)],
                         [(3, ("toml", "file"), "a = 1\n  b\n"), (8, (), "```\n")])

    def test_messages(self):
        self.write("crates/a/src/lib.rs", 'warn!("the store is down");\nerror!("the file {} is \\\n    gone");\n')
        self.write("docs/one.md", "# One\n```text quoted\nthe store is down\nthe file … is gone\nthe store is up\n```\n"
                                  "| `the store is down`, `no store` | warn | x |\n| `not a message` | x |\n")
        self.assertEqual(self.found(messages.check(self.root)), [
            ("docs/one.md:5", "the message `the store is up`"), ("docs/one.md:7", "the message `no store`")])

    def test_runnable_blocks_need_a_case(self):
        self.write("docs/one.md", "# One\n```sh\ntrue\n```\n")
        self.assertEqual(self.found(snippets.unrun(self.root)), [("docs/one.md:2", "a runnable block that no case of the lab runs")])
        self.write("tests/lab/cases/test_one.py", 'blocks("one.md")')
        self.assertEqual(snippets.unrun(self.root), [])

    def test_parts_are_merged(self):
        document = snippets.merged(snippets.base(), {"routing": {"default_destination": "new"}, "http": {"route": []}})
        self.assertEqual(document["routing"], {"default_destination": "new", "smtp_passthrough_destination": "new"})
        self.assertEqual(document["http"], {"route": []})
