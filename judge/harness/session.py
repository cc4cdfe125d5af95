"""Judging inside a harness: the judge is checked before generation, loaded after it, and whatever fails is a reason.

A session is one task in one process: a benchmark, its data, and the settings of the environment. `decide` never raises,
because an exception while lmms-eval scores ends the run without a results file and with exit code 0; answers that
could not be judged are unscored, `engine_error`, and a line on stderr says why and how to score them later.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer, Benchmark, Dataset
from judge.core.condition import PLAIN, Condition
from judge.core.foreign_text import shown
from judge.core.request import Request
from judge.core.rubric import Rubric
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.engines import Engine, EngineOptions
from judge.engines.loading import is_address, is_elsewhere, is_general, load_engine
from judge.engines.replay import PREFIX, Replay
from judge.errors import UserError
from judge.harness.ranks import rank_device
from judge.harness.settings import Settings
from judge.io.locks import HeldElsewhere
from judge.io.presentation import keep_samples
from judge.io.verdicts import read_verdicts
from judge.results.repeats import FILE as REPEATS
from judge.results.repeats import folder_of_repeat, repeats_table, summarise_repeats, write_repeats
from judge.results.result import Result, build_result, note_condition
from judge.results.run_folder import RESULTS, RunFolder
from judge.results.run_info import Interleaving, RunInfo, describe_answers
from judge.results.terminal import engine_failures, result_table
from judge.scoring.background_keys import request_keys
from judge.scoring.coverage import Part, complete, missing_pictures
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.keys import rule_key
from judge.scoring.pipeline import (
    UNKNOWN,
    Asking,
    default_judge,
    default_rubric,
    judge_requests,
    make_signature,
)
from judge.systems.freeing import free_model

MOST = 0.5
"""Of the answers: where more have no score, a line says why and what mends it."""
SLOW_ON_CPU = 2**30
"""Bytes of weights from which a judge on a CPU takes days for what an accelerator does in minutes."""
ENGINE_PACKAGES = ("lmms_eval", "pillow", "safetensors", "torch", "transformers")


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the harness is doing. model: the name of the model under test, None where it is not known. harness: name,
    version and arguments, for the record. partial: only some of the questions are asked. freed: the object of the model
    under test where it is asked nothing more once judging begins, so that the judge may have its memory. interleaving:
    what the model's class makes of texts and pictures that take turns. wording: how questions are worded, None where
    nobody knows. condition: what they are asked under."""

    model: str | None = None
    harness: Mapping[str, Any] | None = None
    partial: bool = False
    freed: object = None
    interleaving: Interleaving = "unknown"
    wording: str | None = None
    condition: Condition = PLAIN


