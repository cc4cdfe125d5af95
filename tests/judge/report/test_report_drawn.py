"""An answer of texts and pictures in the report: in order, with what each picture was drawn from, and who failed."""

import json
import re

import pytest
from PIL import Image

from judge.cli import main
from judge.publish.details import encode_responses
from judge.results.run_folder import RunFolder
from mmie_tasks.demo import demo_dir

pytest.importorskip("matplotlib", reason="the report extra is not installed")


@pytest.fixture
def scored(tmp_path):
    """Answers of a system of two, as `mmjudge ask` writes them, judged by recorded feedback."""
    ids = [record["id"] for record in json.loads((demo_dir() / "data.json").read_text())]
    (tmp_path / "pictures").mkdir()
    for name in ("one", "two"):
        Image.new("RGB", (8, 8), "red" if name == "one" else "blue").save(tmp_path / "pictures" / f"{name}.png")
    parts = [
        {
            "text": "First <b>this</b>.",
            "image": "pictures/one.png",
            "prompt": "a <red> kite",
            "seed": 7,
            "seconds": 1.94,
        },
        {"text": "Then that.", "image": "pictures/two.png", "prompt": "a boat", "seed": 8},
        {"text": "Done.", "image": None},
    ]
    lines = [{"id": ids[0], "response": parts}]
    lines += [
        {"id": id_, "response": response, "failed": {"reason": reason, "by": by, "note": "503"}}
        for id_, response, reason, by in (
            (ids[1], None, "call_failed", "writer"),
            (ids[2], None, "call_failed", "painter"),
            (ids[3], "", "empty_answer", "painter"),
            (ids[4], None, "call_failed", "painter"),
        )
    ]
    (tmp_path / "responses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    verdict = {"id": ids[0], "feedback": "### Feedback\nx\n### Score\n6"}
    (tmp_path / "feedback.jsonl").write_text(json.dumps(verdict) + "\n")
    out = tmp_path / "out"
    main(
        ["score", str(tmp_path / "responses.jsonl"), "--benchmark", "mmie", "--data", str(demo_dir()), "--partial",
         "--judge", f"replay:{tmp_path / 'feedback.jsonl'}", "--max-unscored", "100%", "--out", str(out)]
    )  # fmt: skip
    return out


def test_an_answer_reads_as_texts_and_pictures_in_order_with_what_they_were_drawn_from(scored, tmp_path):
    assert main(["report", f"A={scored}", "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    data = json.loads(re.search(r'<script[^>]*id="data-[^>]*>(.*?)</script>', page, re.S)[1])
    (row,) = [row for row in data["rows"] if row[5][0][2] and len(row[5][0][2]) > 1]
    first, one, below, then, two, there, done = row[5][0][2]
    assert [first, then, done] == ["First <b>this</b>.", "Then that.", "Done."]
    assert below == {"d": "drawn from: a <red> kite · seed 7 · 1.9 s"}
    assert there == {"d": "drawn from: a boat · seed 8"}
    assert one != two
    # escaped where the page itself says it
    assert "a <red> kite" not in page


def test_the_writers_failures_are_counted_apart_from_the_painters(scored, tmp_path):
    main(["report", f"A={scored}", "--out", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text()
    table = page.partition("Which part of a system failed")[2].partition("</table>")[0]
    rows = re.findall(r"<tr><td>(\w+)</td><td><code>(\w+)</code></td><td class=\"num\">(\d+)</td></tr>", table)
    assert sorted(rows) == [
        ("painter", "call_failed", "2"), ("painter", "empty_answer", "1"), ("writer", "call_failed", "1")
    ]  # fmt: skip


def test_what_is_published_says_how_a_picture_was_drawn(scored):
    lines = [json.loads(line) for line in encode_responses(RunFolder(scored).read_samples()).splitlines()]
    pictures = [part for line in lines for part in line["response"] if part["image"]]
    assert [(part["prompt"], part["seed"], part.get("seconds")) for part in pictures] == [
        ("a <red> kite", 7, 1.94), ("a boat", 8, None)
    ]  # fmt: skip
