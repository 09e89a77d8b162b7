from policy import cycles

from .tree import Tree


class Cycles(Tree):
    def components(self, **files):
        """Returns the groups of files that need each other, as names below `src`."""
        crate = self.write(**files)
        found = []
        for target in cycles.modules.read_crate(crate):
            graph = cycles.Graph(target)
            for component in cycles.components(graph.neighbours()):
                found.append(sorted(str(file.relative_to(crate / "src")) for file in component))
        return found

    def assert_cycle(self, *expected, **files):
        self.assertEqual(self.components(**files), [sorted(expected)])

    def assert_none(self, **files):
        self.assertEqual(self.components(**files), [])


class Found(Cycles):
    def test_two_siblings(self):
        self.assert_cycle(
            "a.rs", "b.rs",
            lib="mod a; mod b;",
            a="use crate::b::B; pub struct A;",
            b="use super::a::A; pub struct B;",
        )

    def test_three_siblings(self):
        self.assert_cycle(
            "a.rs", "b.rs", "c.rs",
            lib="mod a; mod b; mod c;",
            a="use crate::b::B; pub struct A;",
            b="use crate::c::C; pub struct B;",
            c="fn f() { crate::a::A; } pub struct C;",
        )

    def test_a_parent_that_uses_what_its_child_builds_on(self):
        self.assert_cycle(
            "a.rs", "a/b.rs",
            lib="mod a;",
            a="mod b; use b::B; pub struct A;",
            a__b="use super::A; pub struct B;",
        )

    def test_a_reexport_that_the_parent_also_uses(self):
        self.assert_cycle(
            "a.rs", "a/b.rs",
            lib="mod a;",
            a="mod b; pub use b::B; pub struct A { b: B }",
            a__b="use super::A; pub struct B;",
        )

    def test_a_cycle_through_a_reexport_is_between_the_definitions(self):
        self.assert_cycle(
            "a.rs", "b.rs",
            lib="mod a; mod b; pub use a::A; pub use b::B;",
            a="use crate::B; pub struct A;",
            b="use crate::A; pub struct B;",
        )

    def test_paths_without_an_import(self):
        self.assert_cycle(
            "a.rs", "b.rs",
            lib="mod a; mod b;",
            a="pub fn f() { crate::b::g::<u8>(); }",
            b="use crate::a; pub fn g<T>() { a::f(); }",
        )

    def test_imports_in_branches_and_with_other_names(self):
        self.assert_cycle(
            "a.rs", "b.rs",
            lib="mod a; mod b;",
            a="use crate::{b::{B as Other, self as there}}; pub struct A;",
            b="use crate::a::A as Mine; pub struct B;",
        )

    def test_imports_within_a_function(self):
        self.assert_cycle(
            "a.rs", "b.rs",
            lib="mod a; mod b;",
            a="pub fn f() { use crate::b::B; } pub struct A;",
            b="use crate::a::A; pub struct B;",
        )

    def test_a_glob_whose_names_are_used(self):
        self.assert_cycle(
            "a.rs", "a/b.rs",
            lib="mod a;",
            a="mod b; pub struct A; fn f() { b::g(); }",
            a__b="use super::*; pub fn g() -> A { A }",
        )

    def test_an_inline_module_is_part_of_its_file(self):
        self.assert_cycle(
            "a.rs", "b.rs",
            lib="mod a; mod b;",
            a="pub mod inner { use crate::b::B; pub struct A; }",
            b="use crate::a::inner::A; pub struct B;",
        )

    def test_variants_and_functions_of_a_type_lead_to_the_type(self):
        self.assert_cycle(
            "a.rs", "b.rs",
            lib="mod a; mod b;",
            a="use crate::b::B; pub enum A { One } fn f() { B::new(); }",
            b="fn f() { crate::a::A::One; } pub struct B;",
        )

    def test_a_type_whose_functions_in_two_files_call_each_other(self):
        self.assert_cycle(
            "a.rs", "b.rs",
            lib="mod a; mod b;",
            a="pub struct A; impl A { pub fn first(&self) { self.second(); } }",
            b="use crate::a::A; impl A { pub fn second(&self) {} }",
        )

    def test_a_call_on_a_parameter_or_a_field(self):
        for call in ("fn f(it: &mut Arc<B>) { it.far(); }", "impl A { fn f(&self) { self.it.far(); } }"):
            self.assert_cycle(
                "a.rs", "c.rs",
                lib="mod a; mod b; mod c;",
                a=f"use crate::b::B; pub struct A {{ it: B }} {call}",
                b="pub struct B;",
                c="use crate::{a::A, b::B}; impl B { pub fn far(&self) {} }",
            )

    def test_a_macro_of_a_module_above(self):
        self.assert_cycle(
            "a.rs", "a/b.rs",
            lib="mod a;",
            a="macro_rules! m { () => {} } mod b; fn f() { b::g(); }",
            a__b="pub fn g() { m!(); }",
        )


