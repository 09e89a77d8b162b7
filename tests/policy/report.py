"""What `tests/policy.py --report` prints: sizes and compressed forms by crate, and the files that need each other."""

from . import cycles, forms, modules, sizes
from .repository import ROOT, crate_packages


def rows():
    """Returns the header and a row for each crate, with a last one for all of them."""
    header = ["crate", "files", "lines", "longest", "functions", "longest", *forms.CEILINGS]
    counts = forms.counts_by_crate()
    table, everything = [header], []
    for name in sorted(crate_packages()):
        measured = [sizes.measure(file) for file in sizes.production_files(ROOT / "crates" / name)]
        everything += measured
        table.append([name, *summed(measured), *counts[name].values()])
    table.append(["all", *summed(everything), *forms.totals(counts).values()])
    table.append(["ceiling", "", "", sizes.FILE_LINES, "", sizes.FUNCTION_LINES, *forms.CEILINGS.values()])
    return table


def summed(measured):
    """Returns files, lines, the longest file, functions, the longest function."""
    functions = [function.lines for one in measured for function in one.functions]
    lines = [one.lines for one in measured]
    return [len(measured), sum(lines), max(lines, default=0), len(functions), max(functions, default=0)]


def print_report():
    """Prints the table as Markdown, so that it can be quoted, and then each arrow within a cycle of files."""
    table = [[str(cell) for cell in row] for row in rows()]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for number, row in enumerate(table):
        print("| " + " | ".join(cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths)) + "|")
    for name in sorted(crate_packages()):
        print_cycles(ROOT / "crates" / name)


def print_cycles(crate):
    """Prints the arrows between files of the crate that need each other."""
    source = crate / "src"
    for target in modules.read_crate(crate):
        graph = cycles.Graph(target)
        for component in cycles.components(graph.neighbours()):
            print(f"\n{crate.name}: {len(component)} files need each other")
            for user, used, first, number in cycles.edges_within(graph, component):
                more = f", and {number - 1} more" if number > 1 else ""
                print(f"  {user.relative_to(source)}:{first.line} -> {used.relative_to(source)} ({first.text}{more})")
