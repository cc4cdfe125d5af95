"""`mmjudge view` on folders that are not as they were written: parts are gone, broken, of another hand, or change."""

import http.client
import json

import pytest

pytest.importorskip("uvicorn", reason="the view extra is not installed")

from local_pages import ask, get
from viewing import ids, judged, listing, viewed, write_run

from judge.core.verdict import Verdict
from judge.io.samples import Sample


def test_a_run_without_samples(tmp_path):
    with viewed(write_run(tmp_path / "run", [(judged("SA-1", 3)[0], None)])) as server:
        (about,) = get(server, "about")["benchmarks"]
        assert about["cautions"] == ["run has no questions and answers to read; score again to have them."]
        assert listing(server)["rows"] == [["SA-1", None, "SA", "", [[3, None]]]]
        found = get(server, "row/mmie?id=SA-1")
        assert (found["question"], found["runs"][0]["answer"]) == (None, None)
        assert ids(server, q="good") == ["SA-1"]  # the feedback


def test_files_that_change_meanwhile(tmp_path):
    folder = write_run(tmp_path / "run", [judged("SA-1", 3), judged("SA-2", 4)])
    with viewed(folder) as server:
        assert listing(server)["notes"] == []
        kept = (folder / "verdicts.jsonl").read_bytes()
        (folder / "verdicts.jsonl").unlink()  # as a new run replaces it: what was read is still shown
        (folder / "verdicts.jsonl").write_bytes(kept.replace(b'"score": 3', b'"score": 0'))
        (note,) = listing(server)["notes"]
        assert note == "run has changed since it was read; start the command again to see it as it is now."
        assert get(server, "row/mmie?id=SA-1")["runs"][0]["score"] == 3
        (folder / "samples.jsonl").write_bytes(b"x" * 2000)  # in place: what was read is no more
        status, _, body = ask(server, "GET", "row/mmie?id=SA-1")
        assert status == 409
        assert "its files have changed since they were read" in json.loads(body)["problem"]


def test_the_last_verdict_of_a_question_counts(tmp_path):
    folder = write_run(tmp_path / "run", [judged("SA-1", 3), judged("SA-2", 4)])
    again = Verdict("SA-1", "judge", 5, None, "SA", feedback="on second thoughts")
    text = (folder / "verdicts.jsonl").read_text()
    results = json.loads((folder / "results.json").read_text())
    (folder / "verdicts.jsonl").write_text(f"{text}{json.dumps(again.to_json())}\n")
    assert results["n"] == 2
    with viewed(folder) as server:
        assert [row[4] for row in listing(server)["rows"]] == [[[5, None]], [[4, None]]]
        assert get(server, "row/mmie?id=SA-1")["runs"][0]["feedback"] == "on second thoughts"
        assert ids(server, q="thoughts") == ["SA-1"]


def test_samples_that_cannot_all_be_read_are_told(tmp_path):
    folder = write_run(tmp_path / "run", [judged("SA-1", 3), judged("SA-2", 4)])
    good = (folder / "samples.jsonl").read_text().splitlines()
    (folder / "samples.jsonl").write_text(f"{good[0]}\nnonsense\n{good[1]}\n")
    with viewed(folder) as server:
        (note,) = listing(server)["notes"]
        assert note.startswith("run: samples.jsonl line 2 is not a sample")
        assert get(server, "row/mmie?id=SA-1")["runs"][0]["answer"] == [{"text": "an answer"}]


@pytest.mark.parametrize("spoil", [lambda line: line[:-20], lambda line: line.replace('"SA"', "5")])
def test_a_broken_sample_hides_no_other(tmp_path, spoil):
    """A line whose end a full disk has cut off, and one that another program wrote wrong: neither has changed."""
    folder = write_run(tmp_path / "run", [judged("SA-1", 3), judged("SA-2", 4)])
    good = (folder / "samples.jsonl").read_text().splitlines()
    (folder / "samples.jsonl").write_text(f"{good[0]}\n{spoil(good[1])}\n")
    with viewed(folder) as server:
        found = listing(server)
        assert [row[0] for row in found["rows"]] == ["SA-1", "SA-2"]
        (note,) = found["notes"]
        assert note.startswith("run: samples.jsonl ")
        assert get(server, "row/mmie?id=SA-2")["runs"][0]["answer"] is None
        _, _, body = ask(server, "GET", "export/mmie.jsonl")
        assert [json.loads(line)["runs"]["run"]["score"] for line in body.splitlines()] == [3, 4]


def test_files_that_change_while_they_are_sent(tmp_path, capfd):
    """The first of it is refused in words; what has begun ends without its end, and without a traceback."""
    rows = [judged(f"SA-{number}", 3, answer="long " * 20) for number in range(100)]
    folder = write_run(tmp_path / "run", rows)
    path = folder / "samples.jsonl"
    good = path.read_bytes()
    with viewed(folder) as server:
        path.write_bytes(good[:-1000] + b"x" * 1000)
        with pytest.raises(http.client.IncompleteRead):
            ask(server, "GET", "export/mmie.csv")
        path.write_bytes(b"x" * len(good))
        status, _, body = ask(server, "GET", "export/mmie.csv")
        assert (status, "have changed" in json.loads(body)["problem"]) == (409, True)
    told = capfd.readouterr().err
    assert "a file was cut off: run: its files have changed" in told
    assert "Traceback" not in told


def test_samples_in_another_layout(tmp_path):
    """A line that does not begin as ours, and one of a question that no verdict is about."""
    folder = write_run(tmp_path / "run", [judged("SA-1", 3)])
    row = json.loads((folder / "samples.jsonl").read_text())
    turned = {name: row[name] for name in reversed(list(row))}
    (folder / "samples.jsonl").write_text(f"{json.dumps(turned)}\n{json.dumps({**row, 'id': 'SA-8'})}\n")
    with viewed(folder) as server:
        assert ids(server, q="answer") == ["SA-1"]
        assert Sample("SA-1", None, "SA", (), ()).key == ("SA-1", None)
