"""Mail programs as people run them, for the conformance matrix: each runs once and reports what it saw."""
