from policy import sizes

from .tree import Tree

LONG_FILE = "fn a() {}\n" * (sizes.FILE_LINES + 1)
LONG_FUNCTION = "fn long(\n    a: u8,\n) {\n" + "    a();\n" * (sizes.FUNCTION_LINES - 3) + "}\n"


class Sizes(Tree):
    def check(self, text):
        crate = self.write(a=text)
        return [str(problem) for problem in sizes.check_file(sizes.measure(crate / "src/a.rs"), self.root)]

    def measure(self, text):
        return sizes.measure(self.write(a=text) / "src/a.rs")


class Files(Sizes):
    def test_up_to_the_limit(self):
        self.assertEqual(self.check("fn a() {}\n" * sizes.FILE_LINES), [])

    def test_beyond_the_limit(self):
        (problem,) = self.check(LONG_FILE)
        self.assertIn("crates/sample/src/a.rs: 401 production lines", problem)
        self.assertIn("// policy: long file: REASON", problem)

    def test_tests_do_not_count(self):
        self.assertEqual(self.measure("fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n").lines, 1)

    def test_comments_and_blank_lines_within_count(self):
        self.assertEqual(self.measure("//! Why.\n\nfn a() {}\n\n\n").lines, 3)

    def test_a_reason_in_the_head(self):
        self.assertEqual(self.check("//! Why.\n#![allow(a)]\n// policy: long file: one table\n" + LONG_FILE), [])

    def test_a_reason_below_the_first_item(self):
        self.assertEqual(len(self.check("use a::b;\n// policy: long file: one table\n" + LONG_FILE)), 1)

    def test_a_reason_without_words(self):
        (problem,) = self.check("// policy: long file:\n" + LONG_FILE)
        self.assertIn("a reason without words", problem)

    def test_a_reason_that_is_not_needed(self):
        (problem,) = self.check("// policy: long file: one table\nfn a() {}\n")
        self.assertIn("a reason for a long file of 2 production lines", problem)


class Functions(Sizes):
    def test_up_to_the_limit(self):
        self.assertEqual(self.check(LONG_FUNCTION.replace("    a();\n", "", 1)), [])

    def test_beyond_the_limit(self):
        (problem,) = self.check("\n" + LONG_FUNCTION)
        self.assertIn("crates/sample/src/a.rs:2 fn long: 61 lines", problem)

    def test_a_reason_above(self):
        self.assertEqual(self.check("/// What.\n// policy: long function: one match\n#[inline]\npub async " + LONG_FUNCTION), [])

    def test_a_reason_further_above(self):
        self.assertEqual(len(self.check("// policy: long function: one match\n\n" + LONG_FUNCTION)), 1)

    def test_a_reason_that_is_not_needed(self):
        self.assertEqual(len(self.check("// policy: long function: one match\nfn a() {}\n")), 1)

    def test_a_signature_without_a_body_is_none(self):
        found = self.measure("trait A { fn b(&self); fn c() {} }\ntype D = fn(u8) -> u8;\n").functions
        self.assertEqual([function.name for function in found], ["c"])

    def test_functions_of_tests_do_not_count(self):
        self.assertEqual(self.check("#[cfg(test)]\nmod tests {\n" + LONG_FUNCTION + "}\n"), [])
