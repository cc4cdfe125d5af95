"""What answers get that look at neither the picture nor the question: always the same letter, or the longest option.

    baselines(verdicts, samples)["longest option"]["RA"]  ->  Estimate(19.0, 15.0, 23.8, 300)     on the published v1
    baselines(verdicts, samples)["always A"]["MR"]        ->  Estimate(74.03, …, 77)

A score that is no better than one of these says nothing about seeing. The longest option is the longest line that
begins with a letter and a mark, of equals the first as printed; A where none has a line of its own (3 questions of v1).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

from judge.core.estimate import Estimate
from judge.core.request import Text
from judge.core.verdict import Verdict
from judge.io.samples import Question, Sample
from judge.results.estimates import estimates
from mmvu_tasks.metrics import METRICS
from mmvu_tasks.records import LETTERS, parse_question

_LINE = re.compile(r"^[^\S\n]*\(?([A-D])[.):,、．：]([^\n]*)", re.MULTILINE)


def baselines(verdicts: Sequence[Verdict], samples: Mapping[Question, Sample]) -> Mapping[str, Mapping[str, Estimate]]:
    """Baseline → headline metric → estimate, over the questions of these verdicts.

    samples: by id and index. {} where one of the questions is not among them, or its options cannot be read.
    """
    asked = [_question_and_truth(samples.get((verdict.id, verdict.index))) for verdict in verdicts]
    known = [each for each in asked if each is not None]
    if len(known) < len(verdicts) or not known:
        return {}
    metrics = [metric for metric in METRICS if metric.headline]

    def of(choose: Callable[[str], str]) -> Mapping[str, Estimate]:
        answered = [
            dataclasses.replace(verdict, score=int(choose(question) == truth), unscored=None, failure=None)
            for verdict, (question, truth) in zip(verdicts, known, strict=True)
        ]
        return estimates(metrics, answered)

    constant = {f"always {letter}": of(_always(letter)) for letter in LETTERS}
    return {"longest option": of(_longest), **constant}


def _always(letter: str) -> Callable[[str], str]:
    return lambda question: letter


def _longest(question: str) -> str:
    lines: list[tuple[str, str]] = _LINE.findall(question)
    return max(lines, key=lambda line: len(line[1].strip()), default=(LETTERS[0], ""))[0]


def _question_and_truth(sample: Sample | None) -> tuple[str, str] | None:
    if sample is None or sample.truth not in LETTERS:
        return None
    question = "\n".join(piece.text for piece in sample.question if isinstance(piece, Text))
    return None if parse_question(question) is None else (question, sample.truth)
