"""What tests of the runner share: a made-up benchmark, its answers, and a run of them."""

from __future__ import annotations

from pathlib import Path

from toy import RUBRIC, Toy

from judge.core.benchmark import Answer, Source
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import judge_answers, make_signature

TOY = Toy()
SOURCE = Source("toy/toy", "abc", "v1")


def answers(texts, root=Path()):
    return [Answer(f"q{n}", None, text, root) for n, text in enumerate(texts)]


def scored(path, given, engine, *, rubric=RUBRIC, profile="strict", **options):
    signature = make_signature(TOY, SOURCE, profile, rubric if engine.reads else None, engine.identity)
    grader = Grader(engine, rubric, profile, signature)
    with Journal(path) as journal:
        assessed = TOY.assess(given, None, profile, bare=grader.needs_no_questions)
        return judge_answers(assessed, grader, journal, progress=False, **options)


TEXTS = [f"answer {n}" for n in range(23)]
