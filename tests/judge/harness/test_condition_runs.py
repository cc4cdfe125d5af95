"""Whole runs under conditions: the same verdicts from lmms-eval and VLMEvalKit, and the contrast models must give."""

from __future__ import annotations

import collections
import contextlib
import http.server
import json
import math
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from surroundings import ABSENT

from judge.results.contrast import contrast, read_asked
from judge.results.contrast_words import sentences
from mmvu_tasks.demo import demo_dir

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
RECORDS = json.loads((demo_dir() / "MMR-benchmark.json").read_text())
BOTH = (
    "mmvu_demo_instruction", "mmvu_demo_prefix", "mmvu_demo_blind", "mmvu_demo_blank", "mmvu_demo_noise",
    "mmvu_demo_swapped", "mmvu_demo_json", "mmvu_demo_tool", "mmvu_demo_cgr",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    bool({"lmms_eval", "vlmeval"} & set(ABSENT)), reason="lmms-eval or ms-vlmeval is not installed"
)


def run(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MMJUDGE", "MMVU", "MMIE"))}
    ours = {
        "MMJUDGE_JOURNAL": str(folder / "journal"), "XDG_CACHE_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1",
        "ACCELERATE_USE_CPU": "1", "CUDA_VISIBLE_DEVICES": "", "PRED_FORMAT": "tsv",
    }  # fmt: skip
    command = [str(word) for word in words]
    return subprocess.run(command, env={**kept, **ours, **environment}, cwd=folder, capture_output=True, text=True)


def lmms_eval(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return run(folder, BIN / "lmms-eval", *words, "--output_path", folder / "out", "--log_samples")


@pytest.fixture(scope="module")
def by_lmms_eval(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folders by task, of the scripted model that looks."""
    folder = tmp_path_factory.mktemp("lmms_eval")
    tasks = "mmvu_demo,mmvu_demo_conditions,mmie_demo_swapped"
    done = lmms_eval(folder, "--model", "mmjudge_demo", "--tasks", tasks)
    assert (folder / "out" / "mmjudge").is_dir(), done.stderr[-2000:]
    return folder / "out" / "mmjudge" / "mmjudge_demo"


@pytest.fixture(scope="module")
def by_vlmevalkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VLMEvalKit's folder, of `looks` and `guesses`."""
    folder = tmp_path_factory.mktemp("vlmevalkit")
    data = ("MMVU_demo", *BOTH)
    models = ("--model", "looks", "guesses")
    script, calls = HERE / "conditions_vlmeval.py", str(folder / "calls")
    done = run(folder, sys.executable, script, "--data", *data, *models, "--work-dir", folder, CALLS=calls)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def verdicts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def of_vlmevalkit(folder: Path, model: str, dataset: str) -> Path:
    return folder / model / f"{model}_{dataset}_mmjudge"


def test_the_verdicts_are_the_same_bytes_from_both(by_lmms_eval: Path, by_vlmevalkit: Path) -> None:
    for name in BOTH:
        theirs = of_vlmevalkit(by_vlmevalkit, "looks", name)
        assert (by_lmms_eval / name / "verdicts.jsonl").read_bytes() == (theirs / "verdicts.jsonl").read_bytes(), name
        ours = results(by_lmms_eval / name)
        assert ours["signature"] == results(theirs)["signature"]
        assert ours["condition"] == results(theirs)["condition"]
        assert f"|condition:{ours['condition']['identity']}|" in ours["signature"]
    plain = results(by_lmms_eval / "mmvu_demo")
    assert "condition" not in plain
    assert "condition:" not in plain["signature"]
    assert results(by_lmms_eval / "mmie_demo_swapped")["condition"]["picture"] == "swapped"


def test_cgr_makes_a_call_a_picture_and_a_call_a_question_in_vlmevalkit(by_vlmevalkit: Path) -> None:
    calls = collections.Counter((by_vlmevalkit / "calls").read_text().splitlines())
    pictures = len({record["image"] for record in RECORDS})
    assert calls["Looks mmvu_demo_cgr 1"] == pictures + len(RECORDS) == 24 + 48
    assert calls["Looks mmvu_demo_swapped 1"] == calls["Looks mmvu_demo_blind 0"] == 48


def test_what_was_extracted_is_kept_in_samples_and_verdicts(by_lmms_eval: Path) -> None:
    (file,) = by_lmms_eval.parents[1].glob("**/*_samples_mmvu_demo_cgr.jsonl")
    samples = {row["doc_id"]: row for row in map(json.loads, file.read_text().splitlines())}
    for verdict in verdicts(by_lmms_eval / "mmvu_demo_cgr"):
        info = verdict["details"]["info"]
        assert info.startswith("1. Text/Numbers: ")
        assert json.dumps(info) in samples[verdict["index"]]["filtered_resps"]


def test_a_model_that_does_not_look_answers_alike_whatever_is_shown(by_vlmevalkit: Path) -> None:
    """Its letters by hand: the checksum of the first line chooses one of four."""
    guessed = ["ABCD"[zlib.crc32(row["question"].split("\n")[0].encode()) // 7 % 4] for row in RECORDS]
    right: dict[str, list[bool]] = {}
    for row, letter in zip(RECORDS, guessed, strict=True):
        right.setdefault(row["id"], []).append(letter == row["ground_truth"])
    share = 100 * sum(map(all, right.values())) / len(right)
    assert 0 < share < 50
    for name in ("MMVU_demo", "mmvu_demo_blind", "mmvu_demo_blank", "mmvu_demo_noise", "mmvu_demo_swapped"):
        folder = of_vlmevalkit(by_vlmevalkit, "guesses", name)
        assert [row["details"]["letter"] for row in verdicts(folder)] == guessed, name
        assert results(folder)["metrics"]["RA"]["value"] == pytest.approx(share)


def test_a_model_that_looks_answers_otherwise_where_it_cannot_see(by_lmms_eval: Path, by_vlmevalkit: Path) -> None:
    """It sees nothing in a blank or in noise, and says so; without a picture it guesses as the other does."""
    for name in ("mmvu_demo_blank", "mmvu_demo_noise"):
        assert {row["details"]["letter"] for row in verdicts(by_lmms_eval / name)} == {None}
        assert results(by_lmms_eval / name)["metrics"]["POS"]["value"] == 0
    blind = of_vlmevalkit(by_vlmevalkit, "guesses", "mmvu_demo_blind")
    assert verdicts(by_lmms_eval / "mmvu_demo_blind") == verdicts(blind)
    plain, swapped, cgr = (
        results(by_lmms_eval / name)["metrics"] for name in ("mmvu_demo", "mmvu_demo_swapped", "mmvu_demo_cgr")
    )
    # of 24 pairs: 12, 0 and 20; what it said of the picture before keeps it from being misled
    assert [of["RA"]["value"] for of in (plain, swapped, cgr)] == [50.0, 0.0, pytest.approx(100 * 20 / 24)]


def test_a_contract_has_its_numbers(by_lmms_eval: Path) -> None:
    contract = results(by_lmms_eval / "mmvu_demo_json")["contract"]
    rows = [row["details"].get("contract") for row in verdicts(by_lmms_eval / "mmvu_demo_json")]
    assert contract["n"] == len([row for row in rows if row]) == 48
    assert contract["problems"] == collections.Counter(row["problem"] for row in rows if row["problem"])
    assert contract["fits"]["value"] == pytest.approx(100 * sum(row["fits"] for row in rows) / 48)
    assert contract["RA_kept"]["value"] < contract["RA"]["value"] == 50.0
    tool = results(by_lmms_eval / "mmvu_demo_tool")["contract"]
    assert set(tool["problems"]) == {"fluff", "no_call", "invalid_arguments", "wrong_tool"}


def test_its_samples_are_scored_again_under_the_condition_that_stands_beside_them(
    by_lmms_eval: Path, tmp_path: Path
) -> None:
    (file,) = by_lmms_eval.parents[1].glob("**/*_samples_mmvu_demo_json.jsonl")
    again = run(tmp_path, BIN / "mmjudge", "score", file, "--benchmark", "mmvu", "--data", demo_dir(), "--out", "again")
    assert again.returncode == 0, again.stderr
    ours, theirs = results(by_lmms_eval / "mmvu_demo_json"), results(tmp_path / "again")
    assert (theirs["signature"], theirs["contract"]) == (ours["signature"], ours["contract"])
    wrong = run(
        tmp_path, BIN / "mmjudge", "score", file, "--benchmark", "mmvu", "--data", demo_dir(), "--out", "b",
        "--condition", "jsn",
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "no condition called 'jsn'" in wrong.stderr
    assert "did you mean 'json'?" in wrong.stderr


def test_names_that_are_unknown_and_classes_that_cannot_are_said_in_one_line(tmp_path: Path) -> None:
    done = lmms_eval(tmp_path, "--model", "mmjudge_demo", "--tasks", "mmvu_demo_blnd")
    assert done.returncode == 1
    assert "mmjudge: there is no 'mmvu_demo_blnd'\n→ did you mean 'mmvu_demo_blind'?" in done.stderr
    words = (sys.executable, HERE / "conditions_vlmeval.py", "--work-dir", tmp_path)
    done = run(tmp_path, *words, "--data", "mmvu_demo_vra", "--model", "looks")
    assert done.returncode == 2
    assert "mmjudge-vlmeval: there is no 'mmvu_demo_vra'" in done.stderr
    done = run(tmp_path, *words, "--data", "mmvu_demo_cgr", "--model", "own", CALLS=str(tmp_path / "calls"))
    assert done.returncode == 1
    assert "mmvu_demo_cgr: this model's class asks in a way of its own" in done.stdout + done.stderr


# An endpoint, which holds the model to the contract


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Calls the function it is given, and answers by the schema it is given; B otherwise."""

    bodies: list[dict[str, Any]]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.bodies.append(body)
        answer = json.dumps({"letter": "B", "evidence": "It is there."})
        message: dict[str, Any] = {"role": "assistant", "content": answer if body.get("response_format") else "B"}
        if body.get("tools"):
            called = {"name": body["tools"][0]["function"]["name"], "arguments": answer}
            calls = [{"id": "1", "type": "function", "function": called}]
            message = {"role": "assistant", "content": None, "tool_calls": calls}
        reason = "tool_calls" if body.get("tools") else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        data = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionResetError):  # a client that goes
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def endpoint() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    handler = type("Handler", (Endpoint,), {"bodies": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", handler.bodies  # type: ignore[attr-defined]
    finally:
        server.shutdown()


@pytest.mark.parametrize("model", ["openai", "async_openai"])
def test_an_endpoint_is_sent_the_schema_and_the_function(model: str, tmp_path: Path) -> None:
    with endpoint() as (address, bodies):
        arguments = f"model=m,base_url={address},api_key=none,num_cpus=2,num_concurrent=2"
        tasks = "mmvu_demo_json,mmvu_demo_tool,mmvu_demo_blind,mmvu_demo_cgr"
        done = lmms_eval(tmp_path, "--model", model, "--model_args", arguments, "--tasks", tasks, "--limit", "4")
    out = tmp_path / "out" / "mmjudge" / "m"
    assert out.is_dir(), done.stderr[-2000:]
    assert "the prompt alone asks for it" not in done.stderr
    kinds = collections.Counter(
        ("schema" if body.get("response_format") else "tools" if body.get("tools") else "plain") for body in bodies
    )
    assert kinds == {"schema": 4, "tools": 4, "plain": 4 + (2 + 4)}
    for name in ("mmvu_demo_json", "mmvu_demo_tool"):
        found = results(out / name)
        assert found["condition"]["enforced"]
        assert (found["contract"]["fits"]["value"], found["contract"]["problems"]) == (100.0, {})
        assert {row["details"].get("letter") for row in verdicts(out / name)} == {"B"}


def test_the_contrast_tells_the_model_that_looks_from_the_one_that_does_not(by_vlmevalkit: Path) -> None:
    found = {}
    for model in ("looks", "guesses"):
        names = ("MMVU_demo", "mmvu_demo_blind", "mmvu_demo_swapped")
        folders = [of_vlmevalkit(by_vlmevalkit, model, name) for name in names]
        found[model] = contrast([read_asked(folder) for folder in folders])
        plain, blind, swapped = (
            {row["index"]: row["details"].get("letter") for row in verdicts(folder)} for folder in folders
        )
        for other, letters in zip(found[model].against, (blind, swapped), strict=True):
            assert other.shift is not None
            same = sum(plain[index] == letter for index, letter in letters.items())
            assert other.shift.same.value == pytest.approx(100 * same / 48)
    # `guesses` is `looks` that is shown nothing: without its pictures `looks` says what `guesses` says with them
    assert [other.line("RA").row.paired.difference.value for other in found["guesses"].against] == [0, 0]
    assert all(said.startswith("It does not look: ") for said in sentences(found["guesses"]))
    assert found["looks"].against[0].line("RA").row.second == found["guesses"].first.run.estimate("RA")
    # shown another picture it answers no pair right: 12 of 24 are lost, and of the two made-up ones one more
    swapped_line = found["looks"].against[1].line("RA")
    assert swapped_line.row.paired.difference.value == -50
    assert swapped_line.row.paired.p == pytest.approx(math.erfc(12 / math.sqrt(14) / math.sqrt(2)))
    assert sentences(found["looks"])[1].startswith("It looks: shown the picture of another question RA is 0.0")
