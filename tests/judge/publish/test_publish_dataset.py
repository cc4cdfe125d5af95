"""Training data onto the Hub: what its card lists, and nothing else."""

from __future__ import annotations

import hashlib
import json

import fake_hub
import pytest

from judge import cli


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "trl.jsonl").write_text('{"id": "a#0"}\n')
    (folder / "README.md").write_text("# Data\n")
    (folder / "picture.png").write_bytes(b"somebody else's")
    files = {
        name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        for name in ("trl.jsonl", "README.md")
    }
    (folder / "card.json").write_text(json.dumps({"kind": "mmvu-train", "counts": {"records": 1}, "files": files}))
    return folder


@pytest.fixture
def publish(hub, data, capfd):
    def run(*more):
        code = cli.main(["publish", str(data), "--dataset", "org/made", *more])
        out, err = capfd.readouterr()
        assert fake_hub.TOKEN not in out + err
        return code, out, err

    return run


def test_a_dry_run_shows_what_a_push_sends(hub, publish):
    code, out, _ = publish()
    assert code == 0
    assert "dataset org/made, to be created" in out
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("  ")] == [
        ["new", "trl.jsonl"], ["new", "README.md"], ["new", "card.json"]]  # fmt: skip
    assert "nothing was sent" in out
    assert hub.writes == []
    code, out, err = publish("--push")
    assert code == 0, err
    assert "3 files sent" in out
    sent = hub.repos["dataset", "org/made"].branches["main"]
    assert {"trl.jsonl", "README.md", "card.json"} <= sent.keys()
    assert "picture.png" not in sent
    writes = len(hub.writes)
    assert "everything is there already" in publish("--push")[1]
    assert len(hub.writes) == writes


def test_a_hub_that_is_not_reached_does_not_keep_from_a_dry_run(publish, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, out, _ = publish()
    assert code == 0
    assert "shown as if nothing were there" in out


def test_a_file_that_is_another_now_is_not_sent(hub, publish, data):
    (data / "trl.jsonl").write_text('{"id": "b#0"}\n')
    code, _, err = publish("--push")
    assert code == 2
    assert "trl.jsonl: is not the file that card.json lists" in err
    assert hub.writes == []


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "sub/x"])
def test_a_card_that_names_other_folders(hub, publish, data, name):
    (data / "card.json").write_text(
        json.dumps({"kind": "mmvu-train", "counts": {"records": 1}, "files": {name: {"sha256": "0"}}})
    )
    assert publish("--push")[0] == 2
    assert hub.writes == []


def test_a_folder_without_a_card(publish, data):
    (data / "card.json").unlink()
    code, _, err = publish()
    assert code == 2
    assert "is no card of training data" in err


def test_a_key_in_the_data_is_not_sent(hub, publish, data, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", "sk-secret-0123456789")
    text = '{"id": "sk-secret-0123456789"}\n'
    (data / "trl.jsonl").write_text(text)
    card = json.loads((data / "card.json").read_text())
    card["files"]["trl.jsonl"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (data / "card.json").write_text(json.dumps(card))
    code, _, err = publish("--push")
    assert code == 2
    assert "holds the value of $TEACHER_KEY" in err
    assert hub.writes == []


def test_options_of_a_run_mean_nothing_here(publish):
    code, _, err = publish("--details", "org/details")
    assert code == 2
    assert "--details means nothing with --dataset" in err
