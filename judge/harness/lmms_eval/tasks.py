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
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer, Benchmark, Dataset
from judge.core.condition import PLAIN, Condition
from judge.core.failure import NOT_ANSWERED
from judge.core.metric import UNSCORED, Metric
from judge.core.question import Question
from judge.errors import UserError
from judge.harness.lmms_eval.asking import as_messages, as_text, as_visuals
from judge.harness.lmms_eval.conditions import condition_for, conduct_of, takes_conduct
from judge.harness.lmms_eval.deferred import Item, Queue, answers, verdicts
from judge.harness.lmms_eval.model_classes import changed
from judge.harness.lmms_eval.procedures import conduct
from judge.harness.lmms_eval.run import Refusal, Run, running
from judge.harness.session import Session, say
from judge.harness.settings import Settings, read_settings
from judge.results.estimates import estimate

TASK_COLUMN = "mmjudge_task"
STUB = {"data_files": str(Path(__file__).with_name("stub.jsonl"))}
"""What lmms-eval loads as the dataset, with its builder "json", before `process_docs` puts ours in its place."""
OUTPUT_FOLDER = "mmjudge"


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of lmms-eval's table: a metric, of all questions or of those of a category."""

    name: str
    metric: Metric
    category: str | None = None

    def concerns(self, record: Any) -> bool:
        """Whether a record of the dataset belongs to it."""
        return self.category in (None, record.category) and self.metric.concerns(record)


class EveryAnswer:
    """The filter of our tasks: lmms-eval's own keeps the first of the answers that `--repeats` asks for."""

    def apply(self, resps: Iterable[Sequence[str]], docs: Any) -> Iterator[Any]:
        """The answers of every document; of one, or none, as lmms-eval's own filter gives them."""
        return (given if len(given) > 1 else (given[0] if given else "") for given in map(list, resps))


