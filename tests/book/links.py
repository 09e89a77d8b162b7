"""Every relative link leads to a file, and every anchor to a heading. Pages of the book link to files of the book only."""

from urllib.parse import unquote, urlsplit

from policy.problem import Problem

from .pages import BOOK, ROOT, all_pages, anchors_of, links_of


def check(root=ROOT):
    """Returns the problems of all relative links. Links to other sites are not followed: tests need no network."""
    problems = []
    for page in all_pages(root):
        for number, target in links_of(page):
            if problem := judge(page, target, root):
                found, fix = problem
                problems.append(Problem(f"{page.relative_to(root)}:{number}", found, "a link that works in the book and in the repository", fix))
    return problems


def judge(page, target, root):
    """Returns what is wrong with a link and how to fix it, or None."""
    link = urlsplit(target)
    if link.scheme:
        return None
    file = (page.parent / unquote(link.path)).resolve() if link.path else page
    if not file.exists():
        return f"{target}: {file.name} does not exist", "correct the path"
    book = (root / BOOK).resolve()
    if page.resolve().is_relative_to(book) and not file.is_relative_to(book):
        return f"{target} leaves the book", "write the path as `code`: the site has the folder docs/ only"
    if link.fragment and file.suffix == ".md" and link.fragment not in anchors_of(file):
        return f"{target}: {file.name} has no such heading", f"use one of: {', '.join(sorted(anchors_of(file)))}"
    return None
