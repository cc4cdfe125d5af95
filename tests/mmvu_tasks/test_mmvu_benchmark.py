"""From answers to RA and MR: joined by id and position, failures unscored, pairs whole, the reference tally beside."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from mmvu_sample import PUBLISHED, QUESTION, needs_published, pair, row, write

from judge.core.benchmark import Answer, Dataset, Summary, find
from judge.core.request import Request
from judge.core.verdict import Verdict
from judge.errors import UserError
from mmvu_tasks.benchmark import BENCHMARK, verdict
from mmvu_tasks.pairs import Half, Pair, count_outcomes, join
from mmvu_tasks.records import Record

HERE = Path(".")


def answer(record: Record, response: Any) -> Answer:
    return Answer(record.id, record.index, response, HERE)


def score(dataset: Dataset, answers: Sequence[Answer]) -> list[Verdict]:
    verdicts = BENCHMARK.assess(answers, dataset, "strict")
    assert not any(isinstance(item, Request) for item in verdicts)
    return verdicts  # type: ignore[return-value]


def values(summary: Summary) -> dict[str, float | None]:
    return {name: estimate.value for name, estimate in summary.metrics.items()}


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    """Three pairs; the truth is B for POS and C for NEG, the second pair published NEG first."""
    second = [row("context/expert/12", "NEG", "C"), row("context/expert/12", "POS", "B")]
    return BENCHMARK.load(write(tmp_path, [*pair(), *second, *pair("attribute/number/04")]).parent)


@pytest.fixture(scope="module")
def v1() -> Dataset:
    return BENCHMARK.load(PUBLISHED.parent)


def test_it_is_found_and_documented() -> None:
    assert find("mmvu") is BENCHMARK
    assert len(BENCHMARK.categories) == 12
    assert not BENCHMARK.judged
    assert BENCHMARK.signature_parts("strict") == {"extraction": "careful-3"}
    assert BENCHMARK.asked == "direct@9bd1bef7"
    with pytest.raises(UserError, match="it has no rubric"):
        BENCHMARK.rubric("official")


# --- one answer ---

WRONG_TO_REFERENCE = {"letter_reference": None, "score_reference": 0}
WRONG_LETTER = {"letter": "A", "rule": "bare", "letter_reference": "A", "score_reference": 0}


@pytest.mark.parametrize(
    ("response", "score", "reason", "details"),
    [
        ("B", 1, None, {"letter": "B", "rule": "bare", "letter_reference": "B", "score_reference": 1}),
        ("A", 0, None, WRONG_LETTER),
        ("**B**", 1, None, {"letter": "B", "rule": "bare", "letter_reference": None, "score_reference": 0}),
        ("A round clock, so B", 1, None,
         {"letter": "B", "rule": "conclusion", "letter_reference": "A", "score_reference": 0}),
        ("It is round", 1, None,
         {"letter": "B", "rule": "verbatim", "letter_reference": None, "score_reference": 0}),
        ("I cannot see", 0, None,
         {"letter": None, "rule": None, "letter_reference": None, "score_reference": 0, "reason": "no_option"}),
        ("E", 0, None,
         {"letter": None, "rule": "bare", "letter_reference": None, "score_reference": 0, "reason": "no_option"}),
        (None, None, "no_response", WRONG_TO_REFERENCE),
        (float("nan"), None, "no_response", WRONG_TO_REFERENCE),
        ("Failed to obtain answer via API.", None, "call_failed", WRONG_TO_REFERENCE),
        ("[LMMS_EVAL_REQUEST_FAILED after 3 retries] X", None, "call_failed", WRONG_TO_REFERENCE),
        ("[MMJUDGE_NOT_ANSWERED]", None, "not_answered", {}),
        ("", 0, "empty_answer", WRONG_TO_REFERENCE),
        (" \n\t", 0, "empty_answer", WRONG_TO_REFERENCE),
        ([], 0, "empty_answer", WRONG_TO_REFERENCE),
        ([{"text": None, "image": "../../etc/passwd"}], 0, "empty_answer", WRONG_TO_REFERENCE),
        ([{"text": "So", "image": None}, {"text": "B", "image": "x.png"}], 1, None,
         {"letter": "B", "rule": "closing", "letter_reference": None, "score_reference": 0}),
        ("<IMG_CONTEXT><|end|>### Score\n6 {question}", 0, None,
         {"letter": None, "rule": None, "letter_reference": None, "score_reference": 0, "reason": "no_option"}),
    ],
)  # fmt: skip
def test_a_verdict(
    small: Dataset, response: Any, score: int | None, reason: str | None, details: dict[str, Any]
) -> None:
    made = verdict(small.records[0], response)
    assert (made.id, made.index, made.by, made.category) == ("attribute/shape/07", 0, "rule", "Shape")
    assert (made.score, made.reason) == (score, reason)
    assert made.details == {"type": "POS", "level": "attribute", **details}
    assert Verdict.from_json(made.to_json()) == made


# --- which answer belongs to which question ---


def test_answers_in_any_order_or_by_position_alone(small: Dataset) -> None:
    answers = [Answer(None, n, "B", HERE) for n in range(6)]  # lmms-eval's doc_id
    assert [v.id for v in score(small, answers)] == [record.id for record in small.records]
    answers = [answer(record, "B") for record in reversed(small.records)]
    assert [v.index for v in score(small, answers)] == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([Answer("attribute/shape/07", 2, "B", HERE, where="r.jsonl: line 1")],
         'r.jsonl: line 1: record attribute/shape/07: field "index": question 2 has the id context/expert/12'),
        ([Answer("attribute/shape/99", 0, "B", HERE)], 'record attribute/shape/99: field "id": not in the data'),
        ([Answer("attribute/shape/07", None, "B", HERE)], 'field "index": missing: the two questions of a pair share'),
        ([Answer(None, None, "B", HERE)], 'field "index": missing'),
        ([Answer(None, 6, "B", HERE)], 'field "index": 6 is outside the 6 questions'),
        ([Answer(None, -1, "B", HERE)], 'field "index": -1 is outside the 6 questions'),
        ([Answer(None, 1, "B", HERE, where="r: line 1"), Answer("attribute/shape/07", 1, "C", HERE, where="r: line 2")],
         'record attribute/shape/07 (index 1): field "index": answered more than once: r: line 1 and r: line 2'),
    ],
)  # fmt: skip
def test_answers_that_do_not_fit(small: Dataset, answers: list[Answer], message: str) -> None:
    with pytest.raises(UserError) as caught:
        BENCHMARK.assess(answers, small, "strict")
    assert message in str(caught.value)
    assert "→ " in str(caught.value)


@pytest.mark.parametrize("bare", [False, True])
def test_the_questions_are_always_needed(bare: bool) -> None:
    with pytest.raises(UserError, match="needs the published questions\n→ set MMVU_DATA"):
        BENCHMARK.assess([Answer("x", 0, "B", HERE)], None, "strict", bare=bare)


def test_editions_do_not_mix(tmp_path: Path, small: Dataset) -> None:
    other = BENCHMARK.load(write(tmp_path / "other", pair("context/activity/03")).parent)
    answers = [answer(record, "B") for record in small.records]
    with pytest.raises(UserError, match=r"not in the data\n→ score the answers with the data they were made from"):
        BENCHMARK.assess(answers, other, "strict")


# --- pairs ---


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (("POS", True), ("NEG", True), "PP"),
        (("POS", True), ("NEG", False), "PN"),
        (("POS", False), ("NEG", True), "NP"),
        (("POS", False), ("NEG", False), "NN"),
        # calculation.py: a lone right answer counts as misled if its own type is POS
        (("POS", True), ("POS", True), "PP"),
        (("POS", True), ("POS", False), "PN"),
        (("POS", False), ("POS", True), "PN"),
        (("POS", False), ("POS", False), "NN"),
        (("NEG", True), ("NEG", False), "NP"),
    ],
)
def test_outcomes(first: tuple[str, bool], second: tuple[str, bool], outcome: str) -> None:
    halves = (Half(first[0], first[1], False), Half(second[0], second[1], False))
    for order in (halves, halves[::-1]):
        made = Pair("attribute/number/04", "Number", "attribute", (order[0], order[1]))
        assert made.outcome() == outcome
        assert made.outcome(reference=True) == "NN"


def reference_tally(dataset: Dataset, letters: Sequence[str | None]) -> Counter[str]:
    """`calculate_mc` of calculation.py in its own way: by position, two at a time."""
    counts: Counter[str] = Counter()
    for i in range(0, len(letters), 2):
        first, second = dataset.records[i], dataset.records[i + 1]
        right = (letters[i] == first.ground_truth, letters[i + 1] == second.ground_truth)
        if all(right):
            counts["PP"] += 1
        elif (right[0] and first.question_type == "POS") or (right[1] and second.question_type == "POS"):
            counts["PN"] += 1
    return counts


def test_by_hand(small: Dataset) -> None:
    # pair 1: both right (PP); pair 2, NEG first: C right as NEG, A wrong as POS (NP); pair 3: POS right, NEG wrong (PN)
    responses = ["B", "C", "C", "A", "B", "I cannot say"]
    summary = BENCHMARK.summarise(
        score(small, [answer(r, t) for r, t in zip(small.records, responses, strict=True)]), small
    )
    assert summary.extra["pairs"] == {
        "whole": 3, "alone": 0, "unscored": 0,
        "outcomes": {"PP": 1, "PN": 1, "NP": 1, "NN": 0},
        "outcomes_reference": {"PP": 1, "PN": 1, "NP": 1, "NN": 0},
    }  # fmt: skip
    # RA 1/3, MR 1/(1+1), POS 2/3, NEG 2/3
    third = pytest.approx(100 / 3)
    expected = {"RA": third, "MR": 50, "POS": pytest.approx(200 / 3), "NEG": pytest.approx(200 / 3)}
    assert values(summary) == {**expected, **{f"{name}_reference": value for name, value in expected.items()}}
    assert [summary.metrics[name].n for name in ("RA", "MR", "POS", "NEG")] == [3, 2, 3, 3]
    assert summary.categories["Shape"]["RA"].value == 100
    assert summary.categories["Number"]["MR"].value == 100
    assert summary.categories["Expertise"]["MR"].value is None  # no positive question right: none, not a perfect 0
    assert summary.categories["Position"]["RA"].n == 0
    assert summary.groups["level"]["attribute"]["RA"].value == 50  # Shape PP, Number PN
    assert summary.extra["no_option"] == {"n": 1, "rate": pytest.approx(1 / 6)}
    assert summary.extra["chance"] == {"RA": 6.25, "MR": 75.0, "POS": 25.0, "NEG": 25.0}


def test_careful_and_reference_part(small: Dataset) -> None:
    # "**B**" and "(C)" are right to a reader and wrong to the script
    responses = ["**B**", "(C)", "C", "B", "B", "C"]
    summary = BENCHMARK.summarise(
        score(small, [answer(r, t) for r, t in zip(small.records, responses, strict=True)]), small
    )
    assert summary.metrics["RA"].value == 100
    assert summary.metrics["RA_reference"].value == pytest.approx(200 / 3)
    assert summary.metrics["MR_reference"].value == 0


def test_whole_pairs_only(small: Dataset) -> None:
    # pair 1 whole; pair 2 cut by --limit; the call for a half of pair 3 failed
    answers = [answer(small.records[n], text) for n, text in ((0, "B"), (1, "C"), (2, "C"), (4, "B"), (5, None))]
    summary = BENCHMARK.summarise(score(small, answers), small)
    assert (summary.metrics["RA"].value, summary.metrics["RA"].n) == (100, 1)
    # POS: 0 and 4 right; NEG: 1 and 2 right, 5 has no answer
    assert (summary.metrics["POS"].n, summary.metrics["NEG"].n) == (2, 2)
    counts = summary.extra["pairs"]
    assert (counts["whole"], counts["alone"], counts["unscored"]) == (1, 1, 1)
    notes = "\n".join(summary.notes)
    assert "1 pair is left out of RA and MR because one question only was answered: context/expert/12" in notes
    assert "1 pair is left out of RA and MR because a question has no score: attribute/number/04" in notes
    assert "5 of 6 questions were answered" in notes


def test_a_pair_with_a_blank_half_is_wrong(small: Dataset) -> None:
    answers = [answer(small.records[n], text) for n, text in ((0, "B"), (1, "C"), (4, "B"), (5, " "))]
    summary = BENCHMARK.summarise(score(small, answers), small)
    assert (summary.metrics["RA"].value, summary.metrics["RA"].n) == (50, 2)
    assert (summary.metrics["NEG"].value, summary.metrics["NEG"].n) == (50, 2)


def test_reference_figures_count_what_stands_in_the_file(small: Dataset) -> None:
    """As the official script: a failure text is a wrong answer to it; ours leaves the pair out."""
    texts = ((0, "B"), (1, "C"), (4, "B"), (5, "Failed to obtain answer via API."))
    summary = BENCHMARK.summarise(score(small, [answer(small.records[n], text) for n, text in texts]), small)
    assert (summary.metrics["RA"].value, summary.metrics["RA"].n) == (100, 1)
    assert (summary.metrics["RA_reference"].value, summary.metrics["RA_reference"].n) == (50, 2)
    assert (summary.metrics["NEG_reference"].value, summary.metrics["NEG_reference"].n) == (50, 2)


def test_nothing_answered(small: Dataset) -> None:
    summary = BENCHMARK.summarise([], small)
    assert set(values(summary).values()) == {None}
    assert summary.extra["no_option"] == {"n": 0, "rate": None}


def test_three_verdicts_of_one_id_are_no_pair() -> None:
    details = {"type": "POS", "level": "attribute", "score_reference": 1}
    with pytest.raises(ValueError, match="3 verdicts for x"):
        join([Verdict("x", "rule", 1, details=details) for _ in range(3)])


# --- the published questions ---


def longest(record: Record) -> str:
    return "ABCD"[max(range(4), key=lambda n: len(record.options[n]))]


def longest_line(record: Record) -> str:
    """The longest line that begins with a letter and a dot, the first of equals in the published order; A where no
    line does."""
    lines = re.split(r"^\s*([A-D])\.", record.question, flags=re.MULTILINE)[1:]
    return max(zip(lines[::2], lines[1::2], strict=True), key=lambda line: len(line[1].strip()), default=("A", ""))[0]


@needs_published
@pytest.mark.parametrize(
    ("policy", "both", "misled"),
    [
        # RA = both/300, MR = misled/(misled + both); facts of the v1 file, to the digit
        (lambda record: "A", 20, 57),  # 6.67, 57/77 = 74.0
        (lambda record: "B", 21, 56),  # 7.00, 56/77 = 72.7
        (lambda record: "C", 30, 45),  # 10.00, 45/75 = 60.0
        (lambda record: "D", 26, 46),  # 8.67, 46/72 = 63.9
        (longest_line, 57, 34),  # 19.00, 34/91 = 37.4: longer than every published text-only row
        (longest, 55, 34),  # 18.33, 34/89 = 38.2: read with every option, letters in order
        (lambda record: record.ground_truth, 300, 0),  # 100, 0
        (lambda record: "E", 0, 0),  # 0, none
    ],
)
def test_policies_on_v1(v1: Dataset, policy: Callable[[Record], str], both: int, misled: int) -> None:
    letters = [policy(record) for record in v1.records]
    summary = BENCHMARK.summarise(score(v1, [answer(r, t) for r, t in zip(v1.records, letters, strict=True)]), v1)
    assert reference_tally(v1, letters) == +Counter(PP=both, PN=misled)
    assert summary.metrics["RA"].n == 300
    assert summary.metrics["RA"].value == pytest.approx(100 * both / 300, abs=1e-12)
    assert summary.metrics["MR"].n == both + misled
    expected = 100 * misled / (both + misled) if both + misled else None
    assert summary.metrics["MR"].value == (None if expected is None else pytest.approx(expected, abs=1e-12))
    for name in ("RA", "MR", "POS", "NEG"):
        assert summary.metrics[f"{name}_reference"] == summary.metrics[name]  # bare letters: both read the same
    assert any("attribute/number/04 was published as POS/POS" in note for note in summary.notes)


@needs_published
def test_order_does_not_matter(v1: Dataset) -> None:
    generator = random.Random(20250227)
    letters = [generator.choice("ABCDE") for _ in v1.records]
    answers = [answer(record, letter) for record, letter in zip(v1.records, letters, strict=True)]
    summary = BENCHMARK.summarise(score(v1, answers), v1)
    tallied = reference_tally(v1, letters)
    assert summary.metrics["RA"].value == pytest.approx(100 * tallied["PP"] / 300, abs=1e-12)
    assert summary.metrics["MR"].n == tallied["PP"] + tallied["PN"]
    for _ in range(5):
        generator.shuffle(answers)
        shuffled = BENCHMARK.summarise(score(v1, answers), v1)
        assert shuffled.metrics == summary.metrics
        assert shuffled.categories == summary.categories
        assert shuffled.groups == summary.groups


@needs_published
@pytest.mark.parametrize(("first", "second", "outcome"), [("C", "A", "PP"), ("C", "B", "PN"), ("B", "A", "PN")])
def test_the_published_pair_of_two_positives(v1: Dataset, first: str, second: str, outcome: str) -> None:
    # items 272 and 273, both POS, with the truths C and A: either half alone counts as misled
    assert [v1.records[n].ground_truth for n in (272, 273)] == ["C", "A"]
    verdicts = score(v1, [answer(v1.records[272], first), answer(v1.records[273], second)])
    assert count_outcomes(join(verdicts).pairs)[outcome] == 1  # type: ignore[index]


@needs_published
def test_the_source_names_the_edition(v1: Dataset) -> None:
    # sha256sum MMR-benchmark.json | cut -c1-12
    assert v1.source.edition == "v1"
    assert v1.source.revision == "local:e55290e603f4"
    assert v1.source.note is None


@needs_published
def test_every_option_is_recognised_by_its_text_and_by_its_letter(v1: Dataset) -> None:
    for record in v1.records:
        for letter, option in zip("ABCD", record.options, strict=True):
            alone = letter if record.options.count(option) == 1 else None
            for said, expected in (
                (option, alone),
                (f"I see: {option.rstrip('.')}, I am sure", alone),
                (f"{letter}. {option}", letter),
                (f"{letter}.{option}", letter),
                (f"({letter}) {option}", letter),
                (f"The answer is {letter}. {option}", letter),
                (f"**{letter}**\n\n{option}", letter),
                (f"{option} So {letter}.", letter),
                (f"{record.question}\n{letter}", letter),
            ):
                assert verdict(record, said).details["letter"] == expected, (record.index, said)
        assert verdict(record, record.question).details["letter"] is None  # the question repeated is no answer


def test_long_answers_are_scored(small: Dataset) -> None:
    assert verdict(small.records[0], "so it goes on " * 15_000 + "\nAnswer: B").score == 1
    assert verdict(small.records[0], QUESTION * 2_000).details["reason"] == "no_option"
