"""Whether a `results.json`, which anybody may have written, is a result, and one that its verdicts give.

    parse_result(b'{"benchmark": "mmvu", "n": -1, …}')      ->  ValueError: n must be a whole number, 0 or more
    parse_result(b'… "RA": {"value": "60.6", …} …')         ->  ValueError: metrics.RA.value must be a number or null
    refuse_unfounded(found, build_result(mmvu, verdicts, …)) ->  ValueError: metrics.RA.value is 61.0, but the verdicts
                                                                 give 60.0

What a benchmark adds of its own is let through where nobody reads it. A metric or a category that is not there is
printed by nobody, so that only those that are there must be right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from judge.core.signature import Signature
from judge.io.jsonl import parse_strictly
from judge.results.result import Result

MAX_BYTES = 16 * 2**20
"""Of a results file; one of MMIE with all its groups has 30 KB."""
COMPARED = (
    *("n", "metrics", "categories", "unscored", "failures", "bounds", "criteria", "chance", "no_option", "pairs"),
    *("by_rule", "contract"),
)
"""Fields that follow from the verdicts alone."""
PARTIAL = ("metrics", "categories", "unscored")
"""Those of them in which a name may be absent."""
INTERVAL = ("ci_low", "ci_high")
ROUNDING = 1e-6
"""So far may a number be from the one that the verdicts give: another machine's last digits."""
_MOST = 2**53

Check = Callable[[Any, str], None]
"""Raises ValueError for a value that is not what is wanted; the second argument says where it stands: "metrics.RA"."""


def parse_result(data: bytes) -> Result:
    """The result in the bytes of a file. Raises ValueError that says what is wrong, and where."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    found: Result = parse_strictly(data)
    _RESULT(found, "")
    return found


def refuse_unfounded(found: Mapping[str, Any], made: Mapping[str, Any], *, intervals: bool) -> None:
    """Raise ValueError where `found` has another number than `made`, the result that its verdicts give.

    intervals: whether those are compared, too; another version may compute them in another way.
    """
    for field in COMPARED:
        if field in found and field in made:
            _refuse_difference(found[field], made[field], field, intervals)


def _refuse_difference(found: Any, made: Any, where: str, intervals: bool) -> None:
    if isinstance(made, Mapping) and isinstance(found, Mapping):
        if where.endswith("reasons") and found.keys() != made.keys():
            raise ValueError(f"{where} names {_names(found)}, but the verdicts give {_names(made)}")
        for name in made:
            if name in found and (intervals or name not in INTERVAL):
                _refuse_difference(found[name], made[name], f"{where}.{name}", intervals)
            elif name not in found and where.partition(".")[0] not in PARTIAL:
                raise ValueError(f"{where}.{name} is missing")
    elif not _alike(found, made):
        raise ValueError(f"{where} is {found}, but the verdicts give {made}")


def _alike(found: Any, made: Any) -> bool:
    if isinstance(found, int | float) and isinstance(made, int | float):
        return math.isclose(found, made, rel_tol=0, abs_tol=ROUNDING)
    return bool(found == made)


def _names(of: Mapping[str, Any]) -> str:
    return ", ".join(of) or "none"


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{where} must be text")


def _text_or_null(value: Any, where: str) -> None:
    if not isinstance(value, str | None):
        raise ValueError(f"{where} must be text or null")


def _object(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object")


def _count(value: Any, where: str) -> None:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError(f"{where} must be a whole number, 0 or more")


def _number(value: Any, where: str) -> None:
    if type(value) not in (int, float) or not abs(value) <= _MOST:
        raise ValueError(f"{where} must be a number")


def _number_or_null(value: Any, where: str) -> None:
    if value is not None and (type(value) not in (int, float) or not abs(value) <= _MOST):
        raise ValueError(f"{where} must be a number or null")


def _share_or_null(value: Any, where: str) -> None:
    if value is not None and (type(value) not in (int, float) or not 0 <= value <= 1):
        raise ValueError(f"{where} must be a number from 0 to 1, or null")


def _signature(value: Any, where: str) -> None:
    _text(value, where)
    if not any(Signature.parse(value).parts.values()):
        raise ValueError(f"{where} has no parts, such as benchmark:mmie|edition:v1")


def _notes(value: Any, where: str) -> None:
    if not isinstance(value, list) or not all(isinstance(note, str) for note in value):
        raise ValueError(f"{where} must be a list of texts")


def _run_or_null(value: Any, where: str) -> None:
    if value is not None:
        _RUN(value, where)


def _each(check: Check) -> Check:
    """An object whose values are all of one kind."""

    def check_each(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be an object")
        for name, inner in value.items():
            check(inner, f"{where}.{name[:80]}")

    return check_each


def _fields(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these fields, and maybe others."""
    known = {**required, **(optional or {})}

    def check_fields(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where or 'it'} must be an object")
        for name, check in known.items():
            inside = f"{where}.{name}" if where else name
            if name in value:
                check(value[name], inside)
            elif name in required:
                raise ValueError(f"{inside} is missing")

    return check_fields


def _estimate(value: Any, where: str) -> None:
    _ESTIMATE_FIELDS(value, where)
    if value["value"] is not None and None in (value["ci_low"], value["ci_high"]):
        raise ValueError(f"{where} has a value and no interval")


_ESTIMATE_FIELDS = _fields(
    {"value": _number_or_null, "ci_low": _number_or_null, "ci_high": _number_or_null, "n": _count}
)
_ESTIMATES = _each(_estimate)
_SHARE = _fields({"n": _count, "rate": _share_or_null})
_FAILED = _fields({"n": _count}, {"rate": _share_or_null, "reasons": _each(_count)})
_RUN = _fields(
    {},
    {
        "answers": _fields({}, {"sha256": _text}),
        **dict.fromkeys(("model", "date", "interleaving"), _text_or_null),
    },
)
_RESULT = _fields(
    {
        "benchmark": _text,
        "signature": _signature,
        "n": _count,
        "metrics": _ESTIMATES,
        "unscored": _fields(
            {"n": _count, "rate": _share_or_null}, {"reasons": _each(_count), "categories": _each(_SHARE)}
        ),
        "categories": _each(_ESTIMATES),
        "dataset": _fields(
            {"repo": _text_or_null, "revision": _text_or_null, "edition": _text_or_null}, {"subset": _text_or_null}
        ),
    },
    {
        "groups": _each(_each(_ESTIMATES)),
        "criteria": _each(_ESTIMATES),
        "failures": _each(_FAILED),
        "notes": _notes,
        "run": _run_or_null,
        "chance": _each(_number),
        "bounds": _each(_each(_number_or_null)),
        "no_option": _SHARE,
        "by_rule": _fields({"ruled": _count, "questions": _count, "coverage": _number}),
        "condition": _fields(dict.fromkeys(("name", "picture", "contract", "procedure"), _text)),
        "contract": _object,
    },
)