class Session:
    """judge: the one to use where the environment names none."""

    def __init__(
        self,
        task: str,
        benchmark: Benchmark,
        dataset: Dataset,
        settings: Settings,
        judge: str | None = None,
        asked: Asked | None = None,
    ) -> None:
        self.task, self.benchmark, self.dataset, self.settings = task, benchmark, dataset, settings
        self.judge = settings.judge or judge or default_judge()
        self.asked = asked or Asked()
        self._started = time.monotonic()
        self._rubric: Rubric | None = None
        self._engine: Engine | None = None
        self._error: str | None = None  # what ended the judging

    def check(self) -> None:
        """Raise UserError for what would keep the judge from judging, without loading it."""
        if not self.benchmark.judged:
            return
        if is_address(self.judge):
            from judge.engines.remote import connect

            connect(self.judge, self.settings.tokenizer)
            self.benchmark.rubric(self._rubric_name())
            return
        if is_general(self.judge):
            load_engine(self.judge)
            self.benchmark.rubric(self._rubric_name())
            return
        if self.judge.startswith(PREFIX):
            Replay(self.judge.removeprefix(PREFIX))
            return
        from judge.engines.local import check_judge

        device = rank_device(self.settings.device, self.settings.rank)
        size = check_judge(self.judge, device, self.settings.dtype)
        if size > SLOW_ON_CPU and self.settings.device is None and device == "cpu":
            raise UserError(
                f"the judge {self.judge} ({size / 2**30:.1f} GiB) needs an accelerator, and there is none here",
                fix=f"split the job: {self._later()}; or set MMJUDGE_DEVICE=cpu and wait",
            )
        self.benchmark.rubric(self._rubric_name())

    def decide(self, answers: Sequence[Answer]) -> list[Verdict]:
        """One verdict for every answer, in order; no question twice."""
        verdicts: dict[int, Verdict] = {}
        requests: dict[int, Request] = {}
        error = "the engine gave no answer"
        try:
            self._open()
            bare = self._engine is not None and not self._engine.reads
            assessed = self._assess(answers, bare=bare)
            if missing := missing_pictures(answers, assessed):
                say(f"mmjudge: {self.task}: {missing}")
            for position, item in enumerate(assessed):
                if isinstance(item, Request):
                    requests[position] = item
                else:
                    verdicts[position] = dataclasses.replace(item, key=rule_key(item, self.signature))
            positions = list(requests)
            for number, verdict in self._judge(list(requests.values())):
                verdicts[positions[number]] = verdict
        except Exception as caught:
            error = self._error = f"{type(caught).__name__}: {caught}"
            undecided = len(answers) - len(verdicts)
            say(f"{self.task}: {undecided} of {len(answers)} answers are not judged: {error}\n→ {self._later()}")
        return [verdicts.get(i) or self._failed(answer, error) for i, answer in enumerate(answers)]

    @property
    def signature(self) -> Signature:
        """What fixes the numbers of this task; without a judge's identity until the judge is loaded."""
        return self._signature(None)

    def _signature(self, part: Part | None) -> Signature:
        identity: Mapping[str, str] = {}
        if self.benchmark.judged:
            identity = self._engine.identity if self._engine is not None else {"judge": self.judge, "engine": "none"}
        asking = Asking(self.asked.wording or UNKNOWN, part, self.asked.condition)
        return make_signature(
            self.benchmark, self.dataset.source, self.settings.profile, self._rubric, identity, asking
        )

    def publish_repeats(
        self, verdicts: Sequence[Sequence[Verdict]], folder: Path | None, answers: Sequence[Sequence[Answer]]
    ) -> None:
        """`publish` for questions that were asked once or several times. Never raises.

        Of several, every repeat has a folder in `folder`, and `judge.results.repeats` says what they come to.
        """
        if len(verdicts) == 1:
            self.publish(verdicts[0], folder, answers[0] if answers else ())
            return
        try:
            whole = None if folder is None else _free_path(folder)
            results = []
            for number, of in enumerate(verdicts, 1):
                say(f"mmjudge: {self.task}: repeat {number} of {len(verdicts)}")
                where = None if whole is None else whole / folder_of_repeat(number)
                results.append(self.publish(of, where, answers[number - 1] if answers else ()))
            done = [result for result in results if result is not None]
            if len(done) < len(results):
                return  # `publish` has said why
            title = f"{self.benchmark.title} ({self.task})"
            stability = self.benchmark.stability(verdicts)
            summary = summarise_repeats(done, stability)
            say(repeats_table(summary, title, self.benchmark.headline))
            if whole is not None:
                say(str(write_repeats(whole, summary)))
        except Exception as error:
            say(f"mmjudge: results of {self.task} not written: {type(error).__name__}: {error}")

    def publish(
        self, verdicts: Sequence[Verdict], folder: Path | None, answers: Sequence[Answer] = ()
    ) -> Result | None:
        """Print the results with signature and unscored rate, and write them into `folder`; None where that failed.

        Never raises.

        answers: what the verdicts are about, kept for reports. Questions without a verdict are not answered, unless
        only some were asked. A folder that has results is left alone: a dated one beside it is written.
        """
        with contextlib.suppress(Exception):  # `decide` has said why
            self._open()
        try:
            given = describe_answers(answers)
            info = RunInfo(self.asked.model, given, self.asked.harness, self.asked.interleaving, self._started)
            verdicts, part = self._complete(verdicts)
            source, run = self.dataset.source, info.to_json(ENGINE_PACKAGES)
            result = build_result(self.benchmark, verdicts, self.dataset, source, self._signature(part), run=run)
            result = note_condition(result, self.asked.condition)
            say(result_table(result, f"{self.benchmark.title} ({self.task})", self.benchmark.headline))
            for line in self._advice(result, verdicts):
                say(line)
            if folder is None:
                return result
            run_folder = _free_folder(folder, info)
            run_folder.claim(info.owner)
            run_folder.write_verdicts(verdicts)
            try:
                keep_samples(run_folder.path, self.benchmark, answers, self.dataset, verdicts)
            except Exception as error:  # a report will do without
                say(f"mmjudge: samples of {self.task} not written: {type(error).__name__}: {error}")
            say(str(run_folder.write_results(result)))
            return result
        except Exception as error:
            say(f"mmjudge: results of {self.task} not written: {type(error).__name__}: {error}")
            return None

    def _complete(self, verdicts: Sequence[Verdict]) -> tuple[Sequence[Verdict], Part | None]:
        """A verdict on every question, or which part of them was asked."""
        root = self.settings.image_root
        answers, part = complete([Answer(v.id, v.index, None, root) for v in verdicts], self.dataset,
                                 partial=self.asked.partial or self.settings.partial)  # fmt: skip
        missing = self._assess(answers[len(verdicts) :])
        decided = (item for item in missing if isinstance(item, Verdict))
        return [*verdicts, *(dataclasses.replace(v, key=rule_key(v, self.signature)) for v in decided)], part

    def _assess(self, answers: Sequence[Answer], *, bare: bool = False) -> list[Request | Verdict]:
        profile, condition = self.settings.profile, self.asked.condition
        return self.benchmark.assess(answers, self.dataset, profile, bare=bare, condition=condition)

    def _advice(self, result: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Iterator[str]:
        """What the engine failed at, what mends pictures that were not found, with the first of them, and where most
        answers have no score, why that is."""
        # what ended the judging has been said
        unsaid = [verdict for verdict in verdicts if verdict.details.get("note", "") != self._error]
        if failures := engine_failures(unsaid, result["n"]):
            yield f"mmjudge: {self.task}: {failures}"
        unscored = result["unscored"]
        lost = [verdict for verdict in verdicts if verdict.unscored in ("image_missing", "image_refused")]
        if lost:
            first, root = lost[0], self.settings.image_root
            note = first.details.get("note") or first.unscored
            yield f"mmjudge: {self.task}: {len(lost)} answers have pictures that were not read; {first.id}: {note}"
            yield f"→ pictures of answers are looked for below {root}: set MMJUDGE_IMAGE_ROOT to their folder"
        if not unscored["n"] or unscored["n"] <= MOST * result["n"]:
            return
        reasons = ", ".join(f"{count} {reason}" for reason, count in unscored["reasons"].items())
        yield f"mmjudge: {self.task}: {unscored['n']} of {result['n']} answers have no score: {reasons}"
        if "call_failed" in unscored["reasons"]:
            yield "→ the model's calls failed: see the harness's log above, mend the model or its server, and ask again"
        if "engine_error" in unscored["reasons"]:
            yield f"→ {self._later()}"

    def _open(self) -> None:
        """Load judge and rubric, the first time."""
        if not self.benchmark.judged or self._engine is not None:
            return
        settings = self.settings
        device = None if is_elsewhere(self.judge) else rank_device(settings.device, settings.rank)
        options = EngineOptions(
            device=device,
            dtype=settings.dtype,
            batch_size=settings.batch_size,
            tokenizer=settings.tokenizer,
        )
        if not is_elsewhere(self.judge) and not self.judge.startswith(PREFIX):
            _free(self.asked.freed)
        engine = _load(self.judge, options)
        if engine.reads:
            self._rubric = self.benchmark.rubric(self._rubric_name())
        self._engine = engine

    def _rubric_name(self) -> str:
        """As told, else what the judge was trained on; of one that is served elsewhere its tokenizer's folder tells."""
        served = self.settings.tokenizer if is_address(self.judge) else None
        return self.settings.rubric or default_rubric(served or self.judge)

    def _judge(self, requests: Sequence[Request]) -> Iterator[tuple[int, Verdict]]:
        if not requests:
            return
        signature, progress = self.signature, self.settings.rank.number == 0
        grader = Grader(self._engine, self._rubric, self.settings.profile, signature)
        with self._journal(signature) as journal:
            # what other ranks judged in an earlier run: the shards may have been cut differently
            others = sorted(self.settings.journal.glob(f"{self._stem(signature)}-*.jsonl"))
            theirs = [verdict for other in others if other != journal.path for verdict in read_verdicts(other)]
            keys = set(request_keys(requests, grader, silent=not progress)) if theirs else set()
            for verdict in theirs:
                if verdict.key is not None and verdict.key in keys and verdict.stands:
                    known = journal.get(verdict.key)
                    if known is None or not known.stands:
                        journal.record(verdict)
            yield from judge_requests(requests, grader, journal, progress=progress)

    def _stem(self, signature: Signature) -> str:
        return f"{self.task}-{signature.digest[:12]}"

    def _journal(self, signature: Signature) -> Journal:
        """This rank's journal, or a second one where a run beside this one holds it. Raises UserError."""
        path = self.settings.journal / f"{self._stem(signature)}-{self.settings.rank.number}.jsonl"
        try:
            return Journal(path)
        except HeldElsewhere:
            return Journal(path.with_stem(f"{path.stem}-second"))

    def _failed(self, answer: Answer, note: str) -> Verdict:
        record = self.dataset.records[answer.index] if answer.index is not None else None
        return Verdict(
            id=answer.id or "?",
            by="judge" if self.benchmark.judged else "rule",
            score=None,
            unscored="engine_error",
            category=getattr(record, "category", None),
            index=None if self.benchmark.judged else answer.index,
            details={"note": note},
        )

    def _later(self) -> str:
        """The two commands that generate here and score elsewhere."""
        here = [argument for argument in sys.argv[1:] if argument not in ("--predict_only", "-x")]
        generate = shlex.join(["lmms-eval", *here, "--predict_only"])
        if "--output_path" not in here:
            generate += " --output_path OUT"
        judge = "" if self.judge == default_judge() else f" --judge {shlex.quote(self.judge)}"
        # a model under test names its pictures from where it ran; `mmjudge score` would look beside the samples
        root = self.settings.image_root
        images = (
            f" --image-root {'.' if root == Path.cwd() else shlex.quote(str(root))}" if self.benchmark.judged else ""
        )
        subset, condition = self.dataset.source.subset, self.asked.condition
        images += f" --subset {subset.name}" if subset else ""
        # samples that were copied lie without lmms-eval's results file, which names it
        images += "" if condition.plain else f" --condition {condition.identity}"
        samples = f"OUT/…_samples_{self.task}.jsonl"
        score = f"mmjudge score {samples} --benchmark {self.benchmark.name}{judge}{images} --out RESULTS"
        return f"here `{generate}`, then where the judge can run `{score}`"


def _free_folder(folder: Path, info: RunInfo) -> RunFolder:
    """`folder`, made, or a dated one beside it where that has results already, or belongs to other answers."""
    problem = None
    try:
        RunFolder(folder).refuse_other_owner(info.owner)
    except UserError as error:
        problem = error.problem
    return RunFolder(_free_path(folder, problem)).make()


def _free_path(folder: Path, problem: str | None = None) -> Path:
    """`folder`, or a dated path beside it where that has results, of one run or of repeats, or there is a `problem`."""
    if any((folder / name).exists() for name in (RESULTS, REPEATS)) or any(folder.glob(f"repeat-*/{RESULTS}")):
        problem = "has results"
    if problem is None:
        return folder
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    dated = (f"{folder.name}-{now}{more}" for more in ("", *(f"-{number}" for number in range(2, 1000))))
    free = next(path for path in map(folder.with_name, dated) if not path.exists())
    say(f"mmjudge: {folder} {problem}: the results go to {free}")
    return free


def say(text: str) -> None:
    """To stderr; lmms-eval resets its logger while it starts."""
    print(shown(text), file=sys.stderr, flush=True)


_FREED: list[object] = []
"""Models under test that this process has freed."""


def _free(model: object) -> None:
    """Once for all tasks of this process."""
    if not any(model is freed for freed in _FREED):
        _FREED.append(model)
        for line in free_model(model).lines():
            say(f"mmjudge: {line}")


@functools.cache
def _load(judge: str, options: EngineOptions) -> Engine:
    """One judge for all tasks of this process; one that runs here is loaded when it is first asked."""
    say(f"mmjudge: the judge is {judge}")
    return load_engine(judge, options)
