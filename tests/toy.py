"""A benchmark of made-up texts and a judge that is a hash: the runner's tests need neither data nor weights.

The score of an answer depends on its prompt alone, so every batch size, order and number of restarts must agree.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from signal import SIGKILL

from judge import cli
from judge.commands import options
from judge.commands import score as score_command
from judge.core.benchmark import Answer, Dataset, Source, Summary
from judge.core.condition import PLAIN, Condition
from judge.core.metric import Metric, Ratio, headline, scores
from judge.core.question import Question
from judge.core.request import Picture, Request, Text
from judge.core.rubric import Rubric
from judge.core.scale import JUDGE_SCALE, Scale
from judge.core.verdict import Verdict
from judge.engines import Completion, Prompt
from judge.io.image_paths import below
from judge.results import compare, remarks, run_folder, table
from judge.results.statistics import proportion
from judge.scoring import score as score_module
from judge.scoring import several

FINDERS = (score_command, several, table, compare, remarks, run_folder)
"""Modules that find a benchmark by its name."""

RUBRIC = Rubric("toy", {"T": "Rate it.\n{question}\n{answer}### Feedback\n"})
METRICS = tuple(
    Metric(name, name, "answers", "mean of the points", scores, Ratio(tuple(JUDGE_SCALE), (1,) * 7, scale))
    for name, scale in (("score", JUDGE_SCALE.percent), ("mean", 1.0))
)


@dataclasses.dataclass(frozen=True)
class Toy:
    """Ids are q0, q1, …; an answer of None or "" is unscored by rule. It lists no questions: nobody knows how many."""

    name: str = "toy"
    title: str = "Toy"
    repo: str = "toy/toy"
    license: str = "MIT"
    citation: str = "none"
    categories: Sequence[str] = ("T",)
    metrics: Sequence[Metric] = METRICS
    headline: Sequence[str] = headline(METRICS)
    scale: Scale = JUDGE_SCALE
    judged: bool = True
    task_dir: Path = Path()
    conditions: Mapping[str, Condition] = dataclasses.field(default_factory=dict)

    def load(self, data: Path | None = None, *, images: bool = False) -> Dataset:
        return Dataset(Source(self.repo, "local:0123", "v1"), [], data)

    def questions(
        self, dataset: Dataset, indices: Iterable[int] | None = None, condition: Condition = PLAIN
    ) -> list[Question]:
        return []

    def assess(
        self,
        answers: Sequence[Answer],
        dataset: Dataset | None,
        profile: str,
        *,
        bare: bool = False,
        condition: Condition = PLAIN,
    ) -> list[Request | Verdict]:
        return [self._assess(answer, bare) for answer in answers]

    def _assess(self, answer: Answer, bare: bool) -> Request | Verdict:
        name = answer.id if answer.id is not None else f"q{answer.index}"
        if not answer.response:
            return Verdict(name, "judge", None, "no_response", "T", details={"note": "nothing"})
        if bare:
            return Request(name, "T", (), ())
        parts = [{"text": answer.response}] if isinstance(answer.response, str) else answer.response
        segments = []
        for part in parts:
            if part.get("text"):
                segments.append(Text(part["text"]))
            if part.get("image"):
                segments.append(Picture(below(answer.image_root, part["image"]), part["image"]))
        return Request(name, "T", (Text("Why?"),), tuple(segments), details={"field": "toys"})

    def rubric(self, name: str) -> Rubric:
        return dataclasses.replace(RUBRIC, name=name)

    def signature_parts(self, profile: str) -> Mapping[str, str]:
        return {"responses": "1"}

    def check_verdict(self, verdict: Verdict) -> None:
        """Every verdict on the scale counts."""

    def stability(self, repeats: Sequence[Sequence[Verdict]]) -> Mapping[str, object]:
        return {}

    def summarise(self, verdicts: Sequence[Verdict], dataset: Dataset | None) -> Summary:
        scores = [verdict.score for verdict in verdicts if verdict.score is not None]
        most = 6 * len(scores)  # a share of the points to be had: quick, and nobody asks for its interval
        estimates = {"score": proportion(sum(scores), most), "mean": proportion(sum(scores), most, scale=6)}
        return Summary(estimates, {"T": estimates}, notes=["a note"])


@dataclasses.dataclass
class HashJudge:
    """Scores a prompt with its SHA-256, in batches and backwards as real engines may. log: a line an answer judged."""

    batch: int = 1
    backwards: bool = False
    delay: float = 0.0
    log: Path | None = None
    judge: str = "toy/judge"
    mute: bool = False
    """Gives no score line."""
    reads: bool = True
    asked: list[str] = dataclasses.field(default_factory=list)

    @property
    def identity(self) -> Mapping[str, str]:
        return {"judge": self.judge}

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        order = list(range(len(prompts)))
        if self.backwards:
            order.reverse()
        for start in range(0, len(order), self.batch):
            for position in order[start : start + self.batch][::-1]:
                time.sleep(self.delay)
                self._note(prompts[position].request.id)
                yield position, self._completion(prompts[position])

    def _note(self, name: str) -> None:
        self.asked.append(name)
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{name}\n")

    def _completion(self, prompt: Prompt) -> Completion:
        # what a real engine sees of an image are its bytes
        seen = [piece.path.read_bytes() if isinstance(piece, Picture) else piece.text for piece in prompt.pieces]
        number = hashlib.sha256(repr(seen).encode()).digest()[0] % 8
        if self.mute or number == 7:  # one answer in eight has no score line
            return Completion("### Feedback\nHm.")
        return Completion(f"### Feedback\nFine.\n### Score\n{number}", score_probs=(0.5, 0.25, 0.25, 0, 0, 0, 0))


def score(
    arguments: Sequence[str], log: Path, delay: float = 0.0, kill_after: float | None = None, cut: str | None = None
) -> None:
    """`mmjudge score` on the toys, in a process that may die of SIGKILL; exits with the command's code.

    A process that lives writes beside the log how many seconds it took ("NAME.seconds").

    kill_after: seconds from the start of judging. cut: "N:K" dies at the N-th line written to the journal (from 0)
    with K of its bytes on disk, negative K counting from the line's end; "N:end" after the whole line;
    "results:before" and "results:after" die around the renaming of results.json.
    """
    for module in FINDERS:
        module.find = lambda name: Toy()
    options.names = lambda: ["toy"]
    score_module.check_engine = lambda judge, options: None
    score_module.load_engine = lambda judge, options: HashJudge(delay=delay, log=log)
    began = time.perf_counter()
    if kill_after is not None:
        threading.Timer(kill_after, os.kill, (os.getpid(), SIGKILL)).start()
    if cut is not None:
        _die_at(*cut.split(":"))
    code = cli.main(["score", *arguments])
    log.with_suffix(".seconds").write_text(str(time.perf_counter() - began))
    os._exit(code)


def _die_at(which: str, how: str) -> None:
    write, replace = os.write, Path.replace
    count = 0

    def dying_write(file: int, data: bytes) -> int:
        nonlocal count
        if not data.startswith(b'{"id"'):
            return write(file, data)
        if str(count) == which:
            write(file, data if how == "end" else data[: int(how)])
            os.kill(os.getpid(), SIGKILL)
        count += 1
        return write(file, data)

    def dying_replace(path: Path, target: Path) -> Path:
        ours = which == "results" and Path(target).name == "results.json"  # samples.jsonl is renamed before it
        if ours and how == "before":
            os.kill(os.getpid(), SIGKILL)
        renamed = replace(path, target)
        if ours:
            os.kill(os.getpid(), SIGKILL)
        return renamed

    os.write, Path.replace = dying_write, dying_replace
