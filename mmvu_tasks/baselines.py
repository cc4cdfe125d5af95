"""What answers get that look at neither the picture nor the question: always the same letter, or the longest option.

    baselines(verdicts, samples)["longest option"]["RA"]  ->  Estimate(18.33, 14.4, 23.1, 300)     on the published v1
    baselines(verdicts, samples)["always A"]["MR"]        ->  Estimate(74.03, …, 77)

A score that is no better than one of these says nothing about seeing. Of options of the same length the first is taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from judge.core.estimate import Estimate
from judge.core.request import Text
from judge.core.verdict import Verdict
from judge.io.samples import Question, Sample
from judge.results.estimates import estimates
from mmvu_tasks.metrics import METRICS
from mmvu_tasks.records import LETTERS, parse_question

Options = tuple[str, ...]
"""The four texts in the order of `LETTERS`."""


def baselines(verdicts: Sequence[Verdict], samples: Mapping[Question, Sample]) -> Mapping[str, Mapping[str, Estimate]]:
    """Baseline → headline metric → estimate, over the questions of these verdicts.

    samples: by id and index. {} where one of the questions is not among them, or its options cannot be read.
    """
    asked = [_options_and_truth(samples.get((verdict.id, verdict.index))) for verdict in verdicts]
    known = [each for each in asked if each is not None]
    if len(known) < len(verdicts) or not known:
        return {}
    metrics = [metric for metric in METRICS if metric.headline]

    def of(choose: Callable[[Options], str]) -> Mapping[str, Estimate]:
        answered = [
            dataclasses.replace(verdict, score=int(choose(options) == truth), unscored=None, failure=None)
            for verdict, (options, truth) in zip(verdicts, known, strict=True)
        ]
        return estimates(metrics, answered)

    constant = {f"always {letter}": of(_always(letter)) for letter in LETTERS}
    return {"longest option": of(_longest), **constant}


def _always(letter: str) -> Callable[[Options], str]:
    return lambda options: letter


def _longest(options: Options) -> str:
    return LETTERS[max(range(len(options)), key=lambda number: len(options[number]))]


def _options_and_truth(sample: Sample | None) -> tuple[Options, str] | None:
    if sample is None or sample.truth not in LETTERS:
        return None
    parsed = parse_question("\n".join(piece.text for piece in sample.question if isinstance(piece, Text)))
    return None if parsed is None else (parsed[1], sample.truth)