class NotFound(Cycles):
    def test_a_parent_that_only_reexports(self):
        self.assert_none(
            lib="mod a;",
            a="mod b; mod c; pub use b::B; pub(crate) use self::c::*;",
            a__b="use super::C; pub struct B;",
            a__c="pub struct C;",
        )

    def test_a_parent_with_items_that_only_reexports_its_children(self):
        self.assert_none(
            lib="mod a;",
            a="mod b; pub use b::B; pub struct A;",
            a__b="use super::A; pub struct B;",
        )

    def test_a_variant_with_the_name_of_a_reexport(self):
        self.assert_none(
            lib="mod a; pub use a::B; pub enum A { B, C(u8) }",
            a="use crate::A; pub struct B; fn f() { A::B; }",
        )

    def test_tests(self):
        self.assert_none(
            lib="mod a; mod b;",
            a="pub struct A; #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::C;",
            b="use crate::a::A; pub struct B; pub struct C;",
        )

    def test_files_called_tests(self):
        self.assert_none(lib="mod a;", a="mod tests; pub struct A;", a__tests="use super::A; use crate::a::B;")

    def test_comments_and_strings(self):
        self.assert_none(
            lib="mod a; mod b;",
            a='//! See [`crate::b::B`].\nfn f() { "crate::b::B"; } pub struct A;',
            b="use crate::a::A; pub struct B;",
        )

    def test_a_module_that_is_named_but_not_used(self):
        self.assert_none(lib="mod a; mod b;", a="use crate::b; pub struct A;", b="use crate::a::A; pub struct B;")

    def test_another_crate_with_the_name_of_a_module(self):
        self.assert_none(lib="mod a; mod b;", a="use ::b::B; pub struct A;", b="use crate::a::A; pub struct B;")

    def test_a_glob_whose_names_are_not_used(self):
        self.assert_none(
            lib="mod a;",
            a="mod b; pub struct A; fn f() { b::g(); }",
            a__b="use super::*; pub fn g() {}",
        )

    def test_reexports_in_a_circle_end(self):
        self.assert_none(lib="mod a; mod b;", a="pub use crate::b::X; fn f() { X::y(); }", b="pub use crate::a::X;")

    def test_a_type_whose_functions_in_two_files_call_one_way(self):
        self.assert_none(
            lib="mod a; mod b;",
            a="pub struct A; impl A { pub fn first(&self) {} }",
            b="use crate::a::A; impl A { pub fn second(&self) { self.first(); } }",
        )


class Message(Cycles):
    def test_each_step_has_a_place(self):
        crate = self.write(
            lib="mod a; mod b;",
            a="pub struct A;\nuse crate::b::B;",
            b="use super::a::A; pub struct B;",
        )
        (problem,) = cycles.check_crate(crate, self.root)
        self.assertEqual(problem.where, "crates/sample")
        self.assertIn("a.rs, b.rs", problem.found)
        self.assertIn("crates/sample/src/a.rs:2 needs crates/sample/src/b.rs (use crate::b::B)", problem.found)
        self.assertIn("crates/sample/src/b.rs:1 needs crates/sample/src/a.rs (use super::a::A)", problem.found)
