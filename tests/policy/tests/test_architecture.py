import unittest

from policy import architecture

PAGE = """# Architecture

| `outside` | a table of something else | none |

## Crates

Text.

| crate | contents | may import |
|---|---|---|
| `mail-proto` | grammars, `a|b` among them. No sockets | – |
| `mail` | the pipeline | `mail-proto`, plan_b |

### From the ground up

| `web` | below a heading of the section | mail |

## Where do I find …?

| question | search term | file | item |
|:--|---|---|---|
| How does a kick work? | `fn kick` | `crates/a/src/b.rs` | `Order::Kick` |

## Bounds

| `later` | a table of something else | none |
"""


class Tables(unittest.TestCase):
    def test_crates(self):
        rows = architecture.crate_rows(PAGE)
        self.assertEqual([row.name for row in rows], ["mail-proto", "mail", "web"])
        self.assertEqual([sorted(row.imports) for row in rows], [[], ["mail-proto", "plan_b"], ["mail"]])
        self.assertEqual(rows[0].contents, "grammars, `a|b` among them. No sockets")

    def test_the_heading_may_be_rooms(self):
        self.assertEqual(len(architecture.crate_rows(PAGE.replace("## Crates", "## Rooms"))), 3)

    def test_look_ups(self):
        expected = architecture.LookupRow("How does a kick work?", "fn kick", "crates/a/src/b.rs", "Order::Kick")
        self.assertEqual(architecture.lookup_rows(PAGE), [expected])

    def test_no_section(self):
        self.assertEqual(architecture.crate_rows("# Nothing"), [])
        self.assertIsNone(architecture.lookup_rows("# Nothing"))

    def test_a_heading_in_a_block_of_code_is_none(self):
        self.assertEqual(architecture.section("## Crates\n```\n# comment\n```\nx", "crates"), ["```", "# comment", "```", "x"])
