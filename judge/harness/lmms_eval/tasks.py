"""A benchmark as a task of lmms-eval: documents, one row of the result table per metric and category, aggregation.

A task module is thin (see `mmie_tasks/lmms_eval/task.py`): it says how data is loaded and how a record is asked. Its
task files name the functions of `Tasks` with absolute `!function` paths, since a relative path would run a fresh copy
of the module for each function. The rows are the benchmark's metrics (`Benchmark.metrics`), some by category, too.

A document is a pointer, `{"mmjudge_task": "mmvu", "index": 404, "id": "context/abstract/22"}`; the record stays in
Python, so no text is pressed through Arrow. Every value in the table is the estimate of its metric over the row's
verdicts, the value `results.json` has; items of the metric's units get the key "score", over which lmms-eval takes its
standard error (`evaluator_utils.py` :134-162 of lmms-eval 0.7.3).
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from judge.core.benchmark import Answer, Benchmark, Dataset
from judge.core.foreign_text import shown, shown_error
from judge.core.metric import UNSCORED, Metric
from judge.errors import UserError
from judge.harness.lmms_eval.deferred import Item, Queue, answers, verdicts
from judge.harness.session import Asked, Session, say
from judge.harness.settings import read_settings
from judge.results.estimates import estimate

TASK_COLUMN = "mmjudge_task"
STUB = {"data_files": str(Path(__file__).with_name("stub.jsonl"))}
"""What lmms-eval loads as the dataset, with its builder "json", before `process_docs` puts ours in its place."""
OUTPUT_FOLDER = "mmjudge"


class Refusal(SystemExit):
    """Ends the run with a message and exit code 1. lmms-eval retries ordinary exceptions and then exits with 0."""

    def __init__(self, problem: UserError | str) -> None:
        super().__init__(f"mmjudge: {shown_error(problem) if isinstance(problem, UserError) else shown(problem)}")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of lmms-eval's table: a metric, of all questions or of those of a category."""

    name: str
    metric: Metric
    category: str | None = None

    def concerns(self, record: Any) -> bool:
        """Whether a record of the dataset belongs to it."""
        return self.category in (None, record.category) and self.metric.concerns(record)


