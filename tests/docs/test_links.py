"""Links and paths in README.md and docs/ lead to what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
OUTSIDE = re.compile(r"(?:https?|mailto):")
TOPS = "r1jax|configs|experiments|notebooks|docs|tests"
PATH = re.compile(rf"(?<![\w/.:])(?:{TOPS})/[\w./*]*[\w/*]")
PLACEHOLDER = re.compile("NAME|NNN")  # stands for what the reader chooses
NAMED = re.compile(r"`(r1jax/[\w/]+\.py)` `(\w+)`")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_relative_link_leads_to_a_file(page):
    for link in LINK.findall(CODE.sub("", page.read_text())):
        if OUTSIDE.match(link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_path_of_the_repository_exists(page):
    paths = [path for path in PATH.findall(page.read_text()) if not PLACEHOLDER.search(path)]
    missing = [path for path in paths if not list(ROOT.glob(path.rstrip("/.")))]
    assert not missing


def test_a_name_behind_a_module_is_defined_there():
    pairs = [pair for page in PAGES for pair in NAMED.findall(page.read_text())]
    assert len(pairs) >= 12
    for file, name in pairs:
        assert re.search(rf"^(?: *(?:def|class) )?{name}\b", (ROOT / file).read_text(), re.M), name


def test_readme_fits_one_screen():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 85
    top = "\n".join(lines[:45])
    assert "CPUs only" in top and "make demo" in top and "make test" in top and "![" in top


def test_every_page_is_linked_from_readme():
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= linked
