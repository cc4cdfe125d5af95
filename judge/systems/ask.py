"""A system is asked questions, and its replies go into its output folder: what `mmjudge ask` and the harnesses do.

    asked = ask_questions(read_settings("SYSTEM.toml"), benchmark, dataset, Path("out/a"), chosen(dataset, 20))
    asked.to_lines()  ->  ["20 answers, 20 of them new; 18 with pictures (31 in all)",
                           "  2 failed: painter, call_failed: 503: out of memory"]

Only what has no line yet is asked, and what lost a picture; a system that keeps its texts then only draws again.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Benchmark, Dataset
from judge.core.question import Question
from judge.errors import UserError
from judge.systems import Failed, System, Workspace
from judge.systems.folder import AnswerFolder, Asking, is_failed_call
from judge.systems.settings import Settings

NAMED = 3
"""So many examples of one thing are written out."""


@dataclasses.dataclass(frozen=True)
class AskOptions:
    """retry_failed: ask again where a call failed before. say: where lines for people go."""

    retry_failed: bool = False
    say: Callable[[str], None] = print


DEFAULTS = AskOptions()


@dataclasses.dataclass(frozen=True)
class Asked:
    """What stands in the folder for the questions that were asked. lines: of `responses.jsonl`, in their order.

    new: how many of them were asked now.
    """

    lines: Sequence[Mapping[str, Any]]
    new: int

    @property
    def failures(self) -> list[Mapping[str, Any]]:
        """The `failed` of every line that has one."""
        return [line["failed"] for line in self.lines if isinstance(line.get("failed"), Mapping)]

    @property
    def failed_calls(self) -> int:
        """How many have no answer that could be scored."""
        return sum(map(is_failed_call, self.lines))

    def to_lines(self) -> list[str]:
        """For a screen: how many answered, with how many pictures, and who failed how often, with an example each."""
        pictures = [sum(1 for part in _parts(line) if part.get("image")) for line in self.lines]
        drawn = sum(1 for count in pictures if count)
        lines = [f"{len(self.lines)} answers, {self.new} of them new; {drawn} with pictures ({sum(pictures)} in all)"]
        found = Counter((str(each.get("by")), str(each.get("reason"))) for each in self.failures)
        for (by, reason), count in found.most_common():
            notes = (each for each in self.failures if (each.get("by"), each.get("reason")) == (by, reason))
            lines.append(f"  {count} failed: {by}, {reason}: {next(notes).get('note')}")
        noted = [line for line in self.lines if line.get("note")]
        lines += [f"  {line['id']}: {line['note']}" for line in noted[:NAMED]]
        if len(noted) > NAMED:
            lines.append(f"  … and {len(noted) - NAMED} more notes in responses.jsonl")
        return lines


def ask_questions(
    settings: Settings,
    benchmark: Benchmark,
    dataset: Dataset,
    out: Path,
    indices: Sequence[int],
    options: AskOptions = DEFAULTS,
) -> Asked:
    """Ask the system of `settings` the questions at `indices` that `out` has no answer to.

    dataset: with its pictures. Raises UserError, before anything in `out` is changed where it is another system's.
    """
    questions = benchmark.questions(dataset, indices)
    system = settings.open(Workspace(out))
    with system:
        asking = Asking(settings.name, system.identity, benchmark, dataset.source)
        with AnswerFolder(out, asking, questions) as folder:
            return _ask(system, folder, options)


def _ask(system: System, folder: AnswerFolder, options: AskOptions) -> Asked:
    lost = folder.drop(lambda question, line: not folder.pictures_are_there(line))
    if lost:
        options.say(f"{len(lost)} answers lost pictures and are asked again: {_named(lost)}")
    if options.retry_failed:
        folder.drop(lambda question, line: is_failed_call(line))
    unanswered = folder.unanswered
    if unanswered:
        _say_missing(unanswered, options)
        folder.record_run()
        waiting = {question.index for question in unanswered}
        for question, reply in system.answer(unanswered):
            if question.index not in waiting:
                raise RuntimeError(f"the system answered question {question.index} twice, or was not asked it")
            waiting.remove(question.index)
            folder.record(question, reply)
        for question in unanswered:
            if question.index in waiting:
                folder.record(question, Failed("no_response", "the system said nothing about it"))
    return Asked(folder.lines, len(unanswered))


def _say_missing(questions: Sequence[Question], options: AskOptions) -> None:
    poor = [question for question in questions if question.missing]
    for question in poor[:NAMED]:
        options.say(f"{question.id} is asked without a picture: {question.missing[0]}")
    if len(poor) > NAMED:
        options.say(f"and {len(poor) - NAMED} more questions are asked without a picture")


def _named(questions: Sequence[Question]) -> str:
    more = f" and {len(questions) - NAMED} more" if len(questions) > NAMED else ""
    return ", ".join(question.id for question in questions[:NAMED]) + more


def _parts(line: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    response = line["response"]
    return response if isinstance(response, list) else ()


def chosen(dataset: Dataset, limit: int | None, subset: Dataset | None = None) -> Sequence[int]:
    """Positions in `dataset` of the first `limit` questions, of all without one; those of `subset`, if that is given.

    Raises UserError for an empty dataset.
    """
    if not dataset.records:
        raise UserError("the data holds no questions")
    if subset is None:
        return range(len(dataset.records) if limit is None else min(limit, len(dataset.records)))
    ids = {record.id for record in subset.records}
    return [position for position, record in enumerate(dataset.records) if record.id in ids][:limit]
