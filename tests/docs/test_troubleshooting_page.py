"""Every message that docs/troubleshooting.md quotes is one that the code gives."""

from __future__ import annotations

import ast
import functools
import re

import folders
import pytest

PAGE = (folders.ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE)
CUT = "…"


def said(node: ast.AST) -> str | None:
    """A text of the source, with a cut for every value that is put into it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else CUT for part in node.values)
    return None


@functools.cache
def texts() -> list[str]:
    found = []
    for package in ("judge", "mmie_tasks", "mmvu_tasks"):
        for path in sorted((folders.ROOT / package).rglob("*.py")):
            found += [text for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if (text := said(node))]
    return found


def test_the_page_quotes_many():
    assert len(QUOTED) > 50
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("message", QUOTED)
def test_the_message_is_in_the_source(message):
    assert any(message in text for text in texts())


def test_reasons_that_are_named_are_reasons():
    from judge.core.failure import MODEL, UNSCORED

    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", PAGE.partition("**Most answers")[2].partition("\n## ")[0]))
    assert named
    assert named <= {*MODEL, *UNSCORED}
