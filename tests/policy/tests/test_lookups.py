import subprocess
import unittest

from policy import lookups
from policy.architecture import LookupRow

from .tree import Tree

SOURCE = """
pub enum Order { Set(u8), Kick { whom: u8 } }
pub struct Registry;
impl<T: A> Handler<T> for Registry { const LIMIT: u8 = 1; pub(crate) async fn kick(&self) {} }
macro_rules! catalogue { () => {} }
pub static mut TABLE: u8 = 0;
"""


class Definitions(unittest.TestCase):
    def test_defined(self):
        for item in ("Order", "Order::Kick", "Order::Set", "Registry", "Registry::kick", "kick()", "LIMIT", "catalogue!", "TABLE"):
            self.assertTrue(lookups.defines(SOURCE, item), item)

    def test_not_defined(self):
        for item in ("Orders", "Order::Hold", "whom", "// kick", "self"):
            self.assertFalse(lookups.defines(SOURCE, item), item)


class Rows(Tree):
    def setUp(self):
        super().setUp()
        self.write(a=SOURCE, **{f"b{number}": "// often" for number in range(lookups.MOST_FILES)}, c="// often")
        for command in (("init", "-q"), ("add", "-A")):
            subprocess.run(("git", *command), check=True, cwd=self.root)

    def check(self, term="fn kick", file="crates/sample/src/a.rs", item="kick"):
        return [problem.found for problem in lookups.check_row(LookupRow("question", term, file, item), self.root)]

    def test_a_row_that_leads_there(self):
        self.assertEqual(self.check(), [])

    def test_no_such_file(self):
        self.assertEqual(self.check(file="crates/a.rs"), ["crates/a.rs is not there"])

    def test_no_such_item(self):
        self.assertEqual(self.check(item="hold"), ["crates/sample/src/a.rs does not define hold"])

    def test_a_search_that_misses_the_file(self):
        self.assertEqual(self.check(term="fn hold"), ["`git grep -lF 'fn hold' crates/` does not list crates/sample/src/a.rs"])

    def test_a_search_that_finds_too_much(self):
        found = self.check(term="often", file="crates/sample/src/c.rs", item="often")
        self.assertEqual(found[-1], "`git grep -lF 'often' crates/` lists 6 files")


class Subjects(unittest.TestCase):
    def test_each_subject_needs_a_question(self):
        found = lookups.check_subjects([LookupRow("How does a kick reach a session?", "", "", "")])
        self.assertEqual(len(found), len(lookups.SUBJECTS) - 1)
        self.assertNotIn("no question about kick", [problem.found for problem in found])
