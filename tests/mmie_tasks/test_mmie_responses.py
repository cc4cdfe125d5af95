"""What is read from a response: a table of layouts, and that no input raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmie_tasks.records import Part
from mmie_tasks.responses import parse

TABLE = [
    # plain text
    ("Step 2: press Enter.", [("Step 2: press Enter.", None)]),
    ("  kept as it is \n", [("  kept as it is \n", None)]),
    ("[1] a citation, not JSON", [("[1] a citation, not JSON", None)]),
    ("{question}", [("{question}", None)]),
    ('{"answer": 42}', [('{"answer": 42}', None)]),
    ("[1, 2]", [("[1, 2]", None)]),
    ("a <image> b", [("a <image> b", None)]),
    # {"text", "images"}
    ('{"text": "T", "images": ["a.png", "b.png"]}', [("T", None), (None, "a.png"), (None, "b.png")]),
    ('{"text": "S1 <image> S2 <image>", "images": ["a", "b"]}', [("S1", "a"), ("S2", "b")]),
    ('{"text": "<image>S1", "images": ["a"]}', [(None, "a"), ("S1", None)]),
    ('{"text": "S1 <image> S2", "images": ["a", "b"]}', [("S1", "a"), ("S2", None), (None, "b")]),
    ('{"text": "S1 <image> S2 <image> S3", "images": ["a"]}', [("S1", "a"), ("S2 <image> S3", None)]),
    ('{"text": "T", "images": []}', [("T", None)]),
    ('{"text": "T", "images": null}', [("T", None)]),
    ('{"text": null, "images": ["a"]}', [(None, "a")]),
    ('{"images": [{"path": "a"}, {"url": "b"}]}', [(None, "a"), (None, "b")]),
    ('{"text": "", "images": []}', []),
    ('{"text": 5, "images": []}', [('{"text": 5, "images": []}', None)]),
    ('{"text": "T", "images": [7]}', [('{"text": "T", "images": [7]}', None)]),
    # parts
    ([{"text": "S1", "image": "a"}, {"text": "S2", "image": None}], [("S1", "a"), ("S2", None)]),
    ('[{"text": "S1", "image": "a"}, {"text": null, "image": "b"}]', [("S1", "a"), (None, "b")]),
    ([{"text": None, "image": None}, {"text": " ", "image": ""}], []),
    (["S1", "S2"], [("S1", None), ("S2", None)]),
    ('{"text": "S1", "image": "a"}', [("S1", "a")]),
    (
        '{"content": [{"type": "text", "text": "S1"}, {"type": "image", "path": "a"}, {"type": "image", "url": "b"}]}',
        [("S1", None), (None, "a"), (None, "b")],
    ),
    ([{"type": "image_url", "image_url": {"url": "a"}}], [(None, "a")]),
    ([{"type": "audio"}], [('[{"type": "audio"}]', None)]),
    # the sentence of qwen_image_edit, failures, nothing
    ("Generated image saved to: out/x 1.png\n", [(None, "out/x 1.png")]),
    ("It said: Generated image saved to: x.png", [("It said: Generated image saved to: x.png", None)]),
    ("[GENERATION_FAILED] out of memory", []),
    ("", []),
    (" \n", []),
    (None, []),
    ([], []),
    # reasoning
    ("<think>a</think>B", [("B", None)]),
    ("a</think>B", [("B", None)]),
    ("A<think>never ends", [("A", None)]),
    ("<think>never ends", []),
    ('{"text": "a</think>B <image>", "images": ["x"]}', [("B", "x")]),
    ('{"text": "<think>one <image> idea</think>B <image>", "images": ["x"]}', [("B", "x")]),
    ('<think>{"text": "no"}</think>{"text": "B", "images": ["x"]}', [("B", None), (None, "x")]),
    ([{"text": "<think>a</think>B", "image": None}], [("B", None)]),
    ("◁think▷a◁/think▷B", [("B", None)]),  # every family that judge.core.thoughts knows
]


@pytest.mark.parametrize(("response", "expected"), TABLE)
def test_layouts(response, expected):
    assert parse(response) == tuple(Part(*pair) for pair in expected)


@pytest.mark.parametrize("bomb", ["[" * 100_000, '{"content":' * 100_000, '{"text": ' + "9" * 10_000 + "}"])
def test_json_bombs_are_text(bomb):
    assert parse(bomb) == (Part(bomb, None),)


@pytest.mark.parametrize(
    ("unit", "plain", "texts", "images"),
    [
        # unit × n = 200,000 characters; what is left of it as plain text, and of {"text": it + "end", "images": [a, b]}
        ("x", 200_000, 200_003, ["a", "b"]),
        ('"', 200_000, 200_003, ["a", "b"]),
        ("<think>", 0, 0, ["a", "b"]),  # a thought without end
        ("</think>", 0, 3, ["a", "b"]),  # "end" follows the last closing tag
        ("<image>", 199_997, 199_986, ["a", "b"]),  # 28,571 markers; two became images: 199,997 - 14 + 3
    ],
)
def test_a_long_answer_is_read(unit, plain, texts, images):
    text = unit * (200_000 // len(unit))
    assert sum(len(part.text or "") for part in parse(text)) == plain
    found = parse(json.dumps({"text": text + "end", "images": ["a", "b"]}))
    assert sum(len(part.text or "") for part in found) == texts
    assert [part.image for part in found if part.image] == images


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["text", "image", "images", "content", "type", "path", "url", "image_url"]) | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON_VALUES, st.text(max_size=5), st.text(max_size=5))
def test_no_response_raises(value, before, after):
    for response in (before + json.dumps(value) + after, value if isinstance(value, list) else None):
        for part in parse(response):
            assert part.text or part.image
            assert isinstance(part.text, str | None)
            assert isinstance(part.image, str | None)
