"""MMVU as a benchmark of `mmjudge`: pairs of a plain and a leading question, scored by rule.

Yexin Liu et al., Unveiling the Ignorance of MLLMs: Seeing Clearly, Answering Incorrectly, CVPR 2025, arXiv 2406.10638;
code github.com/BAAI-DCAI/MMVU and github.com/BAAI-DCAI/Multimodal-Robustness-Benchmark, data
huggingface.co/datasets/BAAI/Multimodal-Robustness-Benchmark. Not the video benchmark of the same name (2501.12380).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from judge.attention.choices import Choice, Choices
from judge.core import option_letter
from judge.core.benchmark import Answer, Dataset, Profile, Summary
from judge.core.condition import PLAIN, Condition
from judge.core.failure import failed_call
from judge.core.metric import Metric, headline
from judge.core.question import Question
from judge.core.reply import read_reply
from judge.core.request import Request
from judge.core.rubric import Rubric
from judge.core.scale import Scale
from judge.core.verdict import Verdict
from judge.errors import UserError
from mmvu_tasks import categories, extract, location, prompts
from mmvu_tasks.conditions import CONDITIONS
from mmvu_tasks.contract import read_contract
from mmvu_tasks.metrics import METRICS, NO_OPTION, summarise
from mmvu_tasks.presentation import VIEW
from mmvu_tasks.records import Record
from mmvu_tasks.stability import stability

_SAME_DATA = "score the answers with the data they were made from (--data, or MMVU_DATA); editions differ"


class MMVU:
    """See `judge.core.benchmark.Benchmark`."""

    name = "mmvu"
    title = "MMVU"
    hub = location.HUB
    repo = location.HUB.repo
    license = "CC-BY-4.0"
    citation = "Liu et al., Unveiling the Ignorance of MLLMs, CVPR 2025, arXiv:2406.10638"
    editions: Mapping[str, int] = categories.SIZES
    categories: Sequence[str] = categories.NAMES
    subsets: Mapping[str, int] = {}
    metrics: Sequence[Metric] = METRICS
    headline: Sequence[str] = headline(METRICS)
    scale: Scale = Scale(0, 1)
    judged = False
    task_dir = Path(__file__).parent / "lmms_eval"
    conditions: Mapping[str, Condition] = CONDITIONS
    stability = staticmethod(stability)
    view = VIEW

    @property
    def asked(self) -> str:
        return prompts.identity()

    def load(self, data: Path | None = None, *, images: bool = False) -> Dataset:
        return location.load_dataset(data, images=images)

    def take_subset(self, dataset: Dataset, name: str) -> Dataset:
        raise UserError("mmvu has no subsets: it is small enough to be asked whole", fix="leave out --subset")

    def questions(
        self, dataset: Dataset, indices: Iterable[int] | None = None, condition: Condition = PLAIN
    ) -> list[Question]:
        asked = range(len(dataset.records)) if indices is None else indices
        return [prompts.question(dataset.records[index], dataset, condition) for index in asked]

    def choices(self, data: Path | None) -> Choices:
        """The questions with their right letters, for `mmjudge analyse`."""
        dataset = self.load(data, images=True)
        asked = zip(self.questions(dataset), dataset.records, strict=True)
        return Choices(
            dataset.source,
            prompts.identity(),
            [Choice(question, record.question_type, record.ground_truth) for question, record in asked],
        )

    def assess(
        self,
        answers: Sequence[Answer],
        dataset: Dataset | None,
        profile: Profile,
        *,
        bare: bool = False,
        condition: Condition = PLAIN,
    ) -> list[Request | Verdict]:
        """A verdict for every answer. The questions are always needed, their pictures never."""
        if dataset is None:
            raise UserError(
                "scoring mmvu needs the published questions", fix=f"set {location.HUB.variable}, or give --data"
            )
        known = {record.id for record in dataset.records}
        seen: dict[int, Answer] = {}
        assessed: list[Request | Verdict] = []
        for answer in answers:
            record = _find(answer, dataset.records, known)
            if record.index in seen:
                lines = " and ".join(other.where for other in (seen[record.index], answer) if other.where)
                raise UserError(
                    "answered more than once" + (f": {lines}" if lines else ""),
                    record=_name(record), field="index", fix="keep one answer per question",
                )  # fmt: skip
            seen[record.index] = answer
            assessed.append(verdict(record, answer.response, condition))
        return assessed

    def rubric(self, name: str) -> Rubric:
        raise UserError("mmvu is scored by rule; it has no rubric", fix="leave the rubric out")

    def signature_parts(self, profile: Profile) -> Mapping[str, str]:
        return {"extraction": option_letter.VERSION}

    def check_verdict(self, verdict: Verdict) -> None:
        allowed: Mapping[str, tuple[object, ...]] = {
            "type": ("POS", "NEG"),
            "level": categories.LEVELS,
            "score_reference": (0, 1, None),
        }
        if verdict.category not in self.categories:
            raise ValueError(f"category must be one of {', '.join(self.categories)}")
        if verdict.index is None:
            raise ValueError("index must be a whole number")
        for name, values in allowed.items():
            value = verdict.details.get(name)
            if not any(type(value) is type(one) and value == one for one in values):
                raise ValueError(f"details.{name} must be one of {', '.join(map(json.dumps, values))}")

    def summarise(self, verdicts: Sequence[Verdict], dataset: Dataset | None) -> Summary:
        return summarise(verdicts, dataset)


BENCHMARK = MMVU()


def verdict(record: Record, response: str | Sequence[object] | None, condition: Condition = PLAIN) -> Verdict:
    """What the rule makes of one response; parts are read as their texts, a line each.

    A blank response is wrong: the model failed. One in which no option can be read is wrong as well (score 0, reason
    "no_option"), as the protocol has it. Where the call failed, there is no score. `score_reference` is what the
    published extraction makes of whatever stands in the file: blanks and failure texts are wrong answers to it.
    Where a contract was asked for, `contract` says whether it is kept (`mmvu_tasks.contract`), and the letter is what
    the answer says by it; an answer that says none so is read as any other. `info`: what a first call extracted.
    """
    response, kept = read_reply(response)
    text = response if isinstance(response, str) else "\n".join(_texts(response))
    unscored = failed_call(response)
    if unscored == "call_failed" and text.strip() in record.options:
        unscored = None  # an option may be called "None"
    details: dict[str, object] = {"type": record.question_type, "level": record.level}
    score, failure = None, None
    if unscored is None and not text.strip():
        score, failure = 0, "empty_answer"
        _read_contract(text, condition, details)
    elif unscored is None:
        letter, rule = _letter(text, record, condition, details)
        details |= {"letter": letter, "rule": rule}
        score = int(letter == record.ground_truth)
    if unscored != "not_answered":  # something stands in the file
        reference = extract.reference(text)
        details |= {"letter_reference": reference, "score_reference": int(reference == record.ground_truth)}
    if details.get("letter", "") is None:
        details["reason"] = NO_OPTION
    return Verdict(
        record.id, "rule", score, unscored, record.category, record.index, details={**details, **kept}, failure=failure
    )


def _letter(
    text: str, record: Record, condition: Condition, details: dict[str, object]
) -> tuple[str | None, str | None]:
    """The letter of an answer, and the rule that found it; says in `details` whether a contract was kept."""
    letter = _read_contract(text, condition, details)
    if letter is not None:
        return letter, "contract"
    found = option_letter.careful(text, record.options)
    return found.letter, found.rule


def _read_contract(text: str, condition: Condition, details: dict[str, object]) -> str | None:
    """The letter that an answer says by the contract, if one was asked for; says in `details` whether it is kept."""
    if condition.contract == "letter":
        return None
    kept = read_contract(text, condition.contract, called=bool(condition.payload))
    details["contract"] = dict(kept.details)
    return kept.letter


def _texts(response: object) -> Iterator[str]:
    """The texts of a list of parts: {"text": …}, {"type": "text", "content": …}, ["text", …], or texts themselves."""
    for part in response if isinstance(response, list) else ():
        if isinstance(part, Mapping):
            said = part.get("text", part.get("content"))
        elif isinstance(part, list | tuple) and len(part) == 2 and part[0] == "text":
            said = part[1]
        else:
            said = part
        if isinstance(said, str) and said:
            yield said


def _find(answer: Answer, records: Sequence[Record], known: set[str]) -> Record:
    """The record an answer belongs to: the one at its index, whose id must be the answer's."""
    if answer.id is not None and answer.id not in known:
        raise _refusal(answer, "not in the data", "id", _SAME_DATA)
    if answer.index is None:
        raise _refusal(
            answer, "missing: the two questions of a pair share their id", "index",
            "give the question's 0-based position in MMR-benchmark.json",
        )  # fmt: skip
    if not 0 <= answer.index < len(records):
        raise _refusal(answer, f"{answer.index} is outside the {len(records)} questions", "index", _SAME_DATA)
    record = records[answer.index]
    if answer.id not in (None, record.id):
        raise _refusal(answer, f"question {answer.index} has the id {record.id}", "index", _SAME_DATA)
    return record


def _refusal(answer: Answer, problem: str, field: str, fix: str) -> UserError:
    return UserError(problem, file=answer.where or None, record=answer.id, field=field, fix=fix)


def _name(record: Record) -> str:
    return f"{record.id} (index {record.index})"
