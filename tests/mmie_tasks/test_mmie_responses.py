"""What is read from a response: a table of layouts, parts in every written form, and that no input raises."""

import json

import folders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.core.request import Request
from judge.core.verdict import Verdict
from mmie_tasks import judging
from mmie_tasks.metrics import summarise
from mmie_tasks.records import Part
from mmie_tasks.responses import Response, parse_response


def parse(response):
    """Its parts alone."""
    return parse_response(response).parts


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
    ('{"text": "", "videos": ["a.mp4"]}', [(None, "a.mp4")]),  # lmms-eval's fastvideo
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


STEPS = [{"type": "text", "content": 'It\'s "hot".'}, {"type": "image", "content": "a.png"}]
READ = (Part('It\'s "hot".', None), Part(None, "a.png"))
LONG = "The first step needs some care, and this is why. " * 5  # 245 characters


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        # items
        ('[{"type": "output_text", "text": "S", "annotations": []}]', [("S", None)]),
        ('[{"type": "input_image", "image_url": "a.png", "detail": "low"}]', [(None, "a.png")]),
        ('[{"type": "text", "text": {"value": "S"}}, {"type": "image_file", "image_file": {"file_id": "f"}}]',
         [("S", None), (None, "f")]),
        ('[{"type": "text", "value": "S"}, {"type": "image", "value": "a.png"}]', [("S", None), (None, "a.png")]),
        ('[{"type": "image", "image": "data:image/png;base64,AAAA"}]', [(None, "data:image/png;base64,AAAA")]),
        ('[{"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}}]',
         [(None, "data:image/jpeg;base64,AAAA")]),
        ('[{"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}]', [(None, "https://x/a.png")]),
        ('[{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"type": "text", "text": "S"}]}]',
         [("S", None)]),
        ('[{"type": "image", "content": null}, {"type": "text", "content": "S"}]', [("S", None)]),
        ('[["text", "S"], ["image", "a.png"]]', [("S", None), (None, "a.png")]),
        ([["text", "S"], ["image", "a.png"]], [("S", None), (None, "a.png")]),
        ('["text", "image"]', [("text", None), ("image", None)]),  # two texts
        ('{"text": ["S1", null, "S2"], "images": [null, "a", "b"]}', [("S1", None), (None, "a"), ("S2", "b")]),
        ('[{"text": "S1", "images": ["a", "b"]}, {"text": "S2", "image": ["c"]}]',
         [("S1", None), (None, "a"), (None, "b"), ("S2", None), (None, "c")]),
        (json.dumps('[{"text": "S", "image": "a"}]'), [("S", "a")]),  # JSON in JSON
        # wrappers
        ('{"parts": [{"text": "S"}, {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}}]}',
         [("S", None), (None, "data:image/webp;base64,AAAA")]),
        ('{"steps": [{"text": "S", "image": "a"}]}', [("S", "a")]),
        ('{"tags": ["x", "y"]}', [('{"tags": ["x", "y"]}', None)]),
        ('{"role": "assistant", "content": "S", "images": [{"type": "image_url", "image_url": {"url": "a"}}]}',
         [("S", None), (None, "a")]),
        ('[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "S"}]', [("S", None)]),
        ('{"choices": [{"message": {"role": "assistant", "content": [{"text": "S"}]}}, {"message": {}}]}',
         [("S", None)]),
        # text around
        (f"{LONG}\n```json\n{json.dumps(STEPS[1:])}\n```", [(LONG.strip(), None), (None, "a.png")]),
        ('Step 1:\n{"text": "S1", "image": "a"}\nStep 2:\n{"text": "S2", "image": "b"}',
         [("Step 1:", None), ("S1", "a"), ("Step 2:", None), ("S2", "b")]),
        ('See ["a", "b"] above.', [('See ["a", "b"] above.', None)]),
        ("![a cat](a.png)", [("![a cat](a.png)", None)]),
    ],
)  # fmt: skip
def test_items_and_wrappers(response, expected):
    assert parse_response(response) == Response(tuple(Part(*pair) for pair in expected))


FORMS = {
    "JSON": lambda steps: json.dumps(steps),
    "indented": lambda steps: json.dumps(steps, indent=4),
    "not escaped": lambda steps: json.dumps(steps, ensure_ascii=False),
    "Python": repr,
    "a comma too many": lambda steps: json.dumps(steps)[:-1] + ",\n]",
    "lines": lambda steps: "\n".join(map(json.dumps, steps)),
    "no brackets": lambda steps: ",\n".join(map(json.dumps, steps)),
    "wrapper": lambda steps: json.dumps({"output": steps}),
    "pairs": lambda steps: json.dumps([[step["type"], step["content"]] for step in steps]),
    "tuples": lambda steps: repr([(step["type"], step["content"]) for step in steps]),
}
AROUND = {
    "nothing": "{}",
    "fence": "```json\n{}\n```",
    "bare fence": "```\n{}```",
    "tildes": "~~~JSON\n{}\n~~~",
    "fence and sentences": "Here is my answer:\n\n```json\n{}\n```\n\nI hope this helps!",
    "sentence": "Here is my answer: {}",
    "heading": "### Answer\n\n{}\n\n",
    "assignment": "```python\nanswer = {}\n```",
    "tag": "<answer>{}</answer>",
    "BOM": "\ufeff{}",
    "fence that does not end": "```json\n{}",
    "thought": "<think>It could be [1].</think>\n{}",
    "Magistral": "[THINK]Or [2]?[/THINK]{}",
    "turn": "<|im_start|>assistant\n{}<|im_end|>\n<|im_start|>user\nWhat is [3]?",
    "fence and end": "```json\n{}\n```<|im_end|>",
    **{end: "{}" + end for end in (
        "<|im_end|>", "</s>", "<|endoftext|>", "\n<end_of_turn>", "<eos>", "<|eot_id|>", "<｜end▁of▁sentence｜>",
    )},
}  # fmt: skip


