"""The line that fixes how a run was measured."""

from __future__ import annotations

import dataclasses

import pytest
from toy import RUBRIC
from toy_runs import SOURCE, TOY

from judge import __version__
from judge.core.rubric import Rubric
from judge.core.signature import Signature
from judge.engines.replay import Replay
from judge.errors import UserError
from judge.scoring.pipeline import default_judge, default_rubric, make_signature


def test_the_signature_names_everything_in_order():
    identity = {"judge": "a/b@c|d", "weights": "12ab", "dtype": "float32"}
    signature = make_signature(TOY, SOURCE, "strict", RUBRIC, identity)
    assert str(signature) == (
        f"benchmark:toy|edition:v1|data:toy/toy@abc|profile:strict|rubric:toy@{RUBRIC.sha256[:8]}"
        f"|judge:a/b@c_d|weights:12ab|dtype:float32|parse:1|failures:1|responses:1|asked:unknown|version:{__version__}"
    )


IDENTITY = {
    "judge": "a/b@c0ffee",
    "weights": "12ab",
    "tiles": "12x448",
    "decoding": "greedy-1024",
    "dtype": "float32",
    "rope": "reference",
    "engine": "transformers",
}


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("benchmark", {"benchmark": dataclasses.replace(TOY, name="other")}),
        ("edition", {"source": dataclasses.replace(SOURCE, edition="CVPR")}),
        ("data", {"source": dataclasses.replace(SOURCE, revision="abd")}),
        ("profile", {"profile": "reference"}),
        ("rubric", {"rubric": Rubric("toy", {"T": RUBRIC.templates["T"] + " "})}),
        *((name, {"identity": {**IDENTITY, name: f"{value}!"}}) for name, value in IDENTITY.items()),
        ("parse", {"judge.core.score_text.VERSION": "2"}),
        ("responses", {"toy.Toy.signature_parts": lambda self, profile: {"responses": "2"}}),
        ("failures", {"judge.core.failure.VERSION": "2"}),
        ("version", {"judge.scoring.pipeline.__version__": "9.9"}),
    ],
)
def test_every_part_of_a_measurement_changes_the_line_and_is_named(monkeypatch, part, change):
    given = {"benchmark": TOY, "source": SOURCE, "profile": "strict", "rubric": RUBRIC, "identity": IDENTITY}
    before = make_signature(**given)
    for name, value in change.items():
        if "." in name:
            monkeypatch.setattr(name, value)
    after = make_signature(**{**given, **{name: value for name, value in change.items() if name in given}})
    assert str(before) != str(after)
    assert before.digest != after.digest
    assert list(before.differences(Signature.parse(str(after)))) == [part]  # what `mmjudge compare` says
    assert part in before.parts


def test_a_rule_has_no_judge_in_its_signature():
    signature = make_signature(dataclasses.replace(TOY, judged=False), SOURCE, "strict", RUBRIC, {"judge": "a"})
    assert (
        str(signature)
        == f"benchmark:toy|edition:v1|data:toy/toy@abc|failures:1|responses:1|asked:unknown|version:{__version__}"
    )


def test_a_replay_has_neither_data_nor_rubric(tmp_path):
    file = tmp_path / "f.jsonl"
    file.write_text('{"id": "q0", "feedback": "### Score\\n4"}\n')
    signature = make_signature(TOY, None, "strict", None, Replay(file).identity)
    # f9c31dfd: printf '{"id": "q0", "feedback": "### Score\\\\n4"}\\n' | sha256sum
    expected = "benchmark:toy|profile:strict|judge:replay|feedback:f9c31dfd|parse:1|failures:1|responses:1"
    assert str(signature) == f"{expected}|asked:unknown|version:{__version__}"
    file.write_text('{"id": "q0", "feedback": "### Score\\n5"}\n')
    other = make_signature(TOY, None, "strict", None, Replay(file).identity)
    assert other.digest != signature.digest  # other feedback is another key …
    assert other.differences(signature) == {}  # … but not another way to measure


def test_default_judge_and_its_rubric(tmp_path, monkeypatch):
    monkeypatch.delenv("MMJUDGE_JUDGE", raising=False)
    assert default_judge() == "MMIE/MMIE-Score"
    monkeypatch.setenv("MMJUDGE_JUDGE", str(tmp_path))
    assert default_judge() == str(tmp_path)
    assert default_rubric("MMIE/MMIE-Score") == default_rubric(str(tmp_path)) == "official"
    (tmp_path / "mmjudge.json").write_text('{"rubric": "mmjudge"}')
    assert default_rubric(str(tmp_path)) == "mmjudge"
    for text in ("{}", "[" * 100_000, '{"rubric": ["mmjudge"]}', '{"rubric": "a", "rubric": "b"}', "[]", "\xff"):
        (tmp_path / "mmjudge.json").write_text(text, encoding="latin-1")
        with pytest.raises(UserError, match=r"mmjudge\.json"):
            default_rubric(str(tmp_path))
