"""A judge that cannot be had is said before generation; one that fails leaves reasons, verdicts and a way on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, hashed, said

from judge.core.benchmark import Answer, Dataset, Source, Summary
from judge.core.condition import Condition
from judge.core.failure import failed_call
from judge.core.metric import Metric, Ratio, scores
from judge.core.request import Request, Text
from judge.core.rubric import Rubric
from judge.core.scale import JUDGE_SCALE
from judge.core.verdict import Verdict
from judge.engines import Completion, Prompt
from judge.errors import UserError
from judge.harness import session as module
from judge.harness import settings
from judge.harness.session import SLOW_ON_CPU, Asked, Session
from judge.results.statistics import mean_score
from judge.scoring.journal import Journal


@dataclasses.dataclass(frozen=True)
class Record:
    id: str
    category: str = "T"


class Toy:
    """A judged benchmark of texts; "" is unscored by rule."""

    name = title = "toy"
    repo = "toy/toy"
    categories = ("T",)
    metrics = (Metric("mean", "mean points", "answers", "", scores, Ratio(tuple(range(7)), (1,) * 7, scale=1)),)
    headline = ("mean",)
    scale = JUDGE_SCALE
    judged = True

    def assess(self, answers: Sequence[Answer], *_: Any, **__: Any) -> list[Request | Verdict]:
        return [
            Request(str(a.id), "T", (Text("?"),), (Text(str(a.response)),))
            if not failed_call(a.response or None)
            else Verdict(str(a.id), "judge", None, failed_call(a.response or None), "T")
            for a in answers
        ]

    def rubric(self, name: str) -> Rubric:
        return Rubric(name, {"T": "{question}{answer}"})

    def signature_parts(self, profile: str) -> Mapping[str, str]:
        return {}

    def stability(self, repeats: Sequence[Sequence[Verdict]]) -> dict[str, Any]:
        return {}

    def summarise(self, verdicts: Sequence[Verdict], dataset: Any) -> Summary:
        return Summary({"mean": mean_score(self.scale.histogram(v.score for v in verdicts))}, {})


class Judge:
    """Gives 3; fails for good at the prompt `fails_at`; counts what it was asked."""

    reads = True
    identity: Mapping[str, str] = {"judge": "toy-judge"}

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at, self.asked = fails_at, 0

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        for number, _ in enumerate(prompts):
            if number == self.fails_at:
                raise RuntimeError("CUDA out of memory")
            self.asked += 1
            yield number, Completion("### Feedback\nFine.\n### Score\n3")


def make(tmp_path: Path, rank: int = 0, **environment: str) -> Session:
    values = {"MMJUDGE_JOURNAL": str(tmp_path), "MMJUDGE_DEVICE": "cpu", "RANK": str(rank), "WORLD_SIZE": "8"}
    values |= environment
    records = [Record(f"q{n}") for n in range(6)]
    dataset: Dataset = Dataset(Source("toy/toy", "local:0", "v1"), records, tmp_path)
    return Session("toy_task", Toy(), dataset, settings.read_settings(values), judge="toy-judge")  # type: ignore[arg-type]


def answers(*texts: str) -> list[Answer]:
    return [Answer(f"q{n}", n, text, Path(".")) for n, text in enumerate(texts)]


def use(monkeypatch: pytest.MonkeyPatch, judge: Judge) -> Judge:
    monkeypatch.setattr(module, "_load", lambda *_: judge)
    return judge


def test_rules_decide_first_and_the_judge_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = use(monkeypatch, Judge())
    decided = make(tmp_path).decide(answers("a", "", "b"))
    assert [(v.id, v.score, v.unscored) for v in decided] == [
        ("q0", 3, None),
        ("q1", None, "no_response"),
        ("q2", 3, None),
    ]
    assert judge.asked == 2
    assert all(verdict.key for verdict in decided)


def test_a_second_session_judges_nothing_again_whatever_its_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Judge())
    first = make(tmp_path).decide(answers("a", "b", "c"))
    judge = use(monkeypatch, Judge())
    assert make(tmp_path, rank=1).decide(answers("a", "b", "c", "new"))[:3] == first
    assert judge.asked == 1  # "new"


def test_what_the_engine_failed_at_is_judged_by_the_next_run_whatever_its_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Judge):
        def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
            for number, completion in super().complete(prompts):
                yield number, Completion(None, unscored="engine_error") if number == 1 else completion

    use(monkeypatch, Failing())
    decided = make(tmp_path).decide(answers("a", "b", "c"))
    assert [(v.score, v.unscored) for v in decided] == [(3, None), (None, "engine_error"), (3, None)]
    for rank in (1, 0):  # rank 0 has the failure in its own journal, and rank 1's verdict beside it
        judge = use(monkeypatch, Judge())
        assert [v.score for v in make(tmp_path, rank=rank).decide(answers("a", "b", "c"))] == [3, 3, 3]
        assert judge.asked == rank  # once in all


def test_a_judge_that_dies_leaves_what_it_decided_and_reasons_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Judge(fails_at=1))
    decided = make(tmp_path).decide(answers("a", "b", ""))
    assert [(v.score, v.unscored) for v in decided] == [(3, None), (None, "engine_error"), (None, "no_response")]
    assert decided[1].details["note"] == "RuntimeError: CUDA out of memory"
    error = capsys.readouterr().err
    assert "toy_task: 1 of 3 answers are not judged: RuntimeError: CUDA out of memory" in error
    assert "mmjudge score" in error
    assert "--predict_only" in error
    # and the next run judges only the one that failed
    judge = use(monkeypatch, Judge())
    assert [v.score for v in make(tmp_path).decide(answers("a", "b", ""))] == [3, 3, None]
    assert judge.asked == 1


class Engine:
    """A model under test that holds a device by itself, as vLLM's and SGLang's engines do."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def shutdown(self) -> None:
        self.said.append("shut down")
        raise RuntimeError("a worker does not answer")


