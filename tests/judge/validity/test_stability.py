"""Judges that are moved by one thing each, and the line of the table that shows it."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
from PIL import Image

from judge import cli
from judge.commands import probe as command
from judge.core.benchmark import find
from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal, Rubric
from judge.engines import Completion
from judge.model import images
from judge.scoring.grader import Grader
from judge.validity.stability import (
    CHANGES,
    FIRST,
    Setting,
    Trial,
    answers_to_repeat,
    paraphrased,
    repeat_judging,
    store_as_jpeg,
    store_as_png,
    store_jpeg_as_png,
)

RUBRIC = Rubric("toy", dict.fromkeys("AB", "Rate it.\n### Question\n{question}### Answer\n{answer}### Feedback\n"))
N = 6
ALL = [name for name, _, _, _ in CHANGES]


@pytest.fixture
def requests(tmp_path):
    """Six questions in two categories, with two pictures each: one in the question, one in the answer."""
    found = []
    for number in range(N):
        pictures = []
        for side in "qa":
            file = tmp_path / f"{number}{side}.bmp"
            Image.effect_noise((40, 30), 60 + number).convert("RGB").save(file)
            pictures.append(Picture(file, file.name))
        asked = (Text(f"Question {number}?"), pictures[0])
        found.append(Request(f"q{number}", "AB"[number % 2], asked, (Text(f"Answer {number} a b."), pictures[1])))
    return found


class Judge:
    """Scores by `score(prompts, number)`; answers come back in reverse, as an engine may give them."""

    reads = True
    identity = {"judge": "toy", "dtype": "float32"}  # noqa: RUF012 - as in the protocol

    def __init__(self, score):
        self.score = score

    def complete(self, prompts):
        for number in reversed(range(len(prompts))):
            score = self.score(prompts, number)
            yield number, Completion(f"### Feedback\nRead.\n### Score\n{score}" if score is not None else "Hm.")


def words(prompt):
    return "".join(piece.text for piece in prompt.pieces if isinstance(piece, Literal | Text))


def files(prompt):
    return [piece.path for piece in prompt.pieces if isinstance(piece, Picture)]


def steady(prompts, number):
    """By what the answer is alone: four for the words of the reference, whatever is around them."""
    return 4 if "a b." in words(prompts[number]) else 2


def by_position(prompts, number):
    return 1 if number < len(prompts) / 2 else 4


def by_company(prompts, number):
    return 2 if len(prompts) > 1 else 5


def by_format(prompts, number):
    """Bytes as bytes: a judge that sees the file's name end."""
    return 3 if any(file.suffix == ".png" for file in files(prompts[number])) else 1


def by_pixels(prompts, number):
    return sum(images.decode_image(file).getpixel((3, 3))[0] for file in files(prompts[number])) % 7


def by_heading(prompts, number):
    return 6 if "### Question" in words(prompts[number]) else 3


def by_last_words(prompts, number):
    return 0 if "### Score\n5" in words(prompts[number]) else 5


def moved(report):
    return {row.name: row.moved for row in report.rows if row.moved}


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (steady, set()),
        (by_company, {"batch"}),
        (by_heading, {"heading"}),
        (by_last_words, {"own_feedback"}),
        (by_format, {"png", "jpeg_as_png"}),
    ],
)
def test_a_judge_is_moved_by_what_moves_it(requests, tmp_path, score, expected):
    report = repeat_judging(Grader(Judge(score), RUBRIC), requests, tmp_path)
    assert set(moved(report)) == expected
    rows = {row.name: row for row in report.rows}
    assert list(rows) == ALL
    every = len(answers_to_repeat(requests))
    shown = sum(bool(request.pictures) for _, request in answers_to_repeat(requests))
    # good, dots, pictures of another, answer to another, half of the words: 5 x 6
    assert every == shown == 30
    assert {rows[name].n for name in ALL if name != "dtype"} == {30}
    assert rows["dtype"].why_not == "whoever serves the judge chose its number type"
    assert rows["dtype"].n == 0
    for name in expected - {"own_feedback"}:
        assert (rows[name].moved, rows[name].equal.value) == (30, 0.0)


