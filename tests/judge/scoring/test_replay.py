"""Feedback from a file in place of a judge."""

from __future__ import annotations

import json

import pytest
from toy import HashJudge
from toy_runs import TEXTS, answers, scored

from judge.engines.replay import Replay
from judge.errors import UserError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "verdicts.jsonl"


def test_replay_answers_by_id_without_data(path, tmp_path):
    file = tmp_path / "feedback.jsonl"
    rows = [
        {"id": "q0", "feedback": "### Feedback\nGood.\n### Score\n4"},
        {"id": "q1", "feedback": "no score here"},
        {"id": "q3", "feedback": None},
        {"id": "q9", "feedback": "### Score\n1"},  # an id that nobody asks for
    ]
    file.write_text("\ufeff" + "\r\n".join(map(json.dumps, rows)) + "\n\n")
    verdicts = scored(path, answers(["same", "same", "same", "same"]), Replay(file), rubric=None)
    assert [(v.score, v.unscored) for v in verdicts] == [
        (4, None),
        (None, "no_score_line"),
        (None, "no_feedback"),
        (None, "no_feedback"),
    ]


def test_a_run_can_be_replayed_from_its_verdicts(tmp_path):
    given = answers([*TEXTS, None])
    first = scored(tmp_path / "a.jsonl", given, HashJudge())
    replayed = scored(tmp_path / "b.jsonl", given, Replay(tmp_path / "a.jsonl"), rubric=None)
    assert [(v.id, v.score, v.unscored, v.feedback) for v in replayed] == [
        (v.id, v.score, v.unscored, v.feedback) for v in first
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: "),
        ("[]", "line 1: "),
        ('{"feedback": "x"}', 'record line 1: field "id"'),
        ('{"id": 4, "feedback": "x"}', "line 1"),
        ('{"id": "q0"}', r'record q0 \(line 1\): field "feedback"'),
        ('{"id": "q0", "feedback": 4}', r'record q0 \(line 1\): field "feedback"'),
        ("[" * 100_000, "line 1"),
    ],
)
def test_a_broken_replay_file_is_named(tmp_path, line, message):
    (tmp_path / "f.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=message):
        Replay(tmp_path / "f.jsonl")


def test_a_missing_replay_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.jsonl: cannot be read"):
        Replay(tmp_path / "none.jsonl")
