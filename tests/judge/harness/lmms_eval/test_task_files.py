"""The task files against the traps of lmms-eval, and what its rows take their standard errors over."""

from __future__ import annotations

import importlib
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from judge.core.benchmark import find, names
from judge.core.verdict import Verdict
from judge.harness.lmms_eval.run import Refusal, Run, running
from judge.harness.lmms_eval.tasks import Tasks, image_root
from judge.harness.session import Asked
from judge.harness.settings import read_settings

BENCHMARKS = [find(name) for name in names()]


def load(path: Path) -> dict[str, Any]:
    """A task file with what it includes; a function is its dotted name."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: str(loader.construct_scalar(node)))
    config: dict[str, Any] = yaml.load(path.read_text(), Loader)
    included = config.pop("include", None)
    return {**(load(path.with_name(included)) if included else {}), **config}


FILES = sorted(path for benchmark in BENCHMARKS for path in benchmark.task_dir.glob("*.yaml"))
CONFIGS = {config["task"]: config for config in map(load, FILES)}


def test_there_are_seven_tasks_in_files_of_their_names() -> None:
    assert sorted(CONFIGS) == ["mmie", "mmie_1k", "mmie_demo", "mmie_score", "mmvu", "mmvu_demo", "mmvu_robust"]
    assert sorted(path.stem for path in FILES) == sorted(CONFIGS)


def test_no_two_tasks_share_generation_arguments() -> None:
    """Backends batch by them and take the first document's pictures function for the whole batch: with equal ones, a
    question of one task is silently shown the pictures of another."""
    assert len({str(config["generation_kwargs"]) for config in CONFIGS.values()}) == len(CONFIGS)


@pytest.mark.parametrize("task", sorted(CONFIGS))
def test_a_task_file(task: str) -> None:
    config = CONFIGS[task]
    # without "until" lmms-eval stops an answer at its first empty line
    assert config["generation_kwargs"]["until"] == [f"<mmjudge:{task}>"]
    # tags are stripped by us, after the JSON of a response was read
    assert config["reasoning_tags"] == "none"
    assert config["process_docs"].rpartition(".")[2] == task
    functions = [value for value in config.values() if isinstance(value, str) and "." in value]
    assert len(functions) == 8  # stub, documents, text, visual, messages, target, results, metrics
    for function in functions:
        module, _, name = function.rpartition(".")
        assert hasattr(importlib.import_module(module), name), function


def test_tags_name_no_task_that_could_be_a_built_in() -> None:
    tagged = {task: config.get("tag", []) for task, config in CONFIGS.items()}
    assert [task for task, tags in tagged.items() if "mmjudge" in tags] == ["mmie_score", "mmvu_robust"]
    assert tagged["mmie"] == tagged["mmvu"] == []


# Rows


STUB = SimpleNamespace(
    dataset=None, publish_repeats=lambda *_: None, task="t", settings=SimpleNamespace(image_root=Path())
)


def aggregate(
    tasks: Tasks, row: str, verdicts: list[Verdict], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, list[float]]:
    """(the row's value, the scores lmms-eval would take its standard error over)."""
    monkeypatch.setattr(Tasks, "session", lambda *_: STUB)
    function = {entry["metric"]: entry["aggregation"] for entry in tasks.metric_list()}[row]
    given: list[dict[str, Any]] = [{"task": "t", "verdict": verdict.to_json()} for verdict in verdicts]
    value = function(given, args=None)
    return value, [item["score"] for item in given if "score" in item]


def mmvu(name: str, question_type: str, right: bool | None, reference: bool = True) -> Verdict:
    details = {"type": question_type, "level": "attribute", "score_reference": int(reference)}
    score = None if right is None else int(right)
    return Verdict(name, "rule", score, "call_failed" if right is None else None, "Shape", details=details)


# pair:    a both right · b misled · c lucky · d both wrong · e not answered in half · f with one question only
ANSWERS = [
    mmvu("a", "NEG", True), mmvu("a", "POS", True),
    mmvu("b", "POS", True), mmvu("b", "NEG", False),
    mmvu("c", "POS", False), mmvu("c", "NEG", True),
    mmvu("d", "NEG", False), mmvu("d", "POS", False),
    mmvu("e", "POS", True), mmvu("e", "NEG", None),
    mmvu("f", "POS", True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "value", "scores"),
    [
        ("RA", 25.0, [100, 0, 0, 0]),  # a of a, b, c, d
        ("MR", 50.0, [0, 100]),  # b of a, b
        ("POS", 100 * 4 / 6, [100, 100, 0, 0, 100, 100]),  # a b c d e f
        ("NEG", 50.0, [100, 0, 100, 0]),  # a b c d
        ("RA_shape", 25.0, [100, 0, 0, 0]),
        ("RA_reference", 100.0, [100] * 5),  # all right under the reference extraction, to which e is answered
        ("unscored", 100 / 11, [0] * 9 + [100, 0]),
    ],
)
def test_mmvu_rows(row: str, value: float, scores: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    from mmvu_tasks.lmms_eval.task import TASKS

    found, units = aggregate(TASKS, row, ANSWERS, monkeypatch)
    assert found == pytest.approx(value)
    assert units == scores
    # what lmms-eval prints as Stderr_CLT is then the standard error of the row's own value
    assert statistics.mean(units) == pytest.approx(value)


@pytest.mark.parametrize(
    ("row", "value", "scores"),
    [
        ("mean", 3.0, [6, 3, 0]),
        ("score", 50.0, [100, 50, 0]),
        ("score_SA", 75.0, [100, 50]),
        ("unscored", 25.0, [0, 0, 0, 100]),
    ],
)
def test_mmie_rows(row: str, value: float, scores: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    from mmie_tasks.lmms_eval.task import TASKS

    verdicts = [
        Verdict("SA-1", "judge", 6, category="SA"),
        Verdict("SA-2", "judge", 3, category="SA"),
        Verdict("PBL-1", "judge", 0, category="PBL"),
        Verdict("MSR-1", "judge", None, "truncated", "MSR"),
    ]
    of_row = [v for v in verdicts if v.category == "SA"] if row == "score_SA" else verdicts
    found, units = aggregate(TASKS, row, of_row, monkeypatch)
    assert found == pytest.approx(value)
    assert units == pytest.approx(scores)


def test_a_row_without_a_scored_answer_is_none_and_not_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmie_tasks.lmms_eval.task import TASKS

    assert aggregate(TASKS, "score", [Verdict("SA-1", "judge", None, "truncated", "SA")], monkeypatch) == (None, [])


@pytest.mark.parametrize(("name", "overall", "per_category"), [
    ("mmie", 4, 1),  # score, mean, exact, unscored; score of each category
    ("mmvu", 9, 2),  # four metrics, the four by the reference extraction, unscored; RA and MR of each category
])  # fmt: skip
def test_every_category_has_its_rows(name: str, overall: int, per_category: int) -> None:
    rows = [entry["metric"] for entry in importlib.import_module(f"{name}_tasks.lmms_eval.task").METRICS]
    assert len(set(rows)) == len(rows) == overall + per_category * len(find(name).categories)


# Around the run


def test_outside_a_run_a_task_is_asked_and_judged() -> None:
    assert (running().predict_only, running().asks, running().image_root) == (False, True, None)


def test_the_run_is_read_off_the_stack() -> None:
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")

    def simple_evaluate(predict_only: bool, lm: Any) -> Any:
        return running()

    run = simple_evaluate(True, SimpleNamespace(asks=False, image_root=Path("/out")))
    assert (run.predict_only, run.asks, run.image_root) == (True, False, Path("/out"))
    run = simple_evaluate(False, object())
    assert (run.predict_only, run.asks, run.image_root) == (False, True, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_fewshot": 2}, "--num_fewshot: .*\n→ leave"),
        ({"apply_chat_template": True}, "--apply_chat_template"),
        ({"fewshot_as_multiturn": True}, "--fewshot_as_multiturn"),
        ({"baseline": "qwen25vl"}, "--baseline .*\n→ run without it, then: mmjudge compare"),
        ({"system_instruction": "Be brief."}, "--system_instruction"),
    ],
)
def test_options_that_give_nonsense_are_refused(options: dict[str, Any], message: str) -> None:
    def simple_evaluate(
        num_fewshot: Any = None,
        apply_chat_template: bool = False,
        fewshot_as_multiturn: bool = False,
        baseline: Any = None,
        system_instruction: Any = None,
    ) -> Any:
        return running()

    with pytest.raises(Refusal, match=message):
        simple_evaluate(**options)


def test_a_fraction_of_several_tasks_is_explained_once(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")

    def simple_evaluate(limit: Any, tasks: Any) -> Any:
        return running()

    for _ in range(2):
        assert simple_evaluate(0.2, ["mmie", "mmvu"]).asked.partial
    assert capsys.readouterr().err.count("--limit 0.2: lmms-eval makes a count of it at the first task") == 1
    simple_evaluate(0.2, ["mmie"])
    simple_evaluate(5, ["mmie", "mmvu"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("tracked", "model", "folder"),
    [
        ("Qwen__Qwen2.5-VL-7B-Instruct", "qwen2_5_vl", "Qwen__Qwen2.5-VL-7B-Instruct"),
        ("", "mmjudge_demo", "mmjudge_demo"),  # lmms-eval puts its own files into OUT then
        (None, "a/b", "a__b"),
        ("..", "x", "model"),
        ("../../etc", "x", "..__..__etc"),
    ],
)
def test_every_model_has_a_folder_of_its_own(tracked: str | None, model: str, folder: str) -> None:
    tracker = SimpleNamespace(general_config_tracker=SimpleNamespace(model_name_sanitized=tracked))
    run = Run(asked=Asked("m", {"arguments": {"model": model}}), tracker=tracker)
    assert run.folder == folder


def test_where_pictures_of_answers_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here, elsewhere, said = Path.cwd(), Path("/elsewhere/out"), Path("/said")
    for run, environment, root in (
        (Run(), {}, here),
        (Run(declared=here / "out"), {}, here),
        (Run(declared=elsewhere), {}, elsewhere),
        (Run(declared=elsewhere), {"MMJUDGE_IMAGE_ROOT": "/said"}, said),
        (Run(image_root=Path("/class")), {"MMJUDGE_IMAGE_ROOT": "/said"}, Path("/class")),
    ):
        assert image_root(run, read_settings(environment)) == root


def test_a_refusal_ends_the_process_with_its_message_and_one() -> None:
    with pytest.raises(SystemExit) as ended:
        raise Refusal("no data here")
    assert ended.value.code == "mmjudge: no data here"  # Python prints a code that is text, and exits with 1


def test_replayed_parts_reach_mmvu_as_text() -> None:
    from mmvu_tasks.lmms_eval.task import _as_text

    assert _as_text('[{"text": "The answer is", "image": null}, {"text": "B", "image": null}]') == "The answer is\nB"
    for text in ("B", '[{"text": ', '[{"text": 3}]', '[{"text": "B"} and so on'):
        assert _as_text(text) == text
