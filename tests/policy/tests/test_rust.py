import unittest

from policy import rust


def words(text):
    return [token.text for token in rust.read(text).tokens]


def production(text):
    return " ".join(token.text for token in rust.without_tests(rust.read(text)).tokens)


class Reading(unittest.TestCase):
    def test_comments_are_no_tokens(self):
        self.assertEqual(words("a // use b\n/* c /* d */ e */ f"), ["a", "f"])

    def test_literals_are_one_token(self):
        for literal in ('"a \\" { b"', 'r#"a " b"#', "b'{'", "'\\''", "'\\u{1F600}'", 'c"x"', "0xff_u8", "1.5"):
            self.assertEqual(words(f"{literal} x"), [literal, "x"])

    def test_a_lifetime_is_no_character(self):
        self.assertEqual(words("<'a, 'b>('c')"), ["<", "'a", ",", "'b", ">", "(", "'c'", ")"])

    def test_lines_are_counted_through_literals_and_comments(self):
        tokens = rust.read('"one\ntwo"\n/* three\nfour */ x').tokens
        self.assertEqual([token.line for token in tokens], [1, 4])

    def test_comments_are_kept_by_line(self):
        self.assertEqual(rust.read("a\nb // why\n").comments, {2: "// why"})


class WithoutTests(unittest.TestCase):
    def test_a_module_of_tests_is_left_out(self):
        self.assertEqual(production("fn a() {}\n#[cfg(test)]\nmod tests { use super::*; }\nfn b() {}"), "fn a ( ) { } fn b ( ) { }")

    def test_attributes_and_visibility_belong_to_the_item(self):
        self.assertEqual(production("#[cfg(test)]\n#[derive(A)]\npub(crate) struct B { c: D }\nstruct E;"), "struct E ;")

    def test_an_import_ends_at_its_semicolon(self):
        self.assertEqual(production("#[cfg(test)] use a::{b, c};\nuse d;"), "use d ;")

    def test_a_function_ends_at_its_body(self):
        self.assertEqual(production("#[cfg(test)] const fn a<B, C>(d: B) -> C { 1; }\nstruct D;"), "struct D ;")

    def test_a_constant_ends_after_its_blocks(self):
        self.assertEqual(production("#[cfg(test)] const A: B = B { c: 1 };\nstruct D;"), "struct D ;")

    def test_a_field_ends_at_its_comma(self):
        self.assertEqual(production("struct A { #[cfg(test)] b: C, d: E }"), "struct A { d : E }")

    def test_the_last_field_ends_with_the_struct(self):
        self.assertEqual(production("struct A { b: C, #[cfg(test)] d: E }"), "struct A { b : C , }")

    def test_all_with_test_is_left_out(self):
        self.assertEqual(production("#[cfg(all(test, unix))] mod a {}\nmod b {}"), "mod b { }")

    def test_not_and_any_are_production(self):
        for condition in ("not(test)", 'any(test, feature = "a")', "all(not(test), unix)"):
            self.assertIn("mod a", production(f"#[cfg({condition})] mod a {{}}"))

    def test_a_file_for_tests_is_left_out(self):
        self.assertEqual(production("#![cfg(test)]\nfn a() {}"), "")

    def test_the_lines_are_known(self):
        self.assertEqual(rust.without_tests(rust.read("a\n#[cfg(test)]\nmod t {\n}\nb")).test_lines, {2, 3, 4})
