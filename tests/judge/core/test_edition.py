"""An edition is told by what its records say; as many records of another content are never taken for it."""

from __future__ import annotations

import hashlib

import pytest

from judge.core.edition import Edition, content_hash, name_edition

EDITIONS = (Edition("v1", 600, "aa"), Edition("CVPR", 1786))
UNSEEN = "size matches CVPR, content unknown: SHA-256 of ids and texts "


def test_the_hash_is_that_of_one_json_line_a_record() -> None:
    assert content_hash([["a", "é"], ["b", None]]) == hashlib.sha256(b'["a", "\\u00e9"]\n["b", null]\n').hexdigest()
    assert content_hash([["ab", "c"]]) != content_hash([["a", "bc"]])
    assert content_hash(["\ud800"]) != content_hash(["?"])  # JSON can spell half a character


@pytest.mark.parametrize(
    ("size", "content", "from_hub", "named"),
    [
        (600, "aa", False, ("v1", None)),
        (600, "aa", True, ("v1", None)),
        # as many, but other words, wherever they come from
        (600, "bb", False, ("unknown (size matches v1)", "size matches v1, content differs")),
        (600, "bb", True, ("unknown (size matches v1)", "size matches v1, content differs")),
        # nobody has recorded the content: only the repository's own commit vouches for it
        (1786, "cc", False, ("unknown (size matches CVPR)", f"{UNSEEN}cc")),
        (1786, "cc", True, ("CVPR", f"{UNSEEN}cc")),
        (599, "dd", False, (None, None)),
        (599, "dd", True, (None, None)),
    ],
)
def test_names(size: int, content: str, from_hub: bool, named: tuple[str | None, str | None]) -> None:
    assert name_edition(EDITIONS, size, content, from_hub=from_hub) == named