@dataclasses.dataclass(frozen=True, repr=False)
class Documents:
    """The `process_docs` of a task, which lmms-eval calls with the stub that it loaded."""

    tasks: Tasks
    name: str
    load: Callable[[bool], Dataset]
    judge: str | None = None
    condition: Condition = PLAIN

    def __call__(self, stub: Any) -> Any:
        return self.tasks.load_documents(self)

    def under(self, name: str, condition: Condition) -> Documents:
        """The same data asked under a condition, as the task `name`."""
        return dataclasses.replace(self, name=name, condition=condition)

    def __deepcopy__(self, memo: Any) -> Documents:
        return self  # lmms-eval copies its configuration with every function in it

    def __repr__(self) -> str:
        return f"Documents({self.name!r}, {self.condition.identity})"


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
        self._questions: dict[tuple[str, int], Question] = {}

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

    def question(self, doc: Mapping[str, Any]) -> Question:
        """What is asked for a document. Ends the run where that cannot be had; says which pictures are left out."""
        name, index = doc[TASK_COLUMN], doc["index"]
        if (name, index) not in self._questions:
            session, run = self._loaded[name][:2]
            # nobody looks at the pictures of a model that replays
            dataset = session.dataset if run.asks else dataclasses.replace(session.dataset, image_root=None)
            try:
                (question,) = self._benchmark.questions(dataset, [index], session.asked.condition)
            except UserError as error:
                raise Refusal(error) from None
            for missing in question.missing:
                say(f"mmjudge: {question.id} is asked without a picture: {missing}")
            self._questions[name, index] = question
        return self._questions[name, index]

    def doc_to_text(self, doc: Mapping[str, Any]) -> str:
        """See `judge.harness.lmms_eval.asking.as_text`."""
        return as_text(self.question(doc), self._loaded[doc[TASK_COLUMN]][1])

    def doc_to_visual(self, doc: Mapping[str, Any]) -> list[Any]:
        """See `judge.harness.lmms_eval.asking.as_visuals`."""
        return as_visuals(self.question(doc), self._loaded[doc[TASK_COLUMN]][1])

    def doc_to_messages(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `judge.harness.lmms_eval.asking.as_messages`."""
        return as_messages(self.question(doc), self._loaded[doc[TASK_COLUMN]][1])

    def documents(self, name: str, load: Callable[[bool], Dataset], judge: str | None = None) -> Documents:
        """The `process_docs` of the task `name`.

        load: the data; pictures, too, if its argument says that something will be asked. judge: used where the
        environment names none.
        """
        return Documents(self, name, load, judge)

    def load_documents(self, of: Documents) -> Any:
        """A `datasets.Dataset` of the task's documents. Checks data, judge and model before anything is generated."""
        import datasets

        name, run = of.name, running()
        try:
            read = read_settings()
            read = dataclasses.replace(read, image_root=image_root(run, read))
            condition = condition_for(of.condition, run, name)
            wording = (condition.wording or self._benchmark.asked) if run.asks else None
            asked = dataclasses.replace(run.asked, wording=wording, condition=condition)
            how = conduct_of(condition, run, self.question) if run.asks and takes_conduct(condition) else None
            session = Session(name, self._benchmark, of.load(run.asks), read, of.judge, asked)
            if not run.predict_only:
                session.check()
        except UserError as error:
            raise Refusal(error) from None
        self._loaded[name] = session, run, Queue(session.decide)
        _SESSIONS[name] = session
        self._questions = {key: question for key, question in self._questions.items() if key[0] != name}
        self._say_what_is_lost(session, run)
        if how is not None:
            conduct(run.model, name, how)
        ids = [record.id for record in session.dataset.records]
        columns = {TASK_COLUMN: [name] * len(ids), "index": list(range(len(ids))), "id": ids}
        return datasets.Dataset.from_dict(columns)

    def _say_what_is_lost(self, session: Session, run: Run) -> None:
        """A line where the model's class asks other questions than those of the benchmark."""
        what = run.asked.interleaving
        if not run.asks or what not in ("pictures first", "first picture only"):
            return
        dataset = dataclasses.replace(session.dataset, image_root=None)
        questions = self._benchmark.questions(dataset, None, session.asked.condition)
        if count := changed(questions, what):
            says = "puts all pictures first" if what == "pictures first" else "passes on the first picture only"
            say(f"mmjudge: {session.task}: this model class {says}: {count} of {len(questions)} questions are changed")

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Item]:
        """An item for every row this document belongs to. Nothing is judged yet. results: one answer a repeat."""
        session, run, queue = self._loaded[doc[TASK_COLUMN]]
        given = [*results[: run.repeats], *[NOT_ANSWERED] * (run.repeats - len(results))]
        root = session.settings.image_root
        pendings = [queue.add(Answer(doc["id"], doc["index"], response, root)) for response in given]
        record = session.dataset.records[doc["index"]]
        rows = (row for row in self._rows if row.concerns(record))
        return {row.name: Item(session.task, queue, *pendings, brief=row is not self._rows[0]) for row in rows}

    def metric_list(self) -> list[dict[str, Any]]:
        """The task files' key of this name."""
        return [
            {"metric": row.name, "aggregation": self._aggregation(row), "higher_is_better": row.metric.higher_is_better}
            for row in self._rows
        ]

    def _folder(self, output: Path, name: str) -> Path:
        """Where the results of the task `name` go: every model has a folder of its own, as lmms-eval gives it one."""
        return output / OUTPUT_FOLDER / self._loaded[name][1].folder / name

    def _aggregation(self, row: Row) -> Callable[..., float | None]:
        def aggregate(items: list[dict[str, Any]], args: Any = None) -> float | None:
            session = self.session(items[0]["task"])
            decided = verdicts(items)
            scores: dict[int, list[float]] = {}
            for of in decided:
                for position, value in row.metric.values(of).items():
                    scores.setdefault(position, []).append(value)
            # one a question: its answers vary together, and lmms-eval's standard error takes items for independent
            for position, values in scores.items():
                items[position]["score"] = statistics.fmean(values)
            if row is self._rows[0]:
                output = getattr(args, "output_path", None)
                folder = self._folder(Path(output), session.task) if output else None
                session.publish_repeats(decided, folder, answers(items, session.settings.image_root))
            each = [estimate(row.metric, of).value for of in decided]
            found = [value for value in each if value is not None]
            return statistics.fmean(found) if found else None

        return aggregate


_SESSIONS: dict[str, Session] = {}


def session_of(task: str) -> Session:
    """The session of a task of ours whose documents were loaded in this process. Raises KeyError."""
    return _SESSIONS[task]


def image_root(run: Run, read: Settings) -> Path:
    """The folder that the model's pictures lie below: what its class says, else what the user says in the environment,
    else the working directory, which is where the model ran; the folder that its arguments name where it is elsewhere.
    """
    if run.image_root is not None:
        return run.image_root
    here = Path.cwd()
    if run.declared is None or read.image_root != here or run.declared.is_relative_to(here):
        return read.image_root
    return run.declared
