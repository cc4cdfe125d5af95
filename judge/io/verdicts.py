"""Files of verdicts, one a line, read as if anybody had written them: what is not a whole verdict is refused.

    {"id": "PBL-2896694", "by": "judge", "score": 4, "unscored": null, "category": "PBL", "feedback": "…", "key": "9f…"}

    read_verdicts("out/verdicts.jsonl")  ->  [Verdict("PBL-2896694", "judge", 4, category="PBL", …), …]

Such files are only ever appended to (`judge.scoring.journal`): the last line of a question is its verdict. A last line
without its newline is what a killed process leaves; where it is not whole, the file ends before it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from judge.core.scale import JUDGE_SCALE, Scale
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.files import open_file
from judge.io.jsonl import Wanted, parse_lines

VERDICT = Wanted(
    "a verdict", fix="delete that line (its answer is then judged again), or give another --out", unfinished=True
)


def read_verdicts(
    path: str | Path, scale: Scale = JUDGE_SCALE, check: Callable[[Verdict], None] = lambda verdict: None
) -> list[Verdict]:
    """The verdict of every question in a file, in order of first appearance; takes no lock and writes nothing.

    scale, check: of the benchmark that the verdicts are about (`Benchmark.check_verdict`). Raises UserError for a file
    that is not there and for a line that is not a verdict.
    """
    path = Path(path)
    last: dict[tuple[str, int | None], Verdict] = {}
    try:
        with open_file(path) as file:
            for verdict, _ in parse_verdicts(file, path, scale, check):
                last[verdict.id, verdict.index] = verdict
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path, fix="mmjudge score … --out DIR") from error
    return list(last.values())


def parse_verdicts(
    file: IO[bytes],
    path: Path,
    scale: Scale = JUDGE_SCALE,
    check: Callable[[Verdict], None] = lambda verdict: None,
) -> Iterator[tuple[Verdict, bytes]]:
    """(verdict, line with its end) of every line of an open file, one that is not whole at its end left out.

    Raises UserError for a line that is not a verdict.
    """
    return parse_lines(file, path, functools.partial(_verdict, scale, check), VERDICT)


def _verdict(scale: Scale, check: Callable[[Verdict], None], row: Any) -> Verdict:
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    for field, (fits, wanted) in _FIELDS.items():
        if not fits(row.get(field)):
            raise ValueError(f"{field} must be {wanted}")
    score, probs = row.get("score"), row.get("score_probs")
    if score is not None and (type(score) is not int or score not in scale):
        raise ValueError(f"score must be a whole number from {scale}, or null")
    if probs is not None and not (isinstance(probs, list) and len(probs) == len(scale) and all(map(_share, probs))):
        raise ValueError(f"score_probs must be {len(scale)} numbers from 0 to 1, or null")
    if not isinstance(details := row.get("details", {}), dict):
        raise ValueError("details must be an object")
    if "score" not in row:
        raise ValueError("score is missing; an unscored answer has null")
    if not all(isinstance(value, str | int | None) for value in details.values()):
        json.dumps(details, allow_nan=False)  # 1e999 is a number of JSON, and none of ours
    verdict = Verdict.from_json(row)
    if verdict.failure is not None and score != scale.lowest:
        raise ValueError(f"score must be {scale.lowest} where the model failed ({verdict.failure})")
    for field, made in (("expected", verdict.expected), ("entropy", verdict.entropy)):
        if made is not None and row.get(field, made) != made:
            raise ValueError(f"{field} must be that of score_probs, {made}")
    check(verdict)
    return verdict


def _share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _text(value: object) -> bool:
    return isinstance(value, str)


def _text_or_null(value: object) -> bool:
    return isinstance(value, str | None)


_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "id": (_text, "text"),
    "by": (lambda value: value in ("rule", "judge"), '"rule" or "judge"'),
    "unscored": (_text_or_null, "a reason, or null"),
    "failure": (_text_or_null, "a reason, or null"),
    "category": (_text_or_null, "text or null"),
    "feedback": (_text_or_null, "text or null"),
    "key": (_text_or_null, "text or null"),
    "index": (lambda value: value is None or type(value) is int, "a whole number or null"),
}
