"""The check of pages finds what it is there for: a page with one fault of each kind, and the same without."""

from __future__ import annotations

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from accessible import problems
from chromium import NEEDED, in_browser

pytestmark = NEEDED
WELL = """<!doctype html><html lang="en"><head><title>A page</title></head><body><main><h1>A page</h1><h2>Its part</h2>
<p>Text.</p></main></body></html>"""
FAULTS = {
    "heading after h2: <h4": ("<p>", "<h4>Deeper</h4><p>"),
    "language: <html": (' lang="en"', ""),
    "title: <head": ("A page</title>", "</title>"),
    "one h1: <body": ("h1>", "h2>"),
    "id twice: <i": ("<p>", '<i id="a">x</i><b id="a">y</b><p>'),
    "aria-labelledby: <p": ("<p>", '<p aria-labelledby="none">'),
    "alt: <img": ("<p>", '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=" width="9"><p>'),
    "list: <ul": ("<p>", "<ul><p>x</p></ul><p>"),
    "list: <dl": ("<p>", "<dl><p>x</p></dl><p>"),
    "empty header: <th": ("<p>", "<table><tr><th></th><td>x</td></tr></table><p>"),
    "scrolls without the keyboard: <div": (
        "<p>", '<div style="height: 20px; overflow: auto"><div style="height: 90px">x</div></div><p>',
    ),
    "contrast 4.48: <p": ("<p>", '<p style="color: #777">'),
    "contrast 3.54: <p": ("<p>", '<p style="color: #888; font-size: 40px">'),
    "contrast 1.00: <text": ("<p>", '<svg width="90" height="20"><text y="15" style="fill: #fff">x</text></svg><p>'),
    "outside a landmark: <b": ("</main>", "</main><b>Text</b>"),
    "no text: <body": ("<p>", "<p hidden>"),
    "name: <button": ("<p>", "<button></button><p>"),
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What is found on a page."""
    file = tmp_path_factory.mktemp("page") / "page.html"
    with in_browser() as browser:

        def shown(html):
            file.write_text(html, encoding="utf-8")
            browser.driver.get(file.as_uri())
            return problems(browser)

        yield shown


def test_a_page_without_a_fault(shown):
    assert shown(WELL) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(shown, fault):
    old, new = FAULTS[fault]
    page = WELL.replace(old, new)
    if fault.startswith("no text"):
        page = page.replace("<h1>A page</h1><h2>Its part</h2>", "<h1></h1>")
    assert any(found.startswith(fault) for found in shown(page)), shown(page)
