"""Points for single criteria in a judge's text become part of its verdict, where they are the rubric's."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from judge.core.request import Request, Text
from judge.core.rubric import Rubric
from judge.engines import Completion
from judge.engines.replay import Replay
from judge.scoring.grader import Grader

RUBRIC = Rubric("own", {"T": "Weigh:\n1. Wit: funny.\n2. Form: tidy.\n### Answer\n{answer}\n### Feedback\n"})
NONE = Rubric("plain", {"T": "Give 0 to 6.\n### Answer\n{answer}\n### Feedback\n"})
REQUEST = Request("q1", "T", (), (Text("An answer."),))


class Judge:
    reads = True
    identity: ClassVar[dict[str, str]] = {}


def judged(text: str, rubric: Rubric = RUBRIC, **more):
    return Grader(Judge(), rubric).verdict(REQUEST, Completion(text, **more))


def test_of_a_judge_that_was_trained_on_criteria():
    found = judged("### Feedback\nWit: 1\nForm: 0\n### Score\n1")  # as `objective = "criteria"` writes it
    assert (found.score, found.details) == (1, {"criteria": {"Wit": 1, "Form": 0}})


@pytest.mark.parametrize(
    ("text", "rubric"),
    [
        ("### Feedback\nClear.\n### Score\n1", RUBRIC),
        ("### Feedback\nWit: 1\nArt: 0\n### Score\n1", RUBRIC),  # not the rubric's
        ("### Feedback\nWit: 1\nForm: 0\n### Score\n1", NONE),
        ("### Feedback\nWit: 1\nForm: 0", RUBRIC),  # no score
    ],
)
def test_where_there_are_none(text, rubric):
    assert "criteria" not in judged(text, rubric).details


def test_votes_are_kept():
    assert judged("### Feedback\n\n### Score\n1", votes=(1, None, 2)).details == {"votes": [1, None, 2]}


def test_a_replay_keeps_points_and_what_could_not_be_read(tmp_path):
    lines = [
        {"id": "q1", "feedback": "### Feedback\nWit: 1\nForm: 1\n### Score\n2"},
        {"id": "q2", "by": "judge", "feedback": "Score: 6", "score": None, "unscored": "unreadable_reply"},
    ]
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    grader = Grader(Replay(tmp_path / "f.jsonl"))
    found = dict(grader.grade([REQUEST, Request("q2", "T", (), ())]))
    assert (found[0].score, found[0].details) == (2, {"criteria": {"Wit": 1, "Form": 1}})
    assert (found[1].score, found[1].unscored) == (None, "unreadable_reply")
