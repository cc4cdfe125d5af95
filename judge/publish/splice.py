"""Our values put into YAML that others wrote, so that not a byte of theirs changes.

    text = '- dataset: {id: a}   # mine\\n  value: 63.30\\n'
    append_items(text, sequence_in(text), [{"dataset": {"id": "b"}, "value": 1.5}])  ->  [Edit(44, 44, "- dataset:…")]
    first_that(apply(text, [edit]) for edit in …)

A file is never loaded and dumped: that loses comments, indentation, line ends and the way a number is spelt. PyYAML
says at which characters a value stands, and only those are exchanged. Where an addition belongs cannot always be told
from that, so additions come as several possible edits, for the caller to try: the first whose meaning is right is it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line in YAML 1.1."""


class Edit(NamedTuple):
    """The characters from `start` up to `end` become `text`."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """`text` with all edits made; none may overlap another."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def first_that(means: Callable[[str], bool], texts: Iterable[str]) -> str | None:
    """The first of the texts that means what it should, None where none does."""
    return next((text for text in texts if means(text)), None)


def same_value(one: Any, other: Any) -> bool:
    """Whether two values from YAML are alike to the last digit, order of keys included; not-a-number is itself."""
    return repr(one) == repr(other)


def root_of(text: str) -> yaml.Node | None:
    """The outermost node, None where there is none. Raises yaml.YAMLError."""
    return yaml.compose(text, Loader=yaml.SafeLoader)


def value_of(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The value of a mapping under `key`; None where there is none, or no mapping."""
    if not isinstance(node, yaml.MappingNode):
        return None
    found = [value for name, value in node.value if isinstance(name, yaml.ScalarNode) and name.value == key]
    return found[-1] if found else None


def dump_yaml(data: Any) -> str:
    """Plain data as YAML of several lines, in the order it has."""
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
    return text


def replace_item(text: str, sequence: yaml.SequenceNode, number: int, value: Mapping[str, Any]) -> Edit:
    """The edit that makes `value` of an item; comments behind it stay."""
    item = sequence.value[number]
    start, end = item.start_mark.index, _content_end(text, item)
    end = start + len(text[start:end].rstrip())
    if sequence.flow_style or item.flow_style:
        return Edit(start, end, _one_line(value))
    return Edit(start, end, _indented(dump_yaml(value).rstrip("\n"), item.start_mark.column, newline_of(text, start)))


def append_items(text: str, sequence: yaml.SequenceNode, values: Sequence[Mapping[str, Any]]) -> list[Edit]:
    """Edits that may add `values` at the end of a sequence: right behind its last item first, then farther down."""
    if sequence.flow_style:
        end = sequence.end_mark.index - 1  # the bracket
        added = ", ".join(map(_one_line, values))
        return [Edit(end, end, f", {added}"), Edit(end, end, added)] if sequence.value else [Edit(end, end, added)]
    before = [mark for mark in _dashes(text) if mark.index < sequence.value[-1].start_mark.index]
    return append_lines(text, sequence, dump_yaml(list(values)), before[-1].column)


def append_lines(text: str, node: yaml.Node, lines: str, column: int) -> list[Edit]:
    """Edits that may add lines, indented by `column`, to a block: behind its content, then before what follows it."""
    content = _content_end(text, node)
    return [_at_line(text, content, lines, column), _at_line(text, node.end_mark.index, lines, column)]


def append_to_end(text: str, lines: str, column: int = 0) -> Edit:
    """The edit that adds lines at the end of the text."""
    return _at_line(text, len(text), lines, column)


def replace_scalar(node: yaml.Node, value: Any) -> Edit:
    """The edit that makes `value` of a scalar, which may be written as nothing at all."""
    start, end = node.start_mark.index, node.end_mark.index
    return Edit(start, end, ("" if end > start else " ") + _one_line(value))


def newline_of(text: str, position: int) -> str:
    """How lines end before a position, else behind it; a newline where there are no lines."""
    before = _BREAK.findall(text, 0, position)
    found = before[-1:] or _BREAK.findall(text)[:1]
    return found[0] if found else "\n"


def _at_line(text: str, position: int, lines: str, column: int) -> Edit:
    """Lines put where a line begins: at `position`, or behind the line that it is in the middle of."""
    newline = newline_of(text, position)
    if position and not _BREAK.fullmatch(text[position - 1]):
        found = _BREAK.search(text, position)
        if found is None:
            return Edit(len(text), len(text), newline + " " * column + _indented(lines, column, newline))
        position = found.end()
    return Edit(position, position, " " * column + _indented(lines, column, newline))


def _indented(lines: str, column: int, newline: str) -> str:
    """Lines with all but the first indented, and ended in their own way."""
    return re.sub(r"\n(?=.)", "\n" + " " * column, lines).replace("\n", newline)


def _one_line(value: Any) -> str:
    text: str = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=float("inf")
    ).strip()
    return text


def _content_end(text: str, node: yaml.Node) -> int:
    """Where the last character of a value ends; a block's own mark is at what follows it, comments in between."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return int(node.end_mark.index)
    start, end = node.start_mark.index, node.end_mark.index
    tokens = ((token.start_mark.index, token.end_mark.index) for token in yaml.scan(text, Loader=yaml.SafeLoader))
    return int(max(last for first, last in tokens if start <= first < end and first < last))


def _dashes(text: str) -> list[yaml.Mark]:
    scanned = yaml.scan(text, Loader=yaml.SafeLoader)
    return [token.start_mark for token in scanned if isinstance(token, yaml.BlockEntryToken)]
