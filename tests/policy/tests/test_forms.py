import unittest

from policy import forms, rust


class Counts(unittest.TestCase):
    def assert_count(self, form, expected, *statements):
        for statement in statements:
            found = forms.count(rust.read(f"fn f() {{ {statement} }}"))
            self.assertEqual({name: number for name, number in found.items() if number}, {form: expected} if expected else {}, statement)

    def test_packing(self):
        self.assert_count(forms.PACKED, 1, "let (a, b) = (x, y);", "let (mut a, b): (u8, u8) = (x(1), [y, z]);")

    def test_other_tuples(self):
        self.assert_count(forms.PACKED, 0, "let (a, b) = f(x, y);", "let (a, b) = (x, y).swap();", "let (a, b) = (f(x, y));",
                          "if let (Some(a), Some(b)) = (x, y) {}", "let (Some(a), Some(b)) = (x, y) else { return };", "let a = (x, y);")

    def test_map_or(self):
        self.assert_count(forms.MAP_OR, 1, "a.map_or(0, f);", "a.map_or_else(f, g);")
        self.assert_count(forms.MAP_OR, 0, "a.map(f);", '"a.map_or(0, f)";')

    def test_box_pin(self):
        self.assert_count(forms.BOX_PIN, 1, "Box::pin(a).await;", "std::boxed::Box::pin(a);")

    def test_closures(self):
        self.assert_count(forms.CLOSURE, 1, "let f = |a| a + 1;", "let f = || 1;", "let f = move |a: u8, (b, c)| g(a);", "let f = |a| match a { _ => 1 };")

    def test_other_closures(self):
        self.assert_count(forms.CLOSURE, 0, "let f = |a| { g(a); h(a) };", "let f = |a| -> u8 { a };", "let f = g(|a| a);", "let c = a || b;", "if let A | B = c {}")

    def test_two_bools(self):
        self.assert_count(forms.TWO_BOOLS, 1, "let a: (bool, bool);")
        self.assert_count(forms.TWO_BOOLS, 0, "let a: fn(bool, bool);", "let a: (bool, u8);")


class Ceilings(unittest.TestCase):
    def test_a_count_above_its_ceiling(self):
        counts = dict.fromkeys(forms.CEILINGS, 1)
        self.assertEqual(forms.check({"a": counts}, counts), [])
        (problem,) = forms.check({"a": counts}, counts | {forms.BOX_PIN: 0})
        self.assertEqual(problem.found, "1 occurrence")
