"""Whatever the file of others looks like, not a byte outside of our own entries changes; merging again changes nothing.

`MMJUDGE_EXAMPLES=5000` for more layouts than the usual hundred.
"""

from __future__ import annotations

import os

import pytest
import runs
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_publish_entries import ENTRIES, README, entry

from judge.errors import UserError
from judge.publish import entries, model_index, splice

many = settings(max_examples=int(os.environ.get("MMJUDGE_EXAMPLES", "100")), deadline=None, derandomize=True)

VALUES = [
    "value: 63.30", "value: 0x1F", "value: 1_000", "value: .nan", "value: ~", "value:", 'notes: "a\\tb"',
    "notes: 'it''s'", "notes: two\n  lines", "notes: |\n  kept\n   as it is", "notes: >-\n  folded\n\n  text",
    "notes: |+\n  with its blank lines\n\n", "extra: {a: [1, 2.50], b: }", "extra:\n- 1\n-   two", "date: 2026-01-02",
    "? a\n: b", "notes: é \U0001f600", "on: yes", "notes: !!str 12", 'notes: "[]{},&*"', "notes: a#b", "extra: []",
]  # fmt: skip
COMMENTS = ["", "   # a comment", " # - dataset: {id: no}"]
BETWEEN = ["", "\n", "# a line of its own\n", "      # and one far in\n", "\n\n# two\n"]


@st.composite
def foreign_entry(draw, task: str | None = None) -> str:
    """A mapping in block or flow style, its first line without indentation."""
    name = task or draw(st.sampled_from(["hle", "mmvu_v1_mr", "'quoted'", "é"]))
    if draw(st.booleans()):
        return f"{{dataset: {{id:  x/y,task_id: {name}}} , value: 20.90 }}"
    dataset = draw(
        st.sampled_from([f"dataset: {{id: x/y, task_id: {name}}}", f"dataset:\n    id: x/y\n    task_id: {name}"])
    )
    values = draw(st.lists(st.sampled_from(VALUES), max_size=4, unique_by=lambda value: value.partition(":")[0]))
    values = draw(st.permutations([dataset, *values]))
    commented = [value + (draw(st.sampled_from(COMMENTS)) if "\n" not in value else "") for value in values]
    return "\n".join(commented)


@st.composite
def foreign_file(draw, ours: str | None = None) -> tuple[str, str, str]:
    """A list of entries: what stands before our own entry, the entry, and what stands behind it; "" where none is."""
    count, indent = draw(st.integers(1, 4)), draw(st.integers(0, 4))
    place = draw(st.integers(0, count - 1)) if ours is not None else -1
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    parts = [draw(st.sampled_from(["", "---\n", "# kept by hand\n", "%YAML 1.1\n---\n", "\ufeff"]))]
    parts += ["", ""]
    at = 0
    for number in range(count):
        space = draw(st.integers(1, 3))
        item = ours if number == place else draw(foreign_entry())
        item = item.replace("\n", "\n" + " " * (indent + 1 + space)).rstrip(" ")
        parts[at] += " " * indent + "-" + " " * space
        if number == place:
            parts[1], at = item, 2
        else:
            parts[at] += item
        last = number == count - 1
        end = draw(st.sampled_from(["\n", "", "\n..." if ours is None else "\n", "\n\n  \n"])) if last else "\n"
        comment = draw(st.sampled_from(COMMENTS)) if number == place else ""
        parts[at] += comment + end + (draw(st.sampled_from(BETWEEN)) if not last else "")
    before, own, after = (part.replace("\n", newline) for part in parts)
    if draw(st.booleans()):  # one line ends as the others do not
        before = before.replace(newline, "\r\n" if newline == "\n" else "\n", 1)
    return before, own, after


def readable(text: str) -> bool:
    try:
        entries.parse_entries(text, ENTRIES)
    except UserError:
        return False
    return True


def inserted(text: str, merged: str) -> str | None:
    """What was put into `text` in one place to make `merged` of it; None where that is not what happened."""
    differing = (place for place, (one, other) in enumerate(zip(text, merged, strict=False)) if one != other)
    start = next(differing, min(len(text), len(merged)))
    end = len(text) - start
    return merged[start : len(merged) - end] if end == 0 or merged.endswith(text[start:]) else None


@many
@given(foreign_file())
def test_what_is_added_is_all_that_changes(made):
    text = "".join(made)
    if not readable(text):  # layouts that YAML itself refuses are refused
        with pytest.raises(UserError):
            entries.merge_entries(text, [entry()], ENTRIES)
        return
    new = [entry(), entry(25.0, task="mmvu_v1_pos")]
    unended = not text.endswith("\n") and not splice.same_value(yaml.safe_load(text + "\n"), yaml.safe_load(text))
    if unended:
        with pytest.raises(UserError):  # a line end would become part of the last text
            entries.merge_entries(text, new, ENTRIES)
        return
    merged = entries.merge_entries(text, new, ENTRIES)
    assert inserted(text, merged)
    assert splice.same_value(yaml.safe_load(merged), [*yaml.safe_load(text), *new])
    assert entries.merge_entries(merged, new, ENTRIES) == merged


OWN = [
    yaml.safe_dump(entry(55.0), sort_keys=False).rstrip(),
    yaml.safe_dump(entry(55.0), width=30).rstrip(),
    yaml.safe_dump(entry(55.0), default_flow_style=True, width=1000).rstrip(),
    "notes: |-\n  RA; signature: benchmark:mmvu|v:1\nsource: {name: mmjudge, url: 'https://hf.co/datasets/org/details'}\n"
    f"dataset: {{id: {runs.REPO}, task_id: mmvu_v1_ra}} # ours, so this may go\nvalue: 55.0",
]