class Tasks:
    """The tasks of one benchmark: the real one, its alias, its demo. They share rows and everything but their data.

    The first row is of all questions; its aggregation also prints and writes the results.
    """

    def __init__(self, benchmark: Benchmark, slug: Callable[[str], str] = str) -> None:
        """slug: what a category is called in the name of a row, as in "RA_shape"."""
        self._benchmark = benchmark
        self._rows = (
            *(Row(metric.name, metric) for metric in benchmark.metrics),
            *(
                Row(f"{metric.name}_{slug(category)}", metric, category)
                for category in benchmark.categories
                for metric in benchmark.metrics
                if metric.by_category
            ),
            Row(UNSCORED.name, UNSCORED),
        )
        self._loaded: dict[str, tuple[Session, Run, Queue]] = {}

    def __deepcopy__(self, memo: Any) -> Tasks:
        return self  # lmms-eval copies its configuration with every function in it

    def __repr__(self) -> str:
        return f"Tasks({self._benchmark.name!r})"

    def session(self, name: str) -> Session:
        """Of the task `name`, whose documents were loaded in this process."""
        return self._loaded[name][0]

    def record(self, doc: Mapping[str, Any]) -> Any:
        """The benchmark's record behind a document."""
        return self.session(doc[TASK_COLUMN]).dataset.records[doc["index"]]

    def image_root(self, doc: Mapping[str, Any]) -> Path | None:
        """The folder that names of the record's images are relative to; None where nobody will look at them."""
        session, run = self._loaded[doc[TASK_COLUMN]][:2]
        return session.dataset.image_root if run.asks else None

    def documents(self, name: str, load: Callable[[bool], Dataset], judge: str | None = None) -> Callable[[Any], Any]:
        """The `process_docs` of the task `name`: checks data and judge, before anything is generated.

        load: the data; pictures, too, if its argument says that something will be asked. judge: used where the
        environment names none. What it is called with, and ignores, is the stub; it returns a `datasets.Dataset`.
        """

        def process_docs(stub: Any) -> Any:
            import datasets

            run = running()
            try:
                read = read_settings()
                read = dataclasses.replace(read, image_root=run.image_root or read.image_root)
                session = Session(name, self._benchmark, load(run.asks), read, judge, run.asked)
                if not run.predict_only:
                    session.check()
            except UserError as error:
                raise Refusal(error) from None
            self._loaded[name] = session, run, Queue(session.decide)
            ids = [record.id for record in session.dataset.records]
            columns = {TASK_COLUMN: [name] * len(ids), "index": list(range(len(ids))), "id": ids}
            return datasets.Dataset.from_dict(columns)

        return process_docs

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Item]:
        """An item for every row this document belongs to. Nothing is judged yet."""
        session, _, queue = self._loaded[doc[TASK_COLUMN]]
        pending = queue.add(Answer(doc["id"], doc["index"], results[0], session.settings.image_root))
        record = session.dataset.records[doc["index"]]
        rows = (row for row in self._rows if row.concerns(record))
        return {row.name: Item(session.task, queue, pending, brief=row is not self._rows[0]) for row in rows}

    def metric_list(self) -> list[dict[str, Any]]:
        """The task files' key of this name."""
        return [
            {"metric": row.name, "aggregation": self._aggregation(row), "higher_is_better": row.metric.higher_is_better}
            for row in self._rows
        ]

    def _aggregation(self, row: Row) -> Callable[..., float | None]:
        def aggregate(items: list[dict[str, Any]], args: Any = None) -> float | None:
            session = self.session(items[0]["task"])
            decided = verdicts(items)
            for position, value in row.metric.values(decided).items():
                items[position]["score"] = value
            if row is self._rows[0]:
                output = getattr(args, "output_path", None)
                folder = Path(output) / OUTPUT_FOLDER / session.task if output else None
                given = answers(items, session.settings.image_root)
                session.publish(decided, folder, given)
            return estimate(row.metric, decided).value

        return aggregate


@dataclasses.dataclass(frozen=True)
class Run:
    """What the run around us is about. asks: whether a model will look at questions and pictures. asked: of whom, and
    whether all questions are."""

    predict_only: bool = False
    asks: bool = True
    image_root: Path | None = None
    asked: Asked = dataclasses.field(default_factory=Asked)


def _asked(given: Mapping[str, Any]) -> Asked:
    """What the arguments of `simple_evaluate` say for the record."""
    model, arguments = given.get("model"), given.get("model_args")
    kept = {name: given[name] for name in ("num_fewshot", "limit", "offset", "gen_kwargs") if given.get(name)}
    kept |= {"model": model if isinstance(model, str) else type(model).__name__, "model_args": str(arguments or "")}
    named = re.search(r"(?:^|,)(?:pretrained|model|model_version|predictions)=([^,]+)", kept["model_args"])
    harness = {"name": "lmms-eval", "version": importlib.metadata.version("lmms-eval"), "arguments": kept}
    name = f"{kept['model']} {named[1]}" if named else kept["model"]
    partial = bool(given.get("limit") or given.get("offset"))
    # lmms-eval has called its `clean()` by then, which frees what is directly an attribute and a module, no engine
    return Asked(name, harness, partial, freed=given.get("lm"))


def running() -> Run:
    """The lmms-eval run that is loading its tasks now; defaults, and a line on stderr, where none is.

    Neither the command line nor the Python interface hands its arguments to a task, so they are read off the stack:
    of `simple_evaluate`, as it is called in lmms-eval 0.7.3.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "simple_evaluate":
            given = frame.f_locals
            model = given.get("lm")
            return Run(
                bool(given.get("predict_only")),
                getattr(model, "asks", True),
                getattr(model, "image_root", None),
                _asked(given),
            )
        frame = frame.f_back
    say(
        "mmjudge: these tasks are loaded outside lmms-eval's simple_evaluate, whose arguments cannot be read: a model"
        " that will be asked, and judged answers, are taken for granted"
    )
    return Run()
