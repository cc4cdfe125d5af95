"""A benchmark as a VLMEvalKit dataset: our records ask, our code scores; the prediction file only carries answers.

    evaluate("out/M/M_MMVU.xlsx")  ->  {"RA": 6.67, "MR": 74.03, "POS": 25.6, "NEG": 24.7}

Nothing is read from the file but index and prediction, by `read_predictions`. The scoring is `Session`, the one
that lmms-eval runs, so a number is the same in both; `results.json` and `verdicts.jsonl` go into `<file>_mmjudge/`.
The judge is named by `--judge-args '{"judge": …, "device": …}'` or the environment (see `judge.harness.settings`); the
chat model that run.py puts into the arguments of multiple-choice sets is ignored.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas
from vlmeval.dataset.image_base import ImageBaseDataset

from judge.core.benchmark import Answer, Benchmark, Dataset
from judge.core.condition import PLAIN, Condition
from judge.core.question import Question
from judge.core.request import Text
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.harness.condition_names import asking_conditions
from judge.harness.session import Asked, Session, say
from judge.harness.settings import Settings, read_settings
from judge.harness.vlmeval.loaded import LOADED
from judge.harness.vlmeval.predictions import Prediction, read_predictions
from judge.harness.vlmeval.two_calls import TwoCalls
from judge.harness.vlmeval.wrappers import interleaving
from judge.model.altered import keep_shown, picture_cache

INJECTED = frozenset({"gpt-4o-mini", "exact_matching", "extract_matching"})
"""Judges that run.py names by itself (`get_judge_kwargs`)."""


class BenchmarkDataset(ImageBaseDataset):
    """What a benchmark's own module fills in: the table of names, how data is loaded and a record is asked."""

    BENCHMARK: ClassVar[Benchmark]
    force_use_dataset_prompt = True
    """The protocol's prompt, whatever prompt of its own a model wrapper has."""

    def __init__(self, dataset: str = "", skip_noimg: bool = True) -> None:
        # the base class reads image columns that we do not have; parameters named otherwise would receive CLI flags
        base, self.condition = conditioned(self.BENCHMARK).get(dataset, (dataset, PLAIN))
        self.source, self.judge = self.open(base)
        super().__init__(dataset=dataset, skip_noimg=skip_noimg)
        LOADED[dataset] = self

    def open(self, name: str) -> tuple[Dataset, str | None]:
        """The records behind the dataset name, and the judge to use where nobody names one. Raises UserError."""
        raise NotImplementedError

    def load_data(self, dataset: str) -> Any:
        """The frame that VLMEvalKit walks: a row a record, `index` its position in the published file."""
        ids = [record.id for record in self.source.records]
        return pandas.DataFrame({"index": range(len(ids)), "id": ids, "question": ids})

    def build_prompt(self, line: Any) -> Any:
        """The message of a question, {"type": "text" or "image", "value": text or path} in order; for one that takes
        two calls, both (`judge.harness.vlmeval.two_calls`).

        line: a row of the dataset, or its index. Raises UserError where a picture without which nothing can be asked is
        not to be had.
        """
        index = line if isinstance(line, int) else int(line["index"])
        (question,) = self.BENCHMARK.questions(self.source, [index], self.condition)
        for missing in question.missing:
            say(f"mmjudge: {question.id} is asked without a picture: {missing}")
        return TwoCalls(self.dataset_name, question, _written) if question.first else _written(question)

    def evaluate(self, eval_file: str, **judge_kwargs: Any) -> dict[str, float]:
        """Metrics of the headline, as plain floats. Raises UserError where answers could not be judged."""
        settings, asked = _settings(judge_kwargs), _asked(eval_file, self.BENCHMARK, self.condition)
        session = Session(self.dataset_name, self.BENCHMARK, self.source, settings, self.judge, asked)
        session.check()
        rows = read_predictions(eval_file)
        verdicts = self._verdicts(rows, session)
        file = Path(eval_file)
        session.publish(verdicts, file.with_name(f"{file.stem}_mmjudge"), self._answers(rows, session))
        failed = [verdict for verdict in verdicts if verdict.unscored == "engine_error"]
        if failed:
            raise UserError(
                f"{len(failed)} of {len(verdicts)} answers could not be judged: {failed[0].details.get('note')}",
                file=file,
                fix="mend the judge, then run again with --mode eval: what was judged is kept",
            )
        metrics = self.BENCHMARK.summarise(verdicts, self.source).metrics
        values = {name: metrics[name].value for name in self.BENCHMARK.headline if name in metrics}
        return {name: float(value) for name, value in values.items() if value is not None}

    def _verdicts(self, rows: Sequence[Prediction], session: Session) -> list[Verdict]:
        records = self.source.records
        for row in rows:
            if not 0 <= row.index < len(records):
                raise UserError(f"row {row.index} is outside the {len(records)} records", field="index",
                                fix="evaluate with the data that was asked")  # fmt: skip
        answers = self._answers(rows, session)
        decided = dict(zip((answer.index for answer in answers), session.decide(answers), strict=True))
        return [decided.get(row.index) or self._damaged(row) for row in rows]

    def _answers(self, rows: Sequence[Prediction], session: Session) -> list[Answer]:
        """The rows that came whole."""
        records, root = self.source.records, session.settings.image_root
        return [Answer(records[row.index].id, row.index, row.text, root) for row in rows if row.damage is None]

    def _damaged(self, row: Prediction) -> Verdict:
        record = self.source.records[row.index]
        return Verdict(
            id=record.id,
            index=None if self.BENCHMARK.judged else row.index,
            by="judge" if self.BENCHMARK.judged else "rule",
            score=None,
            unscored="response_damaged",
            category=record.category,
            details={"note": row.damage},
        )

    @classmethod
    def report_primary_metric(cls, metrics: Mapping[str, Any] | None) -> dict[str, float]:
        """The numbers of VLMEvalKit's run summary: RA and MR; score."""
        values = {name: (metrics or {}).get(name) for name in cls.BENCHMARK.headline[:2]}
        return {name: float(value) for name, value in values.items() if value is not None}


