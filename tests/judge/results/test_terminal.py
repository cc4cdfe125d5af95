"""What is said at the end of a run in which the engine failed."""

from __future__ import annotations

import pytest

from judge.core.verdict import Verdict
from judge.results.terminal import engine_failures


def verdict(reason: str | None, note: str | None = None) -> Verdict:
    details = {"note": note} if note else {}
    return Verdict("a", "judge", 3 if reason is None else None, reason, details=details)


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        ([verdict(None), verdict("image_missing", "a.png is not there"), verdict(None, "1 spelling broken up")], None),
        ([verdict("engine_error", "out of memory")], "1 of 9 answers …: most often (1): out of memory"),
        (
            # which numbers a note has does not make it another one
            [verdict("engine_error", note) for note in ("b", "read 483, due 479", "read 500, due 496")],
            "3 of 9 answers …: most often (2): read 483, due 479",
        ),
        ([verdict("engine_error")], "1 of 9 answers …: most often (1): ?"),
        ([verdict("engine_error", "a\n→ rm\x1b[2J")], "1 of 9 answers …: most often (1): a\\n→ rm\\x1b[2J"),
    ],
)
def test_the_most_frequent_failure_of_the_engine(verdicts, line):
    wanted = line and line.replace("…", "have no score because the engine failed")
    assert engine_failures(verdicts, 9) == wanted