def test_moves_by_hand(requests, tmp_path):
    """30 answers: the first 15 get 1, the others 4. In reverse order all of them change, by 3; one at a time each is
    the first of its own batch, which gives 1, so the second half moves."""
    report = repeat_judging(Grader(Judge(by_position), RUBRIC), requests, tmp_path)
    rows = {row.name: row for row in report.rows}
    assert (rows["order"].moved, rows["order"].largest, rows["order"].equal.value) == (30, 3, 0.0)
    assert (rows["batch"].moved, rows["batch"].largest, rows["batch"].equal.value) == (15, 3, 50.0)
    assert rows["again"].moved == 0
    # 6 clusters and nothing varies within all: Wilson at 6 of 6, 1 - z²/(6 + z²) = 1 - 3.8415/9.8415 = 0.6097
    assert rows["again"].equal.ci_low == pytest.approx(60.97, abs=0.01)
    assert report.sentences() == (
        "Scores are moved by 2 of the 8 changes that were tried: "
        "order (30 of 30, by up to 3), batch (15 of 30, by up to 3)."
    )


def test_pixels_are_the_same_as_png_and_not_as_jpeg(requests, tmp_path):
    report = repeat_judging(Grader(Judge(by_pixels), RUBRIC), requests, tmp_path)
    rows = {row.name: row for row in report.rows}
    assert rows["png"].moved == rows["jpeg_as_png"].moved == 0
    assert rows["jpeg"].moved > 0
    assert rows["jpeg_as_png"].against == "jpeg"


def test_what_the_files_hold(requests, tmp_path):
    """PNG: the decoded pixels. JPEG: those of Pillow's own file of them. PNG of the JPEG: those of the JPEG."""
    deep = tmp_path / "deep.png"
    Image.new("I;16", (8, 8), 30_000).save(deep)
    scaled = dataclasses.replace(requests[0], answer=(Picture(deep, "deep.png", scaled=True),))
    grader = Grader(Judge(steady), RUBRIC)
    for request in (requests[1], scaled):
        setting = Setting(Trial(grader, [request], [0]), [None], tmp_path)
        for change, kind in ((store_as_png, "PNG"), (store_as_jpeg, "JPEG"), (store_jpeg_as_png, "PNG")):
            (changed,) = change(setting).requests
            for before, after in zip(request.pictures, changed.pictures, strict=True):
                original = images.decode_image(before, scaled=before.scaled)
                held = io.BytesIO()
                original.save(held, "JPEG", quality=90)
                expected = original if change is store_as_png else Image.open(held).convert("RGB")
                assert images.decode_image(after).tobytes() == expected.tobytes()
                assert (Image.open(after.path).format, after.name) == (kind, before.name)