def test_the_model_under_test_is_freed_once_before_the_judge_is_loaded_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def load(*_: Any) -> Judge:
        said.append("loaded")
        return Judge()

    monkeypatch.setattr(module, "_load", load)
    pytest.importorskip("torch")
    model = SimpleNamespace(client=Engine(said))
    for _ in range(2):  # two tasks of one run
        session = make(tmp_path)
        session.asked = Asked(freed=model)
        assert [v.score for v in session.decide(answers("a"))] == [3]
    assert said == ["shut down", "loaded", "loaded"]
    assert "not freed: client" in (error := capsys.readouterr().err)
    assert "shutdown() raised RuntimeError: a worker does not answer" in error


def test_the_model_under_test_stays_where_the_judge_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    use(monkeypatch, Judge())
    session = make(tmp_path, MMJUDGE_JUDGE="http://localhost:1/v1")
    session.asked = Asked(freed=SimpleNamespace(client=Engine(said)))
    assert [v.score for v in session.decide(answers("a"))] == [3]
    assert said == []


def test_a_judge_that_cannot_be_loaded_leaves_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise UserError("weights are gone")

    monkeypatch.setattr(module, "_load", fail)
    decided = make(tmp_path).decide(answers("a", "b"))
    assert [(v.id, v.unscored, v.category) for v in decided] == [
        ("q0", "engine_error", "T"),
        ("q1", "engine_error", "T"),
    ]


def test_a_journal_in_use_is_left_alone_and_another_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Judge())
    busy = make(tmp_path)
    busy.decide(answers("a"))
    (path,) = tmp_path.glob("*.jsonl")
    with Journal(path):
        judge = use(monkeypatch, Judge())
        assert [v.score for v in make(tmp_path).decide(answers("a", "b"))] == [3, 3]
    assert judge.asked == 1  # "a" was read from the busy one
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


