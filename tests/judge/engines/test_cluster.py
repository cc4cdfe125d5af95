"""One judge in several actors of Ray: every prompt once, the same answers, and a dead actor costs nothing else."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
import time
from pathlib import Path

import pytest
import toy
from ray_nodes import nodes  # noqa: F401 - a fixture
from run_files import results_but_run
from scripted_judge import Script

from judge import cli
from judge.commands import options
from judge.commands import score as score_command
from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal
from judge.engines import Completion, EngineOptions, Prompt, cluster, ray_connection
from judge.engines.cluster import Cluster, _Work
from judge.errors import UserError
from judge.scoring import score as score_module
from mmie_tasks.demo import demo_dir, judge_dir

PROMPTS = [Prompt(Request(f"q{n}", "T", (), ()), (Literal(f"{n} "), Text("word " * (n % 7)))) for n in range(60)]
RIGHT = [completion for _, completion in sorted(toy.HashJudge().complete(PROMPTS))]


@pytest.fixture
def start(nodes, tmp_path, monkeypatch):  # noqa: F811 - the fixture
    """A cluster of two nodes and an engine on it: one actor a node, of a scripted judge."""
    nodes.be(2)
    # starts Ray's command, for seconds; test_an_address_without_ray is about it
    monkeypatch.setattr(ray_connection, "_check_reachable", lambda address: None)

    def engine(workers: int | None = None, **script) -> Cluster:
        options = EngineOptions(ray=nodes.address, workers=workers)
        return Cluster("toy", options, Script(tmp_path, **script).loader(), smallest_unit=4)

    return engine


def results(engine: Cluster, prompts: list[Prompt] = PROMPTS) -> list[Completion]:
    pairs = list(engine.complete(prompts))
    assert sorted(number for number, _ in pairs) == list(range(len(prompts)))
    return [completion for _, completion in sorted(pairs, key=lambda pair: pair[0])]


def right(completions: list[Completion], but: tuple[int, ...] = ()) -> None:
    found = [completion.text for number, completion in enumerate(completions) if number not in but]
    assert found == [completion.text for number, completion in enumerate(RIGHT) if number not in but]


def test_every_prompt_once_and_by_all_actors(start, monkeypatch, capfd):
    lines, say = [], cluster._say
    monkeypatch.setattr(cluster, "_say", lambda line: lines.append(line) or say(line))
    with start() as engine:
        assert engine.identity == {"judge": "toy"}
        notes = set()
        while len(notes) < 2 or "judging with 2 actors on 2 nodes" not in lines:  # once both have loaded
            found = results(engine)
            right(found)
            notes = {completion.note for completion in found}
        assert list(engine.complete([])) == []
        assert [completion.text for completion in results(engine, PROMPTS[:1])] == [RIGHT[0].text]
    said, error = capfd.readouterr()
    assert (said, "raylet" in error) == ("", False)
    assert "mmjudge: judging with 2 actors on 2 nodes\n" in error


@pytest.mark.parametrize(
    ("how", "said"),
    [("killed", "worker process has died"), ("raises", "the device is lost"), ("silent", "without a completion")],
)
def test_an_actor_that_dies_is_reported_and_its_work_done(how, said, start, capfd):
    with start(deadly={"q40": how}) as engine:
        right(results(engine))
        found = capfd.readouterr()
        assert (said in found.err, "answers go to the others" in found.err, found.out) == (True, True, "")


def test_a_prompt_that_kills_is_unscored_and_takes_two_actors_with_it(start, capfd):
    with start(deadly={"q40": "killed"}, always=True) as engine:
        found = results(engine)
    right(found, but=(40,))
    assert (found[40].unscored, found[40].note) == ("engine_error", "the judge's process died on it 2 times")
    assert capfd.readouterr().err.count("answers go to the others") == 2


def test_actors_that_only_die_end_the_run(start):
    engine = start(deadly={f"q{n}": "raises" for n in range(60)}, always=True)
    with engine, pytest.raises(UserError, match="5 actors of the judge have died one after the other") as error:
        results(engine)
    assert "the same command goes on from here" in str(error.value)


def test_one_that_cannot_load_is_said_and_the_others_go_on(start, capfd):
    with start(workers=2, failing=1) as engine:
        right(results(engine))
    assert "the weights are gone" in capfd.readouterr().err


def test_none_can_load(start):
    with pytest.raises(UserError, match="the weights are gone") as error:
        start(failing=2)
    assert error.value.fix == "fetch them"


def test_different_judges_are_refused(start):
    def judge_all() -> None:
        with start(workers=2, others=1) as engine:
            while True:  # until the second one has loaded
                results(engine)

    with pytest.raises(UserError, match="the actors have loaded different judges: judge on"):
        judge_all()


@pytest.mark.parametrize("blind", [False, True])
def test_pictures_are_read_where_they_are_or_sent(blind, start, tmp_path, capfd):
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for path in paths[:2]:
        path.write_bytes(path.name.encode() * 9)
    pictures = [Picture(path, path.name) for path in paths[:2]]
    prompts = [Prompt(Request(f"q{n}", "T", (), (pictures[n % 2],)), (pictures[n % 2],)) for n in range(9)]
    with start(blind=blind) as engine:
        notes = [str(completion.note).split() for completion in results(engine, prompts)]
    for number, (_, path, digest) in enumerate(notes):
        assert digest == hashlib.sha256(pictures[number % 2].path.read_bytes()).hexdigest()
        assert (path == str(pictures[number % 2].path)) == (not blind)
        assert blind == (not Path(path).exists())  # what was sent is gone again
    assert ("does not see the pictures' files: they are sent" in capfd.readouterr().err) == blind


def test_units_shrink_and_what_killed_waits_alone():
    work = _Work(PROMPTS, 4)
    assert [len(work.next_unit(2, small=False)) for _ in range(3)] == [7, 6, 5]  # 60 // 8, 53 // 8, 47 // 8
    assert len(work.next_unit(2, small=True)) == 4
    assert list(work.give_back({3, 1}, killed=False)) == []
    rest = []
    while work.waiting:
        rest.append(len(work.next_unit(2, small=False)))
    assert rest == [4] * 9 + [2]  # 38 left; 38 // 8 is 4
    assert [work.next_unit(2, small=False) for _ in range(3)] == [[1], [3], []]
    assert list(work.give_back({3}, killed=True)) == []
    assert [number for number, _ in work.give_back({3, 1}, killed=True)] == [3]


# `mmjudge score`


def toys(answers: Path, out: Path, ray: str | None = None, script: Script | None = None) -> None:
    """`mmjudge score` on toys: for a process of its own."""
    score_command.find = lambda name: toy.Toy()
    options.names = lambda: ["toy"]
    given = ["score", str(answers), "--benchmark", "toy", "--judge", "toy/judge", "--max-unscored", "1"]
    if script is None:
        score_module.check_engine = lambda judge, options: None
        score_module.load_engine = lambda judge, options: toy.HashJudge()
    else:
        cluster.load_on_device, cluster.SMALLEST_UNIT = script.loader(), 4
        given += ["--ray", str(ray)]
    sys.exit(cli.main([*given, "--out", str(out)]))


def test_nodes_are_killed_and_added_and_an_actor_is_killed(nodes, tmp_path, capfd):  # noqa: F811
    answers, alone, out = (tmp_path / name for name in ("answers.jsonl", "alone", "cluster"))
    answers.write_text("".join(json.dumps({"id": f"q{n}", "response": f"answer {n}"}) + "\n" for n in range(40)))
    processes = multiprocessing.get_context("spawn")
    process = processes.Process(target=toys, args=(answers, alone))
    process.start()
    process.join()

    nodes.be(2)
    out.mkdir()
    (out / "verdicts.jsonl").touch()
    held = ("q33", "q20")
    script = Script(tmp_path, deadly={"q7": "killed"}, held=held, verdicts=out / "verdicts.jsonl")
    process = processes.Process(target=toys, args=(answers, out, nodes.address, script))
    process.start()
    for name in held:  # another node for each that is killed while it judges this answer
        while not (tmp_path / f"held-{name}").exists():
            assert process.is_alive()
            time.sleep(0.05)
        nodes.kill((tmp_path / f"held-{name}").read_text())
        nodes.be(2)
    process.join()
    assert process.exitcode == 0
    error = capfd.readouterr().err
    assert error.count("its node is lost") >= 2  # the other one may not have been loaded yet
    assert error.count("worker process has died") == 1
    assert results_but_run(out) == results_but_run(alone)
    lines = [[json.loads(line) for line in (folder / "verdicts.jsonl").open()] for folder in (alone, out)]
    scores = [sorted((row["id"], row["score"], row["unscored"], row["key"]) for row in rows) for rows in lines]
    assert scores[0] == scores[1]  # each once
    assert not list(tmp_path.glob("again-*"))
    assert {path.name for path in out.iterdir()} == {path.name for path in alone.iterdir()}


def test_two_actors_of_a_local_ray_score_as_one_process_does(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else Ray writes a token into the user's home
    pytest.importorskip("torch", reason="the hf extra is not installed")
    pytest.importorskip("ray", reason="the cluster extra is not installed")
    records = json.loads((demo_dir() / "data.json").read_text())[:4]
    answers = tmp_path / "answers.jsonl"
    texts = ["Step 2: Stick the yellow heart on the glass.", "No.", "Step 2: Paint the orange ball.", "A red cup. " * 9]
    rows = [{"id": record["id"], "response": text} for record, text in zip(records, texts, strict=True)]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    where = ["--benchmark", "mmie", "--data", str(demo_dir()), "--judge", str(judge_dir()), "--device", "cpu"]
    found = []
    for name, ray in (("alone", []), ("ray", ["--ray", "--workers", "2"])):
        out = tmp_path / name
        assert cli.main(["score", str(answers), *where, *ray, "--out", str(out), "--max-unscored", "1"]) == 0
        lines = sorted((out / "verdicts.jsonl").read_bytes().splitlines())
        files = sorted(path.relative_to(out) for path in out.rglob("*"))
        found.append(([drop_probabilities(line) for line in lines], results_but_run(out), files))
    assert found[0] == found[1]
    assert "mmjudge: Ray (local): 1 node" in capfd.readouterr().err


def test_two_systems_on_a_local_ray_are_judged_as_one_by_one_here(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    pytest.importorskip("torch", reason="the hf extra is not installed")
    pytest.importorskip("ray", reason="the cluster extra is not installed")
    records = json.loads((demo_dir() / "data.json").read_text())[:3]
    files = []
    for name, text in (("good", "Step 2: Stick the yellow heart on the glass."), ("bad", "No.")):
        rows = ({"id": record["id"], "response": f"{text} {n}"} for n, record in enumerate(records))
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    where = ["--benchmark", "mmie", "--data", str(demo_dir()), "--judge", str(judge_dir()), "--device", "cpu"]
    where += ["--partial", "--max-unscored", "1", "--out"]
    both = str(tmp_path / "both")
    assert cli.main(["score", *map(str, files), *where[:-1], "--workers", "1", "--ray", "--out", both]) == 0
    assert "not counted, since the judge runs elsewhere" in capfd.readouterr().out
    for file in files:
        out = tmp_path / "alone" / file.stem
        assert cli.main(["score", str(file), *where, str(out)]) == 0
        assert results_but_run(out) == results_but_run(tmp_path / "both" / file.stem)
        lines = [
            sorted((folder / "verdicts.jsonl").read_bytes().splitlines()) for folder in (out, Path(both) / file.stem)
        ]
        assert list(map(drop_probabilities, lines[0])) == list(map(drop_probabilities, lines[1]))


def drop_probabilities(line: bytes) -> dict:
    """Their last digits may change with who shares a batch."""
    row = json.loads(line)
    for name in ("score_probs", "expected", "entropy"):
        row.pop(name, None)
    return row
