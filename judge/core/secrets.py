r"""Keys, tokens and passwords are hidden in every text that is shown or kept.

    hide_secrets("http://me:open-sesame@host/v1")        ->  "http://***@host/v1"
    hide_secrets("https://host/v1?api_key=abc&x=1")      ->  "https://host/v1?api_key=***&x=1"
    hide_secrets("no such key: Bearer abc123")           ->  "no such key: Bearer ***"
    hide_secrets("model=m,api_key=abc,batch_size=1")     ->  "model=m,api_key=***,batch_size=1"
    hide_secrets("--judge-token abc")                    ->  "--judge-token ***"
    hide_secrets("sk-proj-4f9a0b2c6d8e1a3b")             ->  "***"

A server's message may quote what was sent to it, a harness's arguments hold keys, and results are published. Values of
environment variables whose names end in KEY, TOKEN, SECRET or PASSWORD are known secrets, hidden wherever they stand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
SHORTEST_SECRET = 8
"""Characters; shorter values of variables are words."""

_VARIABLE = re.compile(r"(?i)(?:key|token|secret|password|passwd)\Z")
_NAME = (
    r"(?:[\w-]{0,40}[_-])?"
    r"(?:api[_-]?key|access[_-]?key|secret[_-]?key|(?:access|auth|api|hf|hub|bearer)[_-]?token|secret|password|passwd)"
)
"""What a value is called that nobody else may know; not a `pad_token`, nor `max_new_tokens`."""
_VALUE = r"""(?!…)[^\s"'\\,;&<>]+"""
"""Nothing where an ellipsis stands for it, as in a hint."""
_OPTION = r"--(?:[\w-]{0,40}-)?(?:key|token|secret|password)"
_PATTERNS = (
    (re.compile(r"""(://)[^/\s?#"'<>]*@"""), rf"\1{HIDDEN}@"),
    (
        re.compile(r"""(?i)\b(authorization["']?\s{0,3}[:=]\s{0,3}["']?(?:[a-z]{1,20}[ ]{1,3})?)""" + _VALUE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(Bearer\s{1,3})" + _VALUE), rf"\1{HIDDEN}"),
    (re.compile(rf"""(?i)(?<![\w-])({_NAME}["']?\s{{0,3}}(?:=|:\s{{0,3}})["']?)""" + _VALUE), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)([?&](?:[\w.-]{0,40}[_.-])?(?:key|token|sig|signature|auth)=)[^\s&#\"'<>]+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(?<!\S)({_OPTION}[ =])\S+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?<![\w-])(?:hf_[A-Za-z0-9]{16,}|sk-(?=[\w-]{0,200}\d)[\w-]{16,})"), HIDDEN),
)


def known_secrets(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that hold what nobody else may know, and their values. environment: None for that of this process."""
    found = os.environ if environment is None else environment
    return {name: value for name in found if _VARIABLE.search(name) and len(value := found[name]) >= SHORTEST_SECRET}


def hide_known_secrets(text: str) -> str:
    """`text` without the values of `known_secrets`; all else stays as it is."""
    for value in sorted(known_secrets().values(), key=len, reverse=True):  # one may be a part of another
        text = text.replace(value, HIDDEN)
    return text


def hide_secrets(text: str) -> str:
    """`text` without known secrets, and without what looks like one: see the module's examples."""
    text = hide_known_secrets(text)
    for pattern, hidden in _PATTERNS:
        text = pattern.sub(hidden, text)
    return text


def hide_secrets_in(value: Any) -> Any:
    """A JSON value with `hide_secrets` done to its texts: {"api_key": "abc"} and ["--api-key", "abc"] are seen, too."""
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, Mapping):
        return {k: HIDDEN if re.fullmatch(_NAME, str(k), re.I) and v else hide_secrets_in(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        before = [None, *value]
        pairs = zip(before, value, strict=False)
        return [HIDDEN if re.fullmatch(_OPTION, str(last), re.I) else hide_secrets_in(each) for last, each in pairs]
    return value
