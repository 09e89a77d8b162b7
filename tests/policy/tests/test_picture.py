import unittest
from xml.etree import ElementTree

from policy import layout, picture
from policy.manifests import floors_of

GRAPH = {"types": set(), "plan": {"types"}, "mail-proto": {"types"}, "mail": {"plan", "mail-proto", "types"}, "cli": {"mail", "types"}, "bridge": set()}


class Layers(unittest.TestCase):
    def test_a_crate_stands_above_all_that_it_imports(self):
        self.assertEqual(layout.floors(GRAPH), {"types": 0, "bridge": 0, "plan": 1, "mail-proto": 1, "mail": 2, "cli": 3})

    def test_implied_arrows_are_left_out(self):
        self.assertEqual(layout.reduced(GRAPH)["mail"], {"plan", "mail-proto"})
        self.assertEqual(layout.reduced(GRAPH)["cli"], {"mail"})

    def test_arrows_to_a_crate_share_their_lanes(self):
        graph = {"a": set(), "b": set(), "c": {"b"}, "d": {"c", "a"}, "e": {"c", "a"}}
        lanes = [node.crate for floor in layout.layers(graph) for node in floor if not node.is_box]
        self.assertEqual(lanes, ["a"])


class Layout(unittest.TestCase):
    def test_crossings(self):
        a, b = layout.Node("a", 0, True), layout.Node("b", 0, True)
        c, d = layout.Node("c", 1, True, below=[b]), layout.Node("d", 1, True, below=[a, b])
        self.assertEqual(layout.crossings([c, d], [a, b]), 1)
        self.assertEqual(layout.crossings([d, c], [a, b]), 0)

    def test_boxes_of_a_floor_do_not_overlap(self):
        nodes = [layout.Node(name, 0, True) for name in "abc"]
        layout.spread(nodes, [50.0, 40.0, 0.0])
        places = [node.x for node in nodes]
        self.assertEqual([round(right - left) for left, right in zip(places, places[1:])], [layout.BOX_WIDTH + layout.GAP] * 2)
        self.assertAlmostEqual(sum(places) / 3, 30.0)


class Drawing(unittest.TestCase):
    def test_the_same_graph_gives_the_same_picture(self):
        backwards = {name: set(sorted(GRAPH[name], reverse=True)) for name in reversed(GRAPH)}
        self.assertEqual(picture.draw(GRAPH, {}), picture.draw(backwards, {}))

    def test_the_picture_is_xml_and_has_the_floors(self):
        drawn = picture.draw(GRAPH, {"plan": ["a < b & c"]})
        ElementTree.fromstring(drawn)
        self.assertEqual(floors_of(drawn), layout.floors(GRAPH))


class Summary(unittest.TestCase):
    def test_the_first_clause(self):
        self.assertEqual(picture.summary("the `file`: validated. More"), ["the file"])
        self.assertEqual(picture.summary("version 1.2"), ["version 1.2"])

    def test_lines_are_of_equal_length(self):
        self.assertEqual(picture.summary("the pipeline for text protocols"), ["the pipeline for", "text protocols"])

    def test_a_long_list_is_cut_at_a_comma(self):
        self.assertEqual(picture.summary("registry of sessions, holds, generations, the login throttle"), ["registry of sessions,", "holds, generations"])

    def test_a_clause_that_does_not_fit(self):
        self.assertIsNone(picture.summary("everything that could be thought of and was not needed elsewhere"))