def conditioned(benchmark: Benchmark) -> Mapping[str, tuple[str, Condition]]:
    """Name of a dataset → the dataset that is asked under the condition ("MMVU", "MMVU_demo"), and the condition."""
    return {
        name: (base.replace(benchmark.name, benchmark.title), condition)
        for name, (base, condition) in asking_conditions(benchmark).items()
    }


def _written(question: Question) -> list[dict[str, str]]:
    """The message of a question. Blank and noisy pictures become files in a cache, since wrappers take paths."""
    folder = picture_cache()
    return [
        {"type": "text", "value": _as_no_file(part.text)}
        if isinstance(part, Text)
        else {"type": "image", "value": str(keep_shown(part, folder))}
        for part in question.parts
    ]


def _as_no_file(text: str) -> str:
    """`text`; with a line end where VLMEvalKit would take it for the file, folder or address that it names.

    See `parse_file` in its `smp/file.py`: it opens texts, too.
    """
    if text.startswith("data:image/"):
        return f" {text}"
    return f"{text}\n" if os.path.exists(text) or re.match(r"[A-Za-z][\w+.-]*://\S*\Z", text) else text


def _asked(eval_file: str, benchmark: Benchmark, condition: Condition) -> Asked:
    """What VLMEvalKit's arguments say for the record: its files are named MODEL/MODEL_DATASET.xlsx."""
    version = next((v for name in ("ms-vlmeval", "vlmeval") if (v := _version(name))), None)
    arguments = {"argv": sys.argv[1:]}
    harness = {"name": "VLMEvalKit", "version": version, "arguments": arguments}
    model = Path(eval_file).parent.name or None
    wording = condition.wording or benchmark.asked
    return Asked(model, harness, interleaving=interleaving(Path(eval_file)), wording=wording, condition=condition)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _settings(given: Mapping[str, Any]) -> Settings:
    """The environment's settings, with what `--judge-args` and `--judge` say instead."""
    read = read_settings()
    names = {field.name for field in dataclasses.fields(Settings)} - {"rank"}
    changes = {name: value for name, value in given.items() if name in names and value is not None}
    model = given.get("model_path") or given.get("model")
    if "judge" not in changes and model and model not in INJECTED:
        changes["judge"] = model
    return dataclasses.replace(read, **changes)
