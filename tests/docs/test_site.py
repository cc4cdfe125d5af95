"""The site of docs/ builds without a warning, names every page, leads nowhere that is not there, and loads nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import folders
import pytest
import yaml

DOCS = folders.ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


class Found(HTMLParser):
    """What a page links to and loads, and the names that can be linked to in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.names: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(given["href"])


def in_nav(entries: list[object]) -> Iterator[str]:
    for entry in entries:
        values = entry.values() if isinstance(entry, dict) else [entry]
        for value in values:
            yield from in_nav(value) if isinstance(value, list) else [str(value)]


def test_every_page_is_in_the_nav_once():
    """A new page of docs/ wants a line in mkdocs.yml; a line there wants its page."""
    nav = yaml.safe_load((folders.ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(in_nav(nav)) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_title(page):
    """The title of its tab and in the nav; more of them are pages of their own."""
    fenced, titles = False, 0
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        titles += not fenced and line.startswith("# ")
    assert titles == 1


def test_links_lead_somewhere(site):
    """Those into source and examples, too: they are pages of the site."""
    found = {path: Found(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(found) > len(PAGES)
    broken = []
    for path, page in found.items():
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or link.startswith("/"):
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            target = target / "index.html" if target.is_dir() else target
            there = target in found and (not address.fragment or unquote(address.fragment) in found[target].names)
            if not (there or (target.suffix != ".html" and target.is_file())):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_a_notebook_is_a_page_with_what_it_printed_and_drew(site):
    page = Found((site / "source" / "examples" / "first_look.ipynb.html").read_text(encoding="utf-8"))
    assert any(address.startswith("data:image/png;base64,") for address in page.loaded)
    assert any(link.endswith("python.html") for link in page.links)


def test_nothing_is_loaded_from_elsewhere(site):
    elsewhere = []
    for path in site.rglob("*.html"):
        for address in Found(path.read_text(encoding="utf-8")).loaded:
            if urlsplit(address).scheme not in ("", "data") or address.startswith("//"):
                elsewhere.append(f"{path.relative_to(site)}: {address}")
    assert elsewhere == []


def test_a_link_to_nothing_fails_the_build():
    pytest.importorskip("mkdocs", reason="the docs extra is not installed")
    spec = importlib.util.spec_from_file_location("docs_site", folders.ROOT / "maintain" / "docs_site.py")
    docs_site = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(docs_site)
    page = "see [a](../examples/none.toml), [b](table.md#x), [c](https://example.org/d.md) and [e](../README.md)"
    assert docs_site.links_of(page, "docs") == {"examples/none.toml"}
    # one line up from table.html lie source/ and index.html
    assert docs_site.rewrite_links(page, "docs", "table.md") == (
        "see [a](source/examples/none.toml.md), [b](table.md#x), [c](https://example.org/d.md) and [e](index.md)"
    )
    # code in a table keeps its pipe; other lines stay
    table = r"| `<\|end\|>` | a \| b |"
    assert docs_site.unescape_pipes(f"{table}\n`a \\| b`") == "| `<|end|>` | a \\| b |\n`a \\| b`"
    with pytest.raises(docs_site.PluginError, match=r"examples/none\.toml, which is not there"):
        docs_site.content_of("examples/none.toml")