def written(steps, form, around):
    return AROUND[around].replace("{}", FORMS[form](steps))


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("form", FORMS)
def test_parts_in_every_written_form(form, around):
    assert parse_response(written(STEPS, form, around)) == Response(READ)


WORDS = st.text(st.sampled_from("ab \n'\"[]{}(),:\\`é😀1"), min_size=1).filter(str.strip)
NAMES = st.text(st.sampled_from("ab/.-_ '\"1é"), min_size=1).map(lambda name: f"{name}.png")
STEP = st.builds(lambda text: {"type": "text", "content": text}, WORDS) | st.builds(
    lambda name: {"type": "image", "content": name}, NAMES
)


@given(st.lists(STEP, min_size=1, max_size=5), st.sampled_from(list(FORMS)), st.sampled_from(list(AROUND)))
def test_what_is_written_is_read_back(steps, form, around):
    parts = tuple(
        Part(step["content"], None) if step["type"] == "text" else Part(None, step["content"]) for step in steps
    )
    assert parse_response(written(steps, form, around)) == Response(parts)


WHOLE = json.dumps(STEPS)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (WHOLE[:-1], "ends in the middle"),
        (WHOLE[:30], "ends in the middle"),
        ('[{"type"', "ends in the middle"),
        (f"```json\n{WHOLE[:50]}", "ends in the middle"),
        (f"Here is my answer: {WHOLE[:60]}", "ends in the middle"),
        (f"<think>Well.</think>{WHOLE[:60]}", "ends in the middle"),
        ("```json\n{broken}\n```", "no JSON"),
        ('[{"type": "text" "content": "a"}]', "no JSON"),
        ("[{'type': 'text', 'content': 'don't'}]", "no JSON"),
        ("[{“type”: “text”, “content”: “a”}]", "no JSON"),
        ('[{type: "text", content: "a"}]', "no JSON"),
        ('{"text": "T", "images": [7]}', "known layouts"),
        ('[{"type": "audio"}]', "known layouts"),
        ('```json\n{"answer": 42}\n```', "known layouts"),
        ('[{"type": "text", "content": ' * 100, "nested"),
        ('{"content": [' * 30 + "]}" * 30, "known layouts"),
    ],
)
def test_what_looks_like_parts_and_cannot_be_read_says_so(response, reason):
    found = parse_response(response)
    assert len(found.parts) == 1
    assert found.parts[0].text in response
    assert reason in found.unreadable
    assert found.note == f"looks like a list of parts and was judged as text: {found.unreadable}"


@pytest.mark.parametrize(
    "response",
    ["[1] a citation", '[Step 1] Say "text": x', "{question}", '{"answer": 42}', "[see (a)", WHOLE, [], None],
)
def test_other_texts_say_nothing(response):
    assert parse_response(response).unreadable is None
    assert parse_response(response).note is None


def test_real_interleaved_answers_are_read_whole():
    """The 2,000 answers of MMRB2, as values and in every written form that keeps pairs."""
    file = folders.SHARED / "data" / "mmrb2" / "interleaved_response_only.json"
    if not file.is_file():
        pytest.skip(f"{file.name} of MMRB2 is not beside this checkout")
    pairs = json.loads(file.read_text(encoding="utf-8"))["pairs"]
    answers = [pair[side]["response_content"] for pair in pairs for side in ("response_a", "response_b")]
    assert len(answers) == 2_000
    pictures = 0
    for answer in answers:
        parts = tuple(Part(said, None) if kind == "text" else Part(None, said) for kind, said in answer if said.strip())
        pictures += sum(part.image is not None for part in parts)
        assert parse_response(answer) == Response(parts)
        assert parse_response(json.dumps(answer)) == Response(parts)
        assert parse_response(f"Here is my answer:\n```json\n{json.dumps(answer, indent=1)}\n```") == Response(parts)
        typed = [{"type": kind, "content": said} for kind, said in answer]
        assert parse_response(f"{typed!r}</s>") == Response(parts)
    assert pictures == 5_779


def test_a_verdict_and_the_summary_say_what_could_not_be_read():
    response = parse_response(WHOLE[:-1])
    request = judging.noted(Request("SA-1", "SA", (), (), details={"field": "x"}), response)
    assert request.details == {"field": "x", "unreadable": "it ends in the middle", "note": response.note}
    refused = judging.noted(
        Verdict("SA-2", "judge", None, "image_refused", "SA", details={"note": "too large"}), response
    )
    assert refused.details["note"] == f"too large; {response.note}"
    assert judging.noted(request, Response(())) is request
    scored = [Verdict(f"SA-{n}", "judge", 4, category="SA", details=request.details if n < 2 else {}) for n in range(5)]
    assert summarise(scored, None).notes == [
        "2 of 5 answers look like lists of parts, could not be read as such and were judged as text"
    ]
    assert summarise(scored[2:], None).notes == []