def test_results_are_written_with_the_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Judge())
    session = make(tmp_path)
    session.publish(session.decide(answers("a", "", "b")), tmp_path / "out")
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    # 3 of 6 questions have no answer
    assert (result["n"], result["unscored"]["n"], result["metrics"]["mean"]["value"]) == (6, 4, 3.0)
    assert result["unscored"]["reasons"] == {"not_answered": 3, "no_response": 1}
    lines = (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["q0", "q1", "q2", "q3", "q4", "q5"]
    error = capsys.readouterr().err
    assert "66.7% unscored" in error
    assert "4 of 6 answers have no score: 3 not_answered, 1 no_response" in error
    assert "judge:toy-judge" in "".join(error.split())


def test_what_the_engine_failed_at_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(Judge):
        def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
            for number, completion in super().complete(prompts):
                yield number, Completion(None, unscored="engine_error", note="no room") if number else completion

    use(monkeypatch, Failing())
    session = make(tmp_path)
    session.publish(session.decide(answers("a", "b", "c")), None)
    line = "mmjudge: toy_task: 2 of 6 answers have no score because the engine failed: most often (2): no room\n"
    assert capsys.readouterr().err.count(line) == 1
    # where the whole judging ended, that has been said
    use(monkeypatch, Judge(fails_at=0))
    session = make(tmp_path / "other", MMJUDGE_JOURNAL=str(tmp_path / "other"))
    session.publish(session.decide(answers("a", "b", "c")), None)
    assert capsys.readouterr().err.count("CUDA out of memory") == 1


def test_a_part_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Judge())
    session = make(tmp_path, MMJUDGE_PARTIAL="1")
    session.publish(session.decide(answers("a", "b")), tmp_path / "out")
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (result["n"], result["unscored"]["n"]) == (2, 0)
    assert "|part:2 of 6|" in result["signature"]
    assert "PARTIAL: only 2 of 6 questions were asked" in capsys.readouterr().err


def test_most_pictures_missing_ends_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make(tmp_path, MMJUDGE_IMAGE_ROOT=str(tmp_path / "pictures"))
    use(monkeypatch, Judge())
    session.publish([Verdict(f"q{n}", "judge", None, "image_missing", "T") for n in range(6)], None)
    said = capsys.readouterr().err
    assert "6 of 6 answers have no score: 6 image_missing" in said
    assert said.count(f"looked for below {tmp_path / 'pictures'}: set MMJUDGE_IMAGE_ROOT") == 1


def test_one_refused_picture_is_shown_once_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make(tmp_path, MMJUDGE_IMAGE_ROOT=str(tmp_path / "pictures"))
    use(monkeypatch, Judge())
    note = {"note": "image name '.../a.png' leaves the image root"}
    refused = [Verdict(f"q{n}", "judge", None, "image_refused", "T", details=note) for n in (2, 3)]
    session.publish([*(Verdict(f"q{n}", "judge", 3, category="T") for n in (0, 1, 4, 5)), *refused], None)
    said = capsys.readouterr().err
    assert "2 answers have pictures that were not read; q2: image name '.../a.png' leaves the image root" in said
    assert said.count(f"looked for below {tmp_path / 'pictures'}: set MMJUDGE_IMAGE_ROOT") == 1


def test_a_second_run_of_the_same_answers_gets_a_dated_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Judge())
    for _ in range(3):
        session = make(tmp_path)
        session.publish(session.decide(answers("a", "b")), tmp_path / "out" / "toy", answers("a", "b"))
    folders = sorted((tmp_path / "out").iterdir())
    assert [folder.name[:6] for folder in folders] == ["toy", "toy-20", "toy-20"]
    assert all((folder / "results.json").is_file() for folder in folders)
    assert capsys.readouterr().err.count("has results: the results go to") == 2


def test_another_models_results_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Judge())
    for texts in (("a", "b"), ("c", "d")):
        session = make(tmp_path)
        session.publish(session.decide(answers(*texts)), tmp_path / "out" / "toy", answers(*texts))
    first, second = sorted((tmp_path / "out").iterdir())
    assert first.name == "toy"
    assert second.name.startswith("toy-20")
    texts = [
        json.loads((folder / "results.json").read_text())["run"]["answers"]["sha256"] for folder in (first, second)
    ]
    assert texts[0] != texts[1]
    assert "has results: the results go to" in capsys.readouterr().err


