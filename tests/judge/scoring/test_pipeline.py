"""The runner with a made-up benchmark and a judge that is a hash (toy.py)."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest
from toy import RUBRIC, HashJudge
from toy_runs import SOURCE, TEXTS, TOY, answers, scored

from judge.core.request import Request, Text
from judge.core.verdict import Verdict
from judge.engines import Completion
from judge.errors import UserError
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import judge_answers, judge_requests, make_signature


@pytest.fixture
def path(tmp_path):
    return tmp_path / "verdicts.jsonl"


@pytest.mark.parametrize("batch", [1, 2, 7, 23, 64])
@pytest.mark.parametrize("backwards", [False, True])
def test_batch_size_and_order_change_nothing(tmp_path, batch, backwards):
    expected = scored(tmp_path / "a", answers(TEXTS), HashJudge())
    engine = HashJudge(batch=batch, backwards=backwards)
    assert scored(tmp_path / "b", answers(TEXTS), engine) == expected
    assert sorted(engine.asked) == sorted(verdict.id for verdict in expected)


def test_order_of_answers_is_the_order_of_verdicts(tmp_path):
    given = answers(TEXTS)
    expected = {verdict.id: verdict for verdict in scored(tmp_path / "a", given, HashJudge())}
    random.Random(1).shuffle(given)
    assert scored(tmp_path / "b", given, HashJudge(batch=4)) == [expected[answer.id] for answer in given]


def test_a_second_run_judges_nothing(path):
    expected = scored(path, answers(TEXTS), HashJudge())
    lines = path.read_bytes()
    engine = HashJudge()
    assert scored(path, answers(TEXTS), engine) == expected
    assert (engine.asked, path.read_bytes()) == ([], lines)


def test_only_the_changed_answer_is_judged(path):
    first = scored(path, answers(TEXTS), HashJudge())
    engine = HashJudge()
    second = scored(path, answers(["other", *TEXTS[1:]]), engine)
    assert engine.asked == ["q0"]
    assert second[1:] == first[1:]
    assert second[0].key != first[0].key


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        (HashJudge(judge="other/judge"), {}),
        (HashJudge(), {"rubric": dataclasses.replace(RUBRIC, templates={"T": RUBRIC.templates["T"] + " "})}),
        (HashJudge(), {"profile": "reference"}),
    ],
    ids=["judge", "rubric", "profile"],
)
def test_another_measurement_judges_everything_again(path, engine, options):
    scored(path, answers(TEXTS), HashJudge())
    engine = dataclasses.replace(engine, asked=[])
    scored(path, answers(TEXTS), engine, **options)
    assert len(engine.asked) == 23


def test_an_images_bytes_count_and_its_name_does_not(path, tmp_path):
    (tmp_path / "a.png").write_bytes(b"one")
    given = answers([[{"text": "Look", "image": "a.png"}]], tmp_path)
    scored(path, given, HashJudge())
    (tmp_path / "b.png").write_bytes(b"one")
    engine = HashJudge()
    scored(path, answers([[{"text": "Look", "image": "b.png"}]], tmp_path), engine)
    assert engine.asked == []
    (tmp_path / "b.png").write_bytes(b"two!")
    scored(path, answers([[{"text": "Look", "image": "b.png"}]], tmp_path), engine)
    assert engine.asked == ["q0"]


def test_identical_requests_are_judged_once(path):
    engine = HashJudge()
    verdicts = scored(path, answers(["same", "other", "same", "same"]), engine)
    assert len(engine.asked) == 2
    assert [v.id for v in verdicts] == ["q0", "q1", "q2", "q3"]
    assert len({(v.key, v.score, v.feedback) for v in verdicts if v.id != "q1"}) == 1
    assert len(path.read_bytes().splitlines()) == 4  # a line a question


def test_rules_decide_first_and_are_journalled(path):
    verdicts = scored(path, answers(["x", None, ""]), HashJudge())
    assert [v.unscored for v in verdicts[1:]] == ["no_response", "no_response"]
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [row["id"] for row in rows] == ["q1", "q2", "q0"]
    assert all(row["key"] for row in rows)


def test_details_and_notes_reach_the_verdict(path):
    class Noting(HashJudge):
        def complete(self, prompts):
            yield 0, Completion(None, unscored="image_refused", note="a bomb")

    (verdict,) = scored(path, answers(["x"]), Noting())
    assert (verdict.unscored, verdict.score, verdict.feedback) == ("image_refused", None, None)
    assert verdict.details == {"field": "toys", "note": "a bomb"}
    (again,) = scored(path, answers(["x"]), HashJudge())  # from the journal
    assert again == verdict


def test_probabilities_are_kept_unless_they_are_none(path):
    (verdict,) = scored(path, answers(["answer 0"]), HashJudge())
    assert verdict.score_probs == (0.5, 0.25, 0.25, 0, 0, 0, 0)

    class Broken(HashJudge):
        def complete(self, prompts):
            yield 0, Completion("### Score\n3", score_probs=(float("nan"),) * 7)

    (verdict,) = scored(path, answers(["answer 1"]), Broken())
    assert (verdict.score, verdict.score_probs) == (3, None)


def test_expectation_and_entropy_stand_beside_the_score(path):
    (verdict,) = scored(path, answers(["answer 0"]), HashJudge())
    (row,) = map(json.loads, path.read_text().splitlines())
    # 0 · 0.5 + 1 · 0.25 + 2 · 0.25; 0.5 · log2(2) + 2 · 0.25 · log2(4)
    assert (row["expected"], row["entropy"]) == (verdict.expected, verdict.entropy) == (0.75, 1.5)
    assert row["score"] == verdict.score  # the official integer, whatever was probable
    assert Verdict.from_json(row) == verdict


@pytest.mark.parametrize(
    ("probs", "expected", "entropy"),
    # log2(7) = 2.80735; a sure judge has no entropy; the engine gave nothing
    [((1 / 7,) * 7, 3.0, 2.8074), ((0, 0, 0, 0, 1, 0, 0), 4.0, 0.0), (None, None, None)],
)
def test_expectation_and_entropy(probs, expected, entropy):
    verdict = Verdict("q0", "judge", 4, score_probs=probs)
    assert (verdict.expected, verdict.entropy) == (expected, entropy)
    assert ("expected" in verdict.to_json(), "entropy" in verdict.to_json()) == (probs is not None,) * 2


def test_a_cut_off_judge_is_truncated_not_silent(path):
    class Cut(HashJudge):
        def complete(self, prompts):
            yield 0, Completion("### Feedback\nOn and on", stopped=False)

    (verdict,) = scored(path, answers(["x"]), Cut())
    assert verdict.unscored == "truncated"


def test_retry_judges_the_unscored_only(path):
    given = answers([*TEXTS, None])
    first = scored(path, given, HashJudge(mute=True), retry_unscored=False)
    assert {v.unscored for v in first[:-1]} == {"no_score_line"}
    engine = HashJudge()
    second = scored(path, given, engine)  # without the switch nothing is judged again
    assert (second, engine.asked) == (first, [])
    third = scored(path, given, engine, retry_unscored=True)
    assert len(engine.asked) == 23
    missing = [v.id for v in third if v.unscored == "no_score_line"]
    assert 0 < len(missing) < 23  # the hash leaves about one in eight without a line
    engine.asked.clear()
    assert scored(path, given, engine, retry_unscored=True) == third
    assert engine.asked == missing
    assert scored(path, given, HashJudge()) == third


def test_a_failure_of_the_engine_is_judged_again_by_the_same_command(path):
    class Flaky(HashJudge):
        """Fails on its second answer, as a device out of memory does."""

        def complete(self, prompts):
            for position, completion in super().complete(prompts):
                failed = Completion(None, unscored="engine_error", note="out of memory")
                yield position, failed if self.asked[-1] == "q1" else completion

    first = scored(path, answers(TEXTS), Flaky())
    assert [v.id for v in first if v.unscored == "engine_error"] == ["q1"]
    engine = HashJudge()
    second = scored(path, answers(TEXTS), engine)  # without a switch; those without a score line stay
    assert engine.asked == ["q1"]
    assert second == scored(path.with_name("fresh.jsonl"), answers(TEXTS), HashJudge())
    assert (second[1].unscored, second[1].details) == (None, {"field": "toys"})


def test_what_was_decided_before_an_engine_fails_is_kept(path):
    class Failing(HashJudge):
        def complete(self, prompts):
            for count, item in enumerate(super().complete(prompts)):
                if count == 5:
                    raise RuntimeError("out of memory")
                yield item

    with pytest.raises(RuntimeError, match="out of memory"):
        scored(path, answers(TEXTS), Failing())
    engine = HashJudge()
    assert len(scored(path, answers(TEXTS), engine)) == 23
    assert len(engine.asked) == 23 - 5


def test_an_engine_that_forgets_a_prompt_is_found_out(path):
    class Forgetful(HashJudge):
        def complete(self, prompts):
            return super().complete(prompts[1:])

    with pytest.raises(RuntimeError, match="left 1 of 3 requests"):
        scored(path, answers(TEXTS[:3]), Forgetful())


def test_a_journal_of_other_answers_is_refused(path):
    scored(path, answers(TEXTS), HashJudge())
    with pytest.raises(UserError, match="20 verdicts about questions that are not answered now, first 'q10'") as caught:
        scored(path, answers(TEXTS[:3]), HashJudge())
    assert "--out" in caught.value.fix


def test_judge_requests_yields_known_ones_first(path):
    requests = [Request(f"r{n}", "T", (Text("Why?"),), (Text(str(n)),)) for n in range(6)]
    engine = HashJudge()
    signature = make_signature(TOY, None, "strict", RUBRIC, engine.identity)
    with Journal(path) as journal:
        first = dict(judge_requests(requests[3:], Grader(engine, RUBRIC, "strict", signature), journal))
        got = list(judge_requests(requests, Grader(engine, RUBRIC, "strict", signature), journal))
    assert [position for position, _ in got[:3]] == [3, 4, 5]
    assert [verdict for _, verdict in got[:3]] == [first[n] for n in range(3)]
    assert sorted(position for position, _ in got) == list(range(6))
    assert sorted(engine.asked) == [f"r{n}" for n in range(6)]


def test_files_of_the_same_bytes_share_one_verdict(path, tmp_path):
    """Before their pictures are read they are two requests; a judge that is not deterministic may not give two verdicts
    under one key, or the next run would tell another story than this one."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"same")
    scores = iter((2, 5))

    class Moody(HashJudge):
        def _completion(self, prompt):
            return Completion(f"### Feedback\nFine.\n### Score\n{next(scores)}")

    given = answers([[{"text": "Look", "image": name}] for name in ("a.png", "b.png")], tmp_path)
    first = scored(path, given, Moody())
    assert [verdict.score for verdict in first] == [2, 2]
    engine = HashJudge()
    assert scored(path, given, engine) == first
    assert engine.asked == []


def test_no_judge_for_answers_that_need_one(path):
    with Journal(path) as journal, pytest.raises(UserError, match="1 answers need a judge"):
        judge_answers(
            TOY.assess(answers(["x"]), None, "strict"),
            Grader(None, signature=make_signature(TOY, SOURCE, "strict")),
            journal,
        )