@many
@given(st.data())
def test_what_is_replaced_is_all_that_changes(data):
    before, own, after = data.draw(foreign_file(data.draw(st.sampled_from(OWN))))
    text = before + own + after
    if not readable(text):
        return
    there = yaml.safe_load(text)
    merged = entries.merge_entries(text, [entry()], ENTRIES)
    assert merged.startswith(before)
    assert merged.endswith(after)
    wanted = [entry() if one["dataset"]["id"] == runs.REPO else one for one in there]
    assert splice.same_value(yaml.safe_load(merged), wanted)
    assert entries.merge_entries(merged, [entry()], ENTRIES) == merged


@many
@given(foreign_file())
def test_generated_files_are_mostly_ones_that_yaml_takes(made):
    # the property above must not hold because everything is refused: only "..." behind a comment is no YAML here
    assert readable("".join(made))


BLOCK = splice.dump_yaml([entry()])
FLOW = yaml.safe_dump(entry(), default_flow_style=True, sort_keys=False, width=1000).rstrip()


@pytest.mark.parametrize(
    ("text", "merged"),
    [
        # indented, 63.30, comments, one of them behind the last entry
        ("# x\n  - dataset: {id: a}  # y\n    value: 63.30\n  # z\n", "{text}  " + BLOCK.replace("\n  ", "\n    ")),
        ("- dataset: {id: a}\r\n  value: 63.30\r\n", "{text}" + BLOCK.replace("\n", "\r\n")),
        ("- dataset: {id: a}", "{text}\n" + BLOCK),
        ("- dataset: {id: a}\n...\n", "- dataset: {id: a}\n" + BLOCK + "...\n"),
        ("[{dataset: {id: a}}, ]\n", "[{dataset: {id: a}}, " + FLOW + "]\n"),
        ("[{dataset: {id: a}}\n]\n", "[{dataset: {id: a}}\n, " + FLOW + "]\n"),
        ("[]  # none yet\n", "[" + FLOW + "]  # none yet\n"),
        ("null # none yet\n", "[" + FLOW + "] # none yet\n"),
        ("---\n", "{text}" + BLOCK),
    ],
)
def test_layouts(text, merged):
    assert entries.merge_entries(text, [entry()], ENTRIES) == merged.replace("{text}", text)


def test_what_cannot_be_left_alone_is_refused():
    with pytest.raises(UserError, match="cannot be added to without a change"):
        # a text that ends without a line end: whatever is put behind it gives it one
        entries.merge_entries("- dataset: {id: a}\n  notes: |\n    as it is", [entry()], ENTRIES)
    own = "- &own " + yaml.safe_dump(entry(55.0), default_flow_style=True, width=1000)
    text = own + "- {dataset: {id: a}, like: *own}\n"
    with pytest.raises(UserError, match="cannot be added to without a change to what others wrote"):
        entries.merge_entries(text, [entry()], ENTRIES)


RESULT = {
    "task": {"type": "image-text-to-text"},
    "dataset": {"type": runs.REPO, "name": "MMVU (edition v1)"},
    "metrics": [{"type": "ra", "value": 60.0, "args": {"signature": "benchmark:mmvu|v:1"}}],
}
OTHER = """\
task: {type: t}
dataset: {type: d, name: D}   # theirs
metrics:
  - type: acc
    value: 63.30
"""


@st.composite
def readme(draw) -> str:
    """A model's README whose metadata has an index of others, an empty one, or none."""
    indent = draw(st.sampled_from(["", "  ", "    "]))
    inner = indent + "    " if indent else "  "
    others = "".join(
        f"{inner}- " + OTHER.rstrip("\n").replace("\n", f"\n{inner}  ") + "\n" for _ in range(draw(st.integers(1, 2)))
    )
    index = draw(
        st.sampled_from(
            [
                "",
                "model-index:\n",
                "model-index: []  # none yet\n",
                f"model-index:   # by hand\n{indent}- name: Net  # so called\n{indent}  results:\n{others}",
                f"model-index:\n{indent}- name: Net\n",
                f"model-index:\n{indent}- name: Net\n{indent}  results:\n",
                f"model-index:\n{indent}- name: Net\n{indent}  results: []\n",
                "model-index: [{name: Net, results: [{dataset: {type: d, name: D}, metrics: [{value: 63.30}]}]}]\n",
            ]
        )
    )
    lines = draw(st.permutations(["license: mit   # as the weights\n", "tags:\n- a\n- 'b'\n", "# a comment\n", index]))
    text = "---\n" + "".join(lines) + "---\n\n# Net\n\n---\nmodel-index: not here\n"
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return text.replace("\n", "\r\n", 1) if draw(st.booleans()) and "\r\n" not in text else text


@many
@given(readme())
def test_only_our_result_is_put_into_a_readme(text):
    merged = model_index.merge_result(text, RESULT, "net")
    assert inserted(text, merged)
    assert model_index.merge_result(merged, RESULT, "net") == merged
    earlier = {**RESULT, "metrics": [{**RESULT["metrics"][0], "value": 1.25}]}
    assert model_index.merge_result(model_index.merge_result(text, earlier, "net"), RESULT, "net") == merged


def test_one_line_that_ends_otherwise_stays_the_only_one():
    text = README.replace("# Net\n", "# Net\r\n")
    merged = model_index.merge_result(text, RESULT, "net")
    assert inserted(text, merged)
    assert merged.count("\r\n") == 1
