"""One judge in several processes: every prompt once, the same answers, and a process that dies costs nothing else."""

from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from run_files import results_but_run

from judge import cli
from judge.core.request import Request, Text
from judge.core.rubric import Literal
from judge.engines import Completion, EngineOptions, Prompt
from judge.engines.devices import worker_devices
from judge.engines.processes import Processes
from judge.errors import UserError
from mmie_tasks.demo import demo_dir, judge_dir

PROMPTS = [Prompt(Request(f"q{n}", "T", (), ()), (Literal(f"{n} "), Text("word " * (n % 7)))) for n in range(60)]


class Scripted:
    """Says what it was asked, and dies (or raises, or falls silent) at the ids that it is told."""

    reads = True

    def __init__(self, judge: str, device: str, script: dict) -> None:
        self.identity = {"judge": judge, **script.get("identity", {}).get(device, {})}
        self.device, self.deadly = device, script.get("deadly", {})
        self.once = script.get("once")

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        for place, prompt in reversed(list(enumerate(prompts))):
            how = self.deadly.get(prompt.request.id)
            if how is not None and self.first_time(prompt.request.id):
                if how == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                if how == "raises":
                    raise RuntimeError("the device is lost")
                return
            yield place, Completion(f"{prompt.request.id} {prompt.pieces[-1].text}", note=self.device)

    def first_time(self, name: str) -> bool:
        if self.once is None:
            return True
        try:
            Path(self.once, name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def scripted(judge: str, options: EngineOptions, threads: int | None, script: dict) -> Scripted:
    if options.device in script.get("failing", ()):
        raise UserError("the weights are gone", fix="fetch them")
    if judge == "nowhere":
        os._exit(7)
    return Scripted(judge, options.device, script)


def processes(devices=("a", "b", "c"), judge="toy", **script) -> Processes:
    return Processes(judge, devices, load=functools.partial(scripted, script=script), smallest_unit=4)


def results(engine: Processes) -> list[Completion]:
    pairs = list(engine.complete(PROMPTS))
    assert sorted(number for number, _ in pairs) == list(range(len(PROMPTS)))
    return [completion for _, completion in sorted(pairs, key=lambda pair: pair[0])]


def kept(engine: Processes, found: dict[int, Completion]) -> Iterator[tuple[int, Completion]]:
    """What comes before an error."""
    for number, completion in engine.complete(PROMPTS):
        found[number] = completion
        yield number, completion


def right(completions: list[Completion], but: Sequence[int] = ()) -> None:
    for number, completion in enumerate(completions):
        if number not in but:
            assert completion.text == f"q{number} {PROMPTS[number].pieces[-1].text}"


def test_every_prompt_once_and_by_all_processes():
    with processes() as engine:
        assert engine.identity == {"judge": "toy"}
        found = results(engine)
        right(found)
        assert {completion.note for completion in found} == {"a", "b", "c"}
        right(results(engine))  # and again
        assert list(engine.complete([])) == []
        right([completion for _, completion in engine.complete(PROMPTS[:1])])


@pytest.mark.parametrize(
    ("how", "said"), [("killed", "killed by signal 9"), ("raises", "exit code 1"), ("silent", "exit code 1")]
)
def test_a_process_that_dies_is_reported_and_its_work_done(how, said, tmp_path, capfd):
    with processes(deadly={"q40": how}, once=str(tmp_path)) as engine:
        found = results(engine)
        right(found)
        error = capfd.readouterr().err
        assert f"has died ({said})" in error
        assert ("the device is lost" in error) == (how == "raises")
        right(results(engine))


def test_a_prompt_that_kills_is_unscored_and_takes_two_processes_with_it(capfd):
    with processes(deadly={"q40": "killed"}) as engine:
        found = results(engine)
    right(found, but=[40])
    assert (found[40].unscored, found[40].note) == ("engine_error", "the judge's process died on it 2 times")
    assert capfd.readouterr().err.count("has died") == 2


def test_the_last_process_is_dead():
    deadly = {f"q{n}": "killed" for n in (10, 20, 30)}
    with processes(devices=["a", "b"], deadly=deadly) as engine:
        with pytest.raises(UserError, match="the last process of the judge has died") as error:
            list(engine.complete(PROMPTS))
        assert "the same command goes on from here" in str(error.value)


def test_what_was_done_before_the_last_death_is_kept():
    with processes(devices=["a"], deadly={"q0": "killed"}) as engine:
        found: dict[int, Completion] = {}
        with pytest.raises(UserError, match="answers are not judged"):
            found.update(kept(engine, found))
        # units hold the longest first: q0, the shortest, is in the last one
        assert len(found) >= len(PROMPTS) - 8
        assert all(found[number].text.startswith(f"q{number} ") for number in found)


def test_one_that_cannot_load_is_said_and_the_others_go_on(capfd):
    with processes(failing=["b"]) as engine:
        right(results(engine))
    assert "no judge on b: the weights are gone" in capfd.readouterr().err


def test_none_can_load(capfd):
    with pytest.raises(UserError, match="the weights are gone") as error:
        processes(failing=["a", "b", "c"])
    assert error.value.fix == "fetch them"
    with pytest.raises(UserError, match="no process could load the judge"):
        processes(judge="nowhere")
    assert capfd.readouterr().err.count("has died (exit code 7)") == 3


def test_different_judges_are_refused():
    with pytest.raises(UserError, match="different judges"):
        processes(identity={"b": {"weights": "others"}})


@pytest.mark.parametrize(
    ("device", "workers", "gpus", "expected"),
    [
        (None, None, 0, ["cpu"]),
        (None, None, 1, ["cuda"]),
        (None, None, 4, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        ("cuda", None, 2, ["cuda:0", "cuda:1"]),
        ("cuda", 2, 4, ["cuda:0", "cuda:1"]),
        ("cuda", 1, 4, ["cuda"]),
        ("cuda:1", None, 4, ["cuda:1"]),
        ("cpu", None, 4, ["cpu"]),
        ("cpu", 2, 4, ["cpu", "cpu"]),
        (None, 2, 0, ["cpu", "cpu"]),
    ],
)
def test_devices(device, workers, gpus, expected, monkeypatch):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert worker_devices(device, workers) == expected


def test_more_processes_than_gpus(monkeypatch):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UserError, match="--workers 3: there are 2 GPUs"):
        worker_devices("cuda", 3)


def test_two_processes_on_a_cpu_score_as_one_does(tmp_path, capsys):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    records = json.loads((demo_dir() / "data.json").read_text())[:4]
    answers = tmp_path / "answers.jsonl"
    texts = ["Step 2: Stick the yellow heart on the glass.", "No.", "Step 2: Paint the orange ball.", "A red cup. " * 9]
    rows = [{"id": record["id"], "response": text} for record, text in zip(records, texts, strict=True)]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    where = ["--benchmark", "mmie", "--data", str(demo_dir()), "--judge", str(judge_dir()), "--device", "cpu"]
    found = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        arguments = ["score", str(answers), *where, "--workers", workers, "--out", str(out), "--max-unscored", "1"]
        assert cli.main(arguments) == 0
        verdicts = sorted((out / "verdicts.jsonl").read_bytes().splitlines())
        found.append(([drop_probabilities(line) for line in verdicts], results_but_run(out)))
    assert found[0] == found[1]


def drop_probabilities(line: bytes) -> dict:
    """Their last digits may change with who shares a batch."""
    row = json.loads(line)
    for name in ("score_probs", "expected", "entropy"):
        row.pop(name, None)
    return row
