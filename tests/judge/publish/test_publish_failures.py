"""Each way the Hub or the line can fail: one clear message or a retry that works, and nothing half-sent."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import fake_hub
import pytest
from fake_hub import DROP
from huggingface_hub import constants

from judge.core.request import Picture
from judge.io import samples
from judge.io.samples import Sample

MODEL, DATASET = ("model", "org/net"), ("dataset", "org/details")
READ, PRS = "GET /api/models/org/net$", "GET .*/discussions"
CREATE, CHECK = "POST /api/repos/create", "POST /api/datasets/.*/preupload"
DETAILS, OPEN = "POST /api/datasets/.*/commit", "POST /api/models/.*/commit"


def sent(hub) -> tuple[bool, bool]:
    """Whether the details are there, and the pull request."""
    details = hub.repos.get(DATASET)
    return bool(details and details.branches["main"]), bool(hub.repos[MODEL].requests)


@pytest.mark.parametrize(
    ("where", "statuses", "says", "fix"),
    [
        (READ, (401,), "reading model org/net: 401, the Hub does not know this token", "hf auth login"),
        (READ, (403,), "403, this account or token may not do that", "hf auth login"),
        (READ, (500,), "500, the Hub is out of order", "same command again"),
        (READ, (DROP,) * 3, "reading model org/net: the connection failed", "same command again"),
        (READ, (429,) * 3, "429, too many requests", "same command again"),
        (PRS, (403,), "reading the pull requests of model org/net: 403", "hf auth login"),
        (CREATE, (403,), "creating dataset org/details: 403", "hf auth login"),
        (CREATE, (401,), "creating dataset org/details: 401", "hf auth login"),
        (CHECK, (403,), "sending to dataset org/details: 403", "hf auth login"),
        (CHECK, (DROP,) * 6, "sending to dataset org/details: the connection failed", "same command again"),
        (DETAILS, (401,), "sending to dataset org/details: 401", "hf auth login"),
        (DETAILS, (403,), "sending to dataset org/details: 403", "hf auth login"),
        (DETAILS, (409,), "409, somebody else is changing the repository", "same command again"),
        (DETAILS, (412,), "412, the repository has changed meanwhile", "same command again"),
        (DETAILS, (429,) * 3, "429, too many requests", "same command again"),
        (DETAILS, (DROP,), "sending to dataset org/details: the connection failed", "same command again"),
        (OPEN, (401,), "sending to model org/net: 401", "hf auth login"),
        (OPEN, (403,), "sending to model org/net: 403, this account or token may not do that", "hf auth login"),
        (OPEN, (409,), "409, somebody else is changing the repository", "same command again"),
        (OPEN, (429,) * 3, "429, too many requests", "same command again"),
        (OPEN, (DROP,), "sending to model org/net: the connection failed", "same command again"),
    ],
)  # fmt: skip
def test_what_fails_is_said_and_made_good_by_the_same_command(hub, publish, where, statuses, says, fix):
    hub.fail(where, *statuses)
    code, _, err = publish("--push", "--details", "org/details")
    assert code == 2
    problem, advice = err.split("mmjudge publish: ")[1].split("\n→ ")
    assert problem.startswith(says) or says in problem
    assert fix in advice
    assert "Traceback" not in err
    # before the details, nothing; after them, they are whole and the pull request is what is missing
    assert sent(hub) == (where == OPEN, False)
    code, _, _ = publish("--push", "--details", "org/details")
    assert code == 0
    assert sent(hub) == (True, True)
    assert len(hub.repos[MODEL].requests) == 1


@pytest.mark.parametrize("where", [READ, PRS, CREATE, DETAILS, OPEN])
def test_a_server_that_says_when_is_obeyed(hub, publish, where):
    hub.fail(where, 429, Retry_After="7")
    code, _, _ = publish("--push", "--details", "org/details")
    assert code == 0
    assert sent(hub) == (True, True)
    assert hub.slept == [7.0]


def test_huggingface_hub_waits_before_it_uploads(hub, publish):
    hub.fail(CHECK, 429, Retry_After="7")
    code, _, _ = publish("--push", "--details", "org/details")
    assert code == 0
    assert hub.slept == [8.0]  # one second more than it was told


def test_nobody_waits_for_an_hour(hub, publish):
    hub.fail(OPEN, 429, Retry_After="3600")
    code, _, err = publish("--push")
    assert code == 2
    assert "429, too many requests" in err
    assert hub.slept == []


def test_a_connection_that_breaks_once_while_reading_is_made_again(hub, publish):
    hub.fail(READ, DROP)
    hub.fail(PRS, DROP)
    assert publish("--push")[0] == 0
    assert hub.slept == [2.0, 2.0]
    assert sent(hub) == (False, True)


def test_a_picture_that_breaks_off_is_sent_again_alone(hub, publish, folder):
    for number in range(3):
        (folder / f"{number}.png").write_bytes(b"drawn %d" % number)
    answer = tuple(Picture(folder / f"{number}.png", f"{number}.png") for number in range(3))
    samples.write_samples(folder, [Sample("a/1", 0, "A", (), answer)])
    hub.fail(f"PUT /blobs/{hashlib.sha256(b'drawn 1').hexdigest()}", *(DROP,) * 6)
    code, _, err = publish("--push", "--details", "org/details")
    assert code == 2
    assert "sending to dataset org/details: the connection failed" in err
    assert sent(hub) == (False, False)
    arrived = len(hub.blobs)
    assert arrived < 3
    hub.requests.clear()
    assert publish("--push", "--details", "org/details")[0] == 0
    assert sum(request.startswith("PUT") for request in hub.requests) == 3 - arrived
    there = hub.repos[DATASET].branches["main"]
    assert sorted(data for path, data in there.items() if path.endswith(".png")) == [b"drawn 0", b"drawn 1", b"drawn 2"]


def test_a_token_the_hub_does_not_know(hub, publish, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    code, out, err = publish("--push")
    assert code == 2
    assert "401, the Hub does not know this token" in err
    assert "hf_another" not in out + err
    assert hub.writes == []


def test_without_a_token_one_may_look_but_not_send(hub, publish, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert publish()[0] == 0
    code, _, err = publish("--push")
    assert code == 2
    assert "publishing needs a login" in err
    assert hub.writes == []


def test_a_model_that_is_not_there(hub, publish):
    del hub.repos[MODEL]
    code, _, err = publish("--push")
    assert code == 2
    assert "model org/net: there is no such repository" in err
    assert hub.writes == []


def test_without_the_hub_one_may_look_but_not_send(hub, publish, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, out, _ = publish("--details", "org/details")
    assert code == 0
    assert "The Hub was not reached" in out
    assert "+    task_id: mmvu_v1_ra" in out
    code, _, err = publish("--push")
    assert code == 2
    assert "HF_HUB_OFFLINE is set" in err
    assert hub.requests == []


@pytest.mark.parametrize("failing", ["", READ, CREATE, CHECK, DETAILS, OPEN])
def test_the_token_is_in_no_output_whatever_is_logged(hub, folder, failing):
    # the whole command in a process of its own, with huggingface_hub logging all it does; refusals echo the token
    if failing:
        hub.fail(failing, 403)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": fake_hub.TOKEN,
        "HF_DEBUG": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_VERBOSITY": "debug",
    }
    command = [sys.executable, "-m", "judge.cli", "publish", str(folder), "--model", "org/net"]
    done = subprocess.run(
        [*command, "--details", "org/details", "--model-index", "--push"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (2 if failing else 0), done.stderr
    assert "DEBUG" in done.stderr or "curl" in done.stderr  # it did log
    assert fake_hub.TOKEN not in done.stdout + done.stderr
    assert (fake_hub.TOKEN[:12]) not in done.stdout + done.stderr
    if failing:
        assert "refused with Bearer ***" in done.stderr.replace("no, ", "")


@pytest.mark.parametrize("name", ["responses.jsonl", "report.html", "verdicts.jsonl", "results.json"])
def test_a_link_out_of_the_results_folder_is_never_sent(hub, publish, folder, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    if (folder / name).is_file():
        (folder / name).rename(elsewhere)  # the same bytes, so that nothing but the link is wrong
    else:
        elsewhere.write_text("kept to myself")
    (folder / name).symlink_to(elsewhere)
    code, _, err = publish("--push", "--details", "org/details")
    assert code == 2
    assert f"{folder / name}" in err
    assert "a link out of the results folder" in err
    assert hub.repos.get(DATASET) is None