def test_what_a_change_leaves_as_it_is_does_not_count(tmp_path):
    """Answers without a picture are no evidence about formats, nor are those whose picture nobody can decode."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    plain = [Request(f"q{n}", "A", (Text("?"),), (Text(f"{n} words here"),)) for n in range(3)]
    given = [*plain, Request("q3", "A", (Text("?"),), (Text("x y"), Picture(broken, "broken.png")))]
    rows = {row.name: row for row in repeat_judging(Grader(Judge(steady), RUBRIC), given, tmp_path).rows}
    assert (rows["png"].n, rows["jpeg"].n, rows["jpeg_as_png"].n) == (0, 0, 0)
    assert rows["order"].n > 0


def test_a_score_that_is_lost_is_no_equal_one(requests, tmp_path):
    def shy(prompts, number):
        return None if "What was asked" in words(prompts[number]) else 4

    report = repeat_judging(Grader(Judge(shy), RUBRIC), requests, tmp_path)
    row = next(row for row in report.rows if row.name == "heading")
    assert (row.n, row.moved, row.lost, row.equal.value, row.largest) == (0, 0, 30, None, None)
    assert "heading (30 with a score in one judging only)" in report.sentences()


def test_the_other_number_type_is_another_engine(requests, tmp_path):
    report = repeat_judging(Grader(Judge(lambda p, n: 4), RUBRIC), requests, tmp_path, lambda: Judge(lambda p, n: 5))
    assert moved(report) == {"dtype": 30}
    assert report.to_json()["answers"][0] == {"id": "q0", "case": "good"} | dict.fromkeys([FIRST, *ALL], 4) | {
        "dtype": 5
    }


@pytest.mark.parametrize(
    ("template", "changed"),
    [
        ("Rate.\n### Question\n{question}\n{answer}", "Rate.\n### What was asked\n{question}\n{answer}"),
        ("# question:\n{question}", "# What was asked:\n{question}"),
        ("### Question\nof today\n{question}", None),
        ("Question\n{question}", None),
        ("### Question\n{answer}", None),
    ],
)
def test_the_heading_over_the_question(template, changed):
    found = paraphrased(Rubric("toy", {"A": template}))
    assert (found and found.templates["A"]) == changed


def test_both_wordings_of_mmie_have_that_heading():
    rubric = find("mmie").rubric("mmjudge")
    found = paraphrased(rubric)
    assert found.label != rubric.label
    for category, template in rubric.templates.items():
        assert found.templates[category] == template.replace("### Question\n{q", "### What was asked\n{q")


def test_command(tmp_path, monkeypatch, capsys):
    loaded = []

    def load_engine(judge, how):
        loaded.append((judge, how.dtype))
        return Judge(lambda prompts, number: 4 if how.dtype == "bfloat16" else 5)

    monkeypatch.setattr(command, "check_engine", lambda judge, how: None)
    monkeypatch.setattr(command, "load_engine", load_engine)
    arguments = ["probe", "toy-judge", "--repeat", "--rubric", "mmjudge", "--n", "1", "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    assert loaded == [("toy-judge", None), ("toy-judge", "bfloat16")]
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if line.startswith("dtype"))
    written = json.loads((tmp_path / "stability.json").read_text())
    n = len(written["answers"])
    assert line.split()[1:5] == [str(n), str(n), "1", "0.0%"]
    assert (written["questions"], written["judge"]) == (3, "toy")
    assert written["summary"].endswith(f"dtype ({n} of {n}, by up to 1).")
    loaded.clear()
    monkeypatch.setattr(command, "load_engine", lambda judge, how: Judge(lambda prompts, number: None))
    assert cli.main(["probe", "toy-judge", "--repeat", "--rubric", "mmjudge", "--n", "1"]) == 3
    assert capsys.readouterr().out.endswith("Nothing could be compared: no answer has a score twice.\n")
    monkeypatch.setattr(command, "load_engine", load_engine)
    assert cli.main(["probe", "http://localhost:1/v1", "--repeat", "--rubric", "mmjudge", "--n", "1"]) == 0
    assert loaded == [("http://localhost:1/v1", None)]
    assert "dtype         cannot be varied here: whoever serves" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay:feedback.jsonl", "--repeat"], "recorded feedback is the same under all circumstances"),
        (
            ["http://a/v1", "--repeat", "--dtype", "float32"],
            "--dtype means nothing here: this is for whoever serves the judge",
        ),
        (["judge", "--rubric", "mmjudge", "--repeat", "--tokenizer", "x"], "--tokenizer means nothing here"),
        (["judge", "--rubric", "mmjudge", "--tokenizer", "x"], "a judge that runs here brings its own tokenizer"),
        (["judge", "--repeat", "--benchmark", "mmvu"], "mmvu is decided by rules: no judge is asked"),
    ],
)
def test_command_refuses(arguments, message, capsys):
    assert cli.main(["probe", *arguments]) == 2
    assert message in capsys.readouterr().err
