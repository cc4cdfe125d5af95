"""What arrives on the Hub, and what a second push does."""

from __future__ import annotations

import json

import fake_hub
import pytest
import runs
import yaml
from huggingface_hub import parse_eval_result_entries

from judge.core.request import Picture, Text
from judge.io import samples
from judge.io.samples import Missing, Sample
from judge.publish import plan

MODEL, DATASET = ("model", "org/net"), ("dataset", "org/details")
ENTRIES = ".eval_results/mmvu.yaml"


def entries(hub, branch="refs/pr/1"):
    return yaml.safe_load(hub.repos[MODEL].branches[branch][ENTRIES])


def test_a_dry_run_shows_everything_and_sends_nothing(hub, publish):
    code, out, _ = publish("--details", "org/details", "--model-index")
    assert code == 0
    assert hub.writes == []
    for shown in (
        "+++ .eval_results/mmvu.yaml, ours",
        "+    task_id: mmvu_v1_ra",
        "+++ README.md, ours",
        "+model-index:",
        "dataset org/details, to be created",
        "verdicts.jsonl",
        "edition v1",
        "nothing was sent; add --push",
    ):
        assert shown in out


def test_the_numbers_arrive_with_interval_edition_and_signature(hub, publish, folder):
    code, out, _ = publish("--push")
    assert code == 0
    assert f"{hub.url}/org/net/discussions/1" in out
    assert ENTRIES not in hub.repos[MODEL].branches["main"]  # a pull request, not a commit
    found = {entry.task_id: entry for entry in parse_eval_result_entries(entries(hub))}
    # PP 180, PN 60, NP 0, NN 60 of 300 pairs: RA 180/300, MR 60/240, POS 240/300, NEG 180/300
    values = {"mmvu_v1_ra": 60.0, "mmvu_v1_mr": 25.0, "mmvu_v1_pos": 80.0, "mmvu_v1_neg": 60.0}
    assert {name: entry.value for name, entry in found.items()} == values
    signature = json.loads((folder / "results.json").read_text())["signature"]
    for entry in found.values():
        assert entry.dataset_id == runs.REPO
        assert entry.dataset_revision == runs.REVISION
        assert entry.source_url is None
    # Wilson for 180 of 300: centre (0.6 + 1.9207/300) / (1 + 3.8415/300) = 0.59874, half 0.05510
    assert found["mmvu_v1_ra"].notes == (
        f"RA 60.00, 95% interval 54.36 to 65.38, n 300; edition v1; unscored 0.0%; signature: {signature}"
    )


def test_a_local_copy_has_no_revision_of_the_hub(hub, publish, folder):
    runs.write(folder, revision="local:0123456789ab")
    assert publish("--push")[0] == 0
    assert all("revision" not in entry["dataset"] for entry in entries(hub))


def test_a_second_push_is_a_no_op_before_and_after_merging(hub, publish):
    assert publish("--push", "--details", "org/details", "--model-index")[0] == 0
    hub.requests.clear()
    code, out, _ = publish("--push", "--details", "org/details", "--model-index")
    assert (code, hub.writes) == (0, [])
    assert f"an open pull request brings it already, {hub.url}/org/net/discussions/1" in out
    assert "dataset org/details: everything is there already" in out
    hub.merge(*MODEL, 1)
    hub.requests.clear()
    code, out, _ = publish("--push", "--details", "org/details", "--model-index")
    assert (code, hub.writes) == (0, [])
    assert "model org/net: everything is there already" in out
    assert "unchanged  README.md" in out


def test_a_pull_request_with_other_numbers_does_not_stand_for_ours(hub, publish, folder):
    assert publish("--push")[0] == 0
    runs.write(folder, runs.verdicts(leading=150))
    code, out, _ = publish("--push")
    assert code == 0
    assert [entry["value"] for entry in entries(hub, "refs/pr/2")][:2] == [50.0, 37.5]  # 150/300, 90/240
    assert f"also open, with other numbers: {hub.url}/org/net/discussions/1" in out


def test_our_own_earlier_number_is_replaced(hub, publish, folder):
    assert publish("--push", "--details", "org/details")[0] == 0
    hub.merge(*MODEL, 1)
    runs.write(folder, runs.verdicts(leading=150))
    code, out, _ = publish("--push", "--details", "org/details")
    assert code == 0
    assert [entry["value"] for entry in entries(hub, "refs/pr/2")] == [50.0, 37.5, 80.0, 50.0]
    assert '-   "value": 60.0' in out  # results.json of the details is shown as a diff, too
    assert "changed    mmvu/org__net/" in out