def test_questions_asked_several_times_have_a_folder_for_every_repeat_and_what_they_come_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Judge())
    given = [answers("a", "b"), answers("a", ""), answers("c", "d")]
    for _ in range(2):
        session = make(tmp_path, MMJUDGE_PARTIAL="1")
        session.publish_repeats([session.decide(of) for of in given], tmp_path / "out" / "toy", given)
    first, second = sorted((tmp_path / "out").iterdir())
    assert second.name.startswith("toy-20")
    for folder in (first, second):
        repeats = [json.loads((folder / f"repeat-{n}" / "results.json").read_text()) for n in (1, 2, 3)]
        assert [repeat["n"] for repeat in repeats] == [2, 2, 2]
        assert [repeat["unscored"]["n"] for repeat in repeats] == [0, 1, 0]
        assert len({repeat["run"]["answers"]["sha256"] for repeat in repeats}) == 3
        found = json.loads((folder / "repeats.json").read_text())
        assert found["metrics"]["mean"]["values"] == [3.0, 3.0, 3.0]
    said = capsys.readouterr().err
    assert "repeat 3 of 3" in said
    assert "toy (toy_task): every question asked 3 times" in said


def test_a_folder_that_cannot_be_written_is_said_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Judge())
    session = make(tmp_path)
    (tmp_path / "file").write_text("")
    session.publish(session.decide(answers("a")), tmp_path / "file" / "out")
    said = capsys.readouterr().err
    assert "results of toy_task not written: " in said
    assert "cannot be made (Not a directory)" in said


@pytest.mark.parametrize(("size", "device", "refused"), [
    (SLOW_ON_CPU + 1, "", True),
    (SLOW_ON_CPU, "", False),  # small enough for a CPU
    (SLOW_ON_CPU + 1, "cpu", False),  # the user said so
])  # fmt: skip
def test_a_large_judge_without_an_accelerator_is_refused_with_the_two_commands(
    size: int, device: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = pytest.importorskip("judge.engines.local", reason="the hf extra is not installed")
    monkeypatch.setattr(engine, "check_judge", lambda *_: size)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["lmms-eval", "--model", "m", "--tasks", "toy_task"])
    session = make(tmp_path, MMJUDGE_DEVICE=device)
    if not refused:
        session.check()
        return
    with pytest.raises(UserError, match="needs an accelerator") as error:
        session.check()
    assert "lmms-eval --model m --tasks toy_task --predict_only --output_path OUT" in str(error.value)
    score = "mmjudge score OUT/…_samples_toy_task.jsonl --benchmark toy --judge toy-judge --image-root . --out RESULTS"
    assert score in str(error.value)
    session.asked = Asked(condition=Condition("blind", picture="none"))
    with pytest.raises(
        UserError, match=rf"--image-root \. --condition {session.asked.condition.identity} --out RESULTS"
    ):
        session.check()


def test_a_judge_behind_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeEndpoint(hashed) as fake:
        session = make(tmp_path, MMJUDGE_JUDGE=fake.url)
        session.check()
        decided = session.decide(answers("a", "", "b"))
        assert [verdict.feedback for verdict in decided] == [said("?\na\n", []), None, said("?\nb\n", [])]
        assert session.signature.parts["engine"] == "server"
        make(tmp_path, rank=1, MMJUDGE_JUDGE=fake.url).decide(answers("a", "", "b"))
        assert len(fake.asked) == 2


@pytest.mark.parametrize(("judge", "message"), [
    ("http://127.0.0.1:9/v1", "cannot be reached"),
    ("http://127.0.0.1:9/v1#middle", "unknown option"),
    ("replay:/nowhere/feedback.jsonl", "cannot be read"),
    ("/nowhere/judge", "/nowhere/judge"),
])  # fmt: skip
def test_a_judge_that_is_not_there_is_refused(judge: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        make(tmp_path, MMJUDGE_JUDGE=judge).check()


def test_a_damaged_journal_is_said_and_no_second_one_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Taken for locked, it would be judged all over again."""
    judge = use(monkeypatch, Judge())
    make(tmp_path).decide(answers("a", "b"))
    (journal,) = tmp_path.glob("*.jsonl")
    journal.write_text("nonsense\n" + journal.read_text())
    asked = judge.asked
    verdicts = make(tmp_path).decide(answers("a", "b"))
    assert [verdict.unscored for verdict in verdicts] == ["engine_error", "engine_error"]
    assert "line 1 is not a verdict" in capsys.readouterr().err
    assert judge.asked == asked
    assert list(tmp_path.glob("*-second.jsonl")) == []
