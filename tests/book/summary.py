"""docs/SUMMARY.md lists every page of the book once, and no page that is missing."""

from policy.problem import Problem

from .pages import BOOK, ROOT, SUMMARY, book_pages, links_of


def check(root=ROOT):
    """Returns the problems of the table of contents."""
    contents = root / BOOK / SUMMARY
    problems, listed = [], set()
    for number, target in links_of(contents):
        where, page = f"{BOOK}/{SUMMARY}:{number}", (contents.parent / target).resolve()
        if page in listed:
            problems.append(Problem(where, f"{target} for the second time", "each page once", "remove one of the two lines"))
        elif not page.is_file():
            problems.append(Problem(where, f"{target}, which does not exist", "a page in docs/", "correct the name, or write the page"))
        listed.add(page)
    for page in book_pages(root):
        if page.resolve() not in listed:
            problems.append(Problem(str(page.relative_to(root)), f"a page that {BOOK}/{SUMMARY} does not list", "every page in the table of contents",
                                    "add it to the table of contents"))
    return problems
