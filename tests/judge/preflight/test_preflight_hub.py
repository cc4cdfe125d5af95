"""What the Hub says, from a server of our own; and what follows from it where something must be fetched, and where
nothing must."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import folders
import pytest
from huggingface_hub import constants
from machines import FakeHub

from judge.preflight import hub as hubs
from judge.preflight.finding import Finding
from judge.preflight.hub import HUB, Access, Hub, Place, check_hub

DATA = Place("MMIE/MMIE", "dataset", files=("data.json", "images.tar.gz"))
JUDGE = Place("MMIE/MMIE-Score", "model")
OPEN = {("dataset", "MMIE/MMIE"): 200, ("model", "MMIE/MMIE-Score"): 200}


def lines(fake, monkeypatch, wanted):
    with fake.serving(monkeypatch):
        return list(check_hub(Hub(wanted), wanted))


def test_an_account_that_may_fetch_all(monkeypatch):
    fake = FakeHub(OPEN)
    assert lines(fake, monkeypatch, {DATA: "records", JUDGE: ""}) == [
        Finding(HUB, "ok", "logged in as anna"),
        Finding(HUB, "ok", "dataset MMIE/MMIE: may be fetched (records must be)"),
        Finding(HUB, "ok", "model MMIE/MMIE-Score: may be fetched"),
    ]


def test_sizes_are_the_hubs(monkeypatch):
    fake = FakeHub(OPEN)
    fake.files["MMIE/MMIE"] = [{"rfilename": "data.json", "size": 23_000_000}, {"rfilename": "README.md"}]
    with fake.serving(monkeypatch):
        assert Hub([DATA]).access(DATA) == Access(True, sizes={"data.json": 23_000_000})


@pytest.mark.parametrize("status", ["gated", 404, 401])
def test_a_place_that_this_account_may_not_fetch(monkeypatch, status):
    found = lines(FakeHub({**OPEN, ("dataset", "MMIE/MMIE"): status}), monkeypatch, {DATA: "records", JUDGE: "weights"})
    assert [finding.state for finding in found] == ["ok", "fails", "ok"]
    assert "dataset MMIE/MMIE: " in found[1].found
    assert found[1].mend == "accept its terms on https://huggingface.co/datasets/MMIE/MMIE, then: hf auth login"


def test_no_access_is_no_failure_where_all_is_here(monkeypatch):
    found = lines(FakeHub({**OPEN, ("dataset", "MMIE/MMIE"): "gated"}), monkeypatch, {DATA: "", JUDGE: ""})
    assert [finding.state for finding in found] == ["ok", "ok", "ok"]
    assert found[1].found.endswith("what is needed of it is here")


def test_nobody_is_logged_in(monkeypatch):
    with FakeHub(OPEN).serving(monkeypatch):
        monkeypatch.delenv("HF_TOKEN")
        needed = list(check_hub(Hub([JUDGE]), {JUDGE: "weights"}))
        here = list(check_hub(Hub([JUDGE]), {JUDGE: ""}))
    assert needed[0] == Finding(HUB, "warning", "nobody is logged in", "hf auth login")
    assert here[0] == Finding(HUB, "ok", "nobody is logged in", "hf auth login")


def test_a_token_that_the_hub_refuses(monkeypatch):
    wanted = {JUDGE: "weights"}
    found = lines(FakeHub(OPEN, user=None), monkeypatch, wanted)
    assert (found[0].state, found[0].found) == ("fails", "the Hub refuses the token that is here")
    assert "hf auth login" in found[0].mend
    assert lines(FakeHub(OPEN, user=None), monkeypatch, {JUDGE: ""})[0].state == "warning"


def test_a_hub_that_answers_with_errors_is_no_refusal(monkeypatch):
    found = lines(FakeHub({**OPEN, ("dataset", "MMIE/MMIE"): 500}), monkeypatch, {DATA: "records", JUDGE: ""})
    assert [finding.state for finding in found] == ["ok", "fails", "ok"]
    assert found[1].mend == "try again: hf download MMIE/MMIE data.json images.tar.gz --repo-type dataset"


def test_a_hub_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(hubs, "NETWORK_SECONDS", 0.2)
    found = lines(FakeHub(OPEN, hang=True), monkeypatch, {DATA: "records", JUDGE: ""})
    (line,) = found
    assert (line.state, line.found) == ("fails", "the Hub cannot be reached (no answer in 0.2 s)")
    assert "hf download MMIE/MMIE data.json images.tar.gz --repo-type dataset" in line.mend
    assert "MMIE-Score" not in line.mend


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_no_network_and_nothing_to_fetch(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    (line,) = check_hub(Hub([DATA]), {DATA: ""})
    assert line.state == "warning"
    assert "nothing must be fetched" in line.found
    assert line.mend.startswith("export HF_HUB_OFFLINE=1")


def test_offline_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    fake = FakeHub(OPEN)
    (line,) = lines(fake, monkeypatch, {DATA: "records and pictures", JUDGE: ""})
    assert (line.state, line.found) == (
        "fails",
        "HF_HUB_OFFLINE is set, and not all is in the cache: MMIE/MMIE (records and pictures)",
    )
    assert line.mend.startswith("unset HF_HUB_OFFLINE && hf download MMIE/MMIE data.json")
    (line,) = lines(fake, monkeypatch, {DATA: "", JUDGE: ""})
    assert line == Finding(HUB, "ok", "HF_HUB_OFFLINE is set, and nothing must be fetched")
    assert fake.asked == []


@pytest.mark.parametrize("judge", ["http://127.0.0.1:9/v1", "openai:", "replay:none.jsonl"])
def test_only_the_data_is_the_hubs(judge, tmp_path):
    """In a process of its own: here the tests have imported all of huggingface_hub."""
    surroundings = {
        key: value for key, value in os.environ.items() if not key.startswith(("MMJUDGE_", "MMIE_", "MMVU_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "judge.cli", "doctor", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=surroundings
        | {"PYTHONPATH": str(folders.ROOT), "MMJUDGE_JUDGE": judge, "HF_HUB_OFFLINE": "1"}
        | dict.fromkeys(("HF_HOME", "XDG_CACHE_HOME"), str(tmp_path)),
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "HF_HUB_OFFLINE is set" in next(
        one["found"] for one in json.loads(done.stdout)["checks"] if one["part"] == HUB
    )


def test_a_key_in_an_error_is_not_shown(monkeypatch):
    def leak(self):
        raise ConnectionError("proxy http://anna:hunter2-secret@proxy:3128 refused")

    monkeypatch.setattr("huggingface_hub.HfApi.whoami", leak)
    found = lines(FakeHub(OPEN), monkeypatch, {JUDGE: "weights"})
    assert "hunter2" not in found[0].found
    assert found[0].state == "warning"


def test_a_revision_is_in_the_command():
    place = Place("ORG/NAME", "model", "v2")
    assert place.download == "hf download ORG/NAME --revision v2"
    assert place.page == "https://huggingface.co/ORG/NAME"