def test_details_are_what_can_be_scored_again(hub, publish, folder):
    picture = folder / "images" / "0123456789abcdef.png"
    asked = folder / "images" / "fedcba9876543210.png"
    picture.parent.mkdir()
    picture.write_bytes(b"drawn")
    asked.write_bytes(b"the benchmark's")
    question = (Text("What is it?"), Picture(asked, "images/fedcba9876543210.png"))
    answer = (Text("This:"), Picture(picture, "picture.png"), Missing("gone.png"))
    samples.write_samples(folder, [Sample("a/1", 0, "A", question, answer)])
    (folder / "report.html").write_text("<p>report</p>")
    assert publish("--push", "--details", "org/details")[0] == 0
    there = hub.repos[DATASET].branches["main"]
    (root,) = {path.rsplit("/results.json")[0] for path in there if path.endswith("results.json")}
    assert root.startswith("mmvu/org__net/")
    kept = "images/" + next(path for path in there if path.endswith(".png")).rsplit("/")[-1]
    assert {path.removeprefix(root + "/"): data for path, data in there.items()} == {
        "results.json": (folder / "results.json").read_bytes(),
        "verdicts.jsonl": (folder / "verdicts.jsonl").read_bytes(),
        "report.html": b"<p>report</p>",
        kept: b"drawn",  # pictures of the question stay here
        "responses.jsonl": json.dumps(
            {
                "id": "a/1",
                "index": 0,
                "response": [
                    {"text": "This:", "image": None},
                    {"text": None, "image": kept},
                    {"text": None, "image": "gone.png"},
                ],
            }
        ).encode()
        + b"\n",
    }
    assert entries(hub)[0]["source"] == {"url": f"{hub.url}/datasets/org/details/tree/main/{root}", "name": "mmjudge"}


def test_only_missing_details_are_sent(hub, publish, folder):
    assert publish("--push", "--details", "org/details")[0] == 0
    (folder / "report.html").write_text("<p>later</p>")
    hub.requests.clear()
    code, out, _ = publish("--push", "--details", "org/details")
    assert code == 0
    assert "dataset org/details: 1 files sent" in out
    assert hub.writes == ["POST /api/datasets/org/details/preupload/main", "POST /api/datasets/org/details/commit/main"]


def test_a_file_that_holds_the_token_is_not_sent(hub, publish, folder):
    (folder / "report.html").write_text(f"Evaluation tracker args: {fake_hub.TOKEN}")
    code, _, err = publish("--push", "--details", "org/details")
    assert code == 2
    assert "report.html: holds your token" in err
    assert hub.writes == []


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "MMJUDGE_TOKEN", "MY_PASSWORD"])
def test_a_file_that_holds_another_secret_is_not_sent(hub, publish, folder, monkeypatch, variable):
    monkeypatch.setenv(variable, "sk-1234é5678")
    (folder / "report.html").write_text("model_args: api_key=sk-1234é5678")
    code, out, err = publish("--push", "--details", "org/details")
    assert code == 2
    assert f"report.html: holds the value of ${variable}" in err
    assert "sk-1234" not in out + err
    assert hub.writes == []
    monkeypatch.setenv(variable, "html")  # a word, not a secret
    assert publish("--push", "--details", "org/details")[0] == 0


def test_what_others_wrote_cannot_move_the_cursor(hub, publish):
    hub.repos[MODEL].branches["main"]["README.md"] = b"---\nlicense: mit\n---\n\x1b[2J\n"
    code, out, _ = publish("--model-index")
    assert code == 0
    assert "\x1b" not in out
    assert "\\x1b[2J" in out


@pytest.mark.parametrize("name", ["net", "org/net/more", "org/..", "-"])
def test_names_that_no_repository_has(hub, publish, name):
    code, _, err = publish("--details", name)
    assert code == 2
    assert "write it as ORG/NAME" in err
    assert hub.requests == []


def test_many_files_go_in_several_commits_results_last(hub, publish, folder, monkeypatch):
    monkeypatch.setattr(plan, "MOST_FILES", 2)
    (folder / "report.html").write_text("<p>report</p>")
    hub.fail("POST /api/datasets/.*/commit", fake_hub.PASS, 500)
    assert publish("--push", "--details", "org/details")[0] == 2
    names = [path.rsplit("/")[-1] for path in hub.repos[DATASET].branches["main"]]
    assert names == ["report.html", "verdicts.jsonl"]
    assert hub.repos[MODEL].requests == []
    code, out, _ = publish("--push", "--details", "org/details")
    assert code == 0
    assert "dataset org/details: 1 files sent" in out
    assert len(hub.repos[DATASET].branches["main"]) == 3
    assert len(hub.repos[MODEL].requests) == 1
