"""One model under several conditions: differences, what became of answers, baselines, a component; counted by hand."""

import dataclasses
import json
import random
import re
import shutil

import pytest
from condition_runs import ALWAYS_A, CONDITIONS, PAIRS, RIGHT, TRUTHS, verdicts_of, write_letters, write_run
from scipy import stats

from judge.core.benchmark import find
from judge.core.request import Text
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.samples import Sample, write_samples
from judge.results.contrast import contrast, read_asked
from judge.results.contrast_words import better, sentence, sentences
from judge.results.repeats import FILE, summarise_repeats
from judge.results.result import build_result
from judge.results.run_folder import RunFolder, read_run

SWAPPED = "".join("A" if truth in "AB" else "D" for truth in TRUTHS)


@pytest.fixture
def found(tmp_path):
    """A model that is always right with the picture, and says A without it."""
    folders = [
        write_letters(tmp_path / "mmvu", RIGHT),
        write_letters(tmp_path / "mmvu_blind", ALWAYS_A, "blind"),
        write_letters(tmp_path / "mmvu_swapped", SWAPPED, "swapped"),
    ]
    return contrast([read_asked(folder) for folder in folders])


def estimate(one):
    return None if one is None else (one.value, one.n)


def p_of(lost):
    """All of so many units are lost, and of the two made-up ones one more: McNemar's statistic."""
    return 2 * stats.norm.sf(lost / (lost + 2) ** 0.5)


def test_differences_are_paired_and_overall(found):
    blind, swapped = found.against
    # A is right in the plain question of the 6 even pairs and nowhere else: no pair is whole (RA 0), 6 are lost of the
    # 6 whose plain question is right (MR 100), 6 of 12 plain ones are right (POS 50), no leading one (NEG 0)
    assert {line.metric: line.row.paired.difference.value for line in blind.lines if line.category is None} == {
        "RA": -100, "MR": 100, "POS": -50, "NEG": -100,
    }  # fmt: skip
    paired = blind.line("RA").row.paired
    assert (paired.wins, paired.losses, paired.ties) == (0, 12, 0)
    assert paired.p == pytest.approx(p_of(12))
    # swapped: A where A or B is right, D where C or D is: half of the plain and half of the leading questions
    assert swapped.line("NEG").row.paired.difference.value == -50
    assert swapped.line("POS").row.paired.p == pytest.approx(p_of(6))
    assert {line.category for line in blind.lines} == {None, "Number", "Shape"}
    assert blind.line("RA", "Number").row.paired.difference.n == PAIRS // 2


def test_p_values_are_adjusted_for_all_conditions_each_metric_on_its_own(found):
    blind, swapped = found.against
    # RA: 12 lost twice, times 2. POS: 6 lost twice, times 2. NEG: 12 lost without a picture, times 2; 6 lost, times 1
    assert [other.line("RA").adjusted for other in (blind, swapped)] == pytest.approx([2 * p_of(12)] * 2)
    assert [other.line("POS").adjusted for other in (blind, swapped)] == pytest.approx([2 * p_of(6)] * 2)
    assert [other.line("NEG").adjusted for other in (blind, swapped)] == pytest.approx([2 * p_of(12), p_of(6)])
    # by category 2 conditions and 2 categories are a family of four: 6 lost in each for RA, times 4
    assert blind.line("RA", "Shape").row.paired.p == pytest.approx(p_of(6))
    assert blind.line("RA", "Shape").adjusted == pytest.approx(4 * p_of(6))


def test_what_became_of_the_answers(found):
    blind, swapped = (other.shift for other in found.against)
    # without the picture: A stays where A is right, 6 of 24 questions; those are the ones that stay right
    assert estimate(blind.same) == estimate(blind.kept) == (25, 24)
    assert blind.alone is None
    # swapped: A and D stay, 12 of 24; B became A, as it says without a picture, too; C became D
    assert estimate(swapped.same) == (50, 24)
    assert estimate(swapped.alone) == (25, 24)
    # two questions a picture, of which one stays in every pair: as a cluster they tell no more than 12 … 24 apart
    assert 0 < swapped.same.ci_low < 50 < swapped.same.ci_high < 100


def test_an_answer_that_names_nothing_is_one_of_its_own_and_a_failed_call_is_none(tmp_path):
    first = write_letters(tmp_path / "a", "-!" + RIGHT[2:])
    other = write_letters(tmp_path / "b", "-B" + "-" + RIGHT[3:], "instruction")
    (against,) = contrast([read_asked(first), read_asked(other)]).against
    # question 0 names nothing twice (same), 1 has no answer in the first (left out), 2 changed: 22 of 23 are the same
    assert estimate(against.shift.same) == (pytest.approx(100 * 22 / 23), 23)
    # of the 22 that were right, all but question 2
    assert estimate(against.shift.kept) == (pytest.approx(100 * 21 / 22), 22)


def test_baselines_come_from_the_questions_at_hand(found):
    values = {name: {metric: one.value for metric, one in of.items()} for name, of in found.baselines.items()}
    assert list(values) == ["longest option", "always A", "always B", "always C", "always D"]
    # C is the longest option everywhere, and right in the plain question of the odd pairs
    assert values["longest option"] == values["always C"] == {"RA": 0, "MR": 100, "POS": 50, "NEG": 0}
    assert values["always B"] == {"RA": 0, "MR": None, "POS": 0, "NEG": 50}  # no plain question is right: no MR


def test_without_samples_there_are_no_baselines(tmp_path):
    folders = [write_letters(tmp_path / "a", RIGHT, samples=False),
               write_letters(tmp_path / "b", RIGHT, "blind", samples=False)]  # fmt: skip
    assert contrast([read_asked(folder) for folder in folders]).baselines == {}


def without_picture(tmp_path, letters, condition="blind", first=RIGHT):
    folders = [write_letters(tmp_path / "a", first), write_letters(tmp_path / "b", letters, condition)]
    found = contrast([read_asked(folder) for folder in folders])
    return sentences(found)[0]


def test_the_sentence_of_a_model_that_looks_and_of_one_that_does_not(tmp_path):
    assert without_picture(tmp_path / "looks", ALWAYS_A) == (
        "It looks: without the picture RA is 0.0 instead of 100.0 (−100.0 [−100.0, −54.0], p 0.001), and 25% of its "
        "answers stay the same."
    )
    assert without_picture(tmp_path / "not", RIGHT) == (
        # no change in 12 pairs; one gained and one lost of 14: 1.96 · sqrt(2 / 14 / (14 - 3.84)) = 23.2 percent
        "It does not look: without the picture RA is 100.0 instead of 100.0 (+0.0 [−23.2, +23.2], p 1.000), and 100% "
        "of its answers stay the same."
    )
    assert without_picture(tmp_path / "fixed", RIGHT, "swapped").endswith(
        "100% of its answers stay the same. None follow the other picture."
    )
    # every answer another one, and none of them right before or after
    wrong, other = ("".join("BCDA"["ABCD".index(t)] for t in TRUTHS), "".join("CDAB"["ABCD".index(t)] for t in TRUTHS))
    assert without_picture(tmp_path / "no gain", other, first=wrong).startswith(
        "It looks, but whether it gains by it is not certain: without the picture RA is 0.0 instead of 0.0"
    )
    assert without_picture(tmp_path / "misled", RIGHT, "blank", first=ALWAYS_A).startswith(
        "The picture misleads it: with a grey picture in place of its own RA is 100.0 instead of 0.0"
    )


@pytest.mark.parametrize(
    ("first", "letters", "said"),
    [
        # one pair: of 1 cluster of answers that stay, Wilson's interval begins at 1 / 4.84 = 21 percent
        ("AB", "AB", "100% of its answers stay the same."),
        ("AB", "AC", "50% of its answers stay the same."),
        ("-" * 24, "-" * 24, "100% of its answers stay the same, of which none can be read."),
        (RIGHT, "!" * 22 + "CD", "100% of its answers stay the same."),
        # 20 of 24 name nothing twice, the last two pairs say something else in 3 of 4 questions, or in none
        ("-" * 20 + "ABCD", "-" * 20 + "ABCD", "100% of its answers stay the same, 100% of those that can be read."),
    ],
    ids=["one pair", "one pair, half", "none can be read", "most failed", "two pairs can be read"],
)
def test_of_too_few_answers_nothing_is_said(tmp_path, first, letters, said):
    found = without_picture(tmp_path, letters, first=first)
    assert found.startswith("Whether it looks cannot be told: without the picture RA is ")
    assert said in found


def test_answers_that_cannot_be_read_do_not_hide_those_that_can(tmp_path):
    # pairs 4 to 11 answer, and say another letter each time; the 8 questions before them name nothing, twice
    other = "".join("BCDA"["ABCD".index(truth)] for truth in TRUTHS)
    said = without_picture(tmp_path, "-" * 8 + other[8:], first="-" * 8 + RIGHT[8:])
    assert said.startswith("It looks: ")
    assert "33% of its answers stay the same, 0% of those that can be read." in said


def test_whether_it_looks_is_only_said_where_nothing_but_the_picture_differs(tmp_path):
    plain, blind = write_letters(tmp_path / "a", RIGHT, "json"), write_letters(tmp_path / "b", ALWAYS_A, "blind")
    assert sentences(contrast([read_asked(plain), read_asked(blind)]))[0].startswith("blind is worse than json: RA is")
    worded = write_letters(tmp_path / "c", RIGHT, asked="another@5a1f0c33")
    assert sentences(contrast([read_asked(worded), read_asked(blind)]))[0].startswith("blind is worse than plain: RA")


def test_the_sentence_of_other_conditions(tmp_path):
    assert without_picture(tmp_path, ALWAYS_A, "instruction").startswith(
        "instruction is worse than plain: RA is 0.0 instead of 100.0"
    )


def test_where_few_pairs_show_little_that_is_said(tmp_path):
    said = without_picture(tmp_path, ALWAYS_A[:4] + RIGHT[4:], "cgr")  # 2 of 12 pairs are lost
    assert said.startswith("cgr cannot be told apart from plain: RA is 83.3 instead of 100.0")
    # 3 lost and 1 gained of 14: sqrt((4/14 - (2/14)²) / (14 - 3.84)) = 16.16 points, times 1.96 + 0.84
    (least,) = re.findall(r"12 pairs would only show a difference of about (\S+) points or more", said)
    assert float(least) == pytest.approx(45.3)


def test_a_difference_that_only_the_adjustment_hides_is_not_called_too_small(tmp_path):
    # all 12 pairs are lost, p 0.001; with 50 conditions the adjustment would make it 0.07. 100 points are more than the
    # 45 that would show
    folders = [write_letters(tmp_path / "a", RIGHT), write_letters(tmp_path / "b", ALWAYS_A, "cgr")]
    found = contrast([read_asked(folder) for folder in folders])
    (other,) = found.against
    other = dataclasses.replace(other, lines=[dataclasses.replace(line, adjusted=0.07) for line in other.lines])
    said = sentence(found, other)
    # its interval leaves out 0, so that p says that it is another one
    assert said == (
        "cgr cannot be told apart from plain: RA is 0.0 instead of 100.0 (−100.0 [−100.0, −54.0], p 0.070 adjusted)."
    )


def contract(index):
    """Even questions keep the contract; of the odd ones the first two call the wrong tool, the rest call nothing."""
    if index % 2 == 0:
        return {"contract": {"kind": "tool", "calls": 1, "fits": True, "problem": None}, "rule": "contract"}
    problem = "wrong_tool" if index < 4 else "no_call"
    return {"contract": {"kind": "tool", "calls": int(index < 4), "fits": False, "problem": problem}}


def test_as_a_component(tmp_path):
    plain = write_letters(tmp_path / "a", RIGHT)
    tool = write_run(tmp_path / "b", verdicts_of(RIGHT, contract), "tool")
    found = contrast([read_asked(plain), read_asked(tool)])
    values = {name: estimate(one) for name, one in found.components["tool"].values.items()}
    # 12 of 24 fit, 14 called something (12 and 2), 2 the wrong tool, 10 nothing
    assert values["fits"] == (50, 24)
    assert values["called"] == (pytest.approx(100 * 14 / 24), 24)
    assert values["wrong tool"] == (pytest.approx(100 * 2 / 24), 24)
    assert values["no call"] == (pytest.approx(100 * 10 / 24), 24)
    assert values["bad arguments"] == values["several calls"] == values["fluff"] == (0, 24)
    # all letters are right, but in no pair do both answers fit
    assert values["RA"] == (100, PAIRS)
    assert values["RA, those that fit"] == (None, 0)
    assert values["RA, as a system"] == (0, PAIRS)
    assert "plain" not in found.components
    assert (
        "50% of its answers fit the contract; with those that do not counted wrong, RA is 0.0." in sentences(found)[0]
    )


def repeats(folder, times, condition=None):
    runs = [write_letters(folder / f"repeat-{number}", letters, condition) for number, letters in enumerate(times, 1)]
    (folder / FILE).write_text(json.dumps(summarise_repeats([read_run(run).results for run in runs])))
    return folder


def test_questions_asked_several_times(tmp_path):
    # question 0 is answered A, A, B: it flips, the majority is right. Question 1 B, A, A: the majority is wrong
    times = (RIGHT, "AA" + RIGHT[2:], "BA" + RIGHT[2:])
    found = contrast(
        [read_asked(write_letters(tmp_path / "a", RIGHT)), read_asked(repeats(tmp_path / "b", times, "cgr"))]
    )
    component = found.components["cgr"]
    assert component.times == 3
    assert estimate(component.values["flips"]) == (pytest.approx(100 * 2 / 24), 24)
    # of 3 pairs of answers a question: all agree in 22, one of three in 2
    assert estimate(component.values["two agree"]) == (pytest.approx(100 * (22 * 3 + 2) / 72), 72)
    assert estimate(component.values["RA of the majority"]) == (pytest.approx(100 * 11 / 12), PAIRS)
    assert found.against[0].line("RA").row.paired.difference.value == 0  # the first time is what is compared
    assert "Asked 3 times, it changes its answer to 8% of the questions." in sentences(found)[0]


def test_two_conditions_of_one_name_are_told_apart_by_their_hash(tmp_path):
    # as "json" asked for by the prompt alone, and held to by an endpoint
    plain = write_letters(tmp_path / "a", RIGHT)
    prompt = write_run(tmp_path / "b", verdicts_of(RIGHT, contract), "json")
    endpoint = write_run(tmp_path / "c", verdicts_of(ALWAYS_A, contract), "json", digest="89abcdef")
    found = contrast([read_asked(folder) for folder in (plain, prompt, endpoint)])
    assert [one.name for one in found.all] == ["plain", "json@0123abcd", "json@89abcdef"]
    assert list(found.components) == ["json@0123abcd", "json@89abcdef"]
    assert [said.partition(" ")[0] for said in sentences(found)] == ["json@0123abcd", "json@89abcdef"]


def test_repeats_that_were_asked_differently_are_refused(tmp_path):
    folder = repeats(tmp_path / "a", (RIGHT, RIGHT), "cgr")
    shutil.rmtree(folder / "repeat-2")
    write_letters(folder / "repeat-2", RIGHT, "blind")
    with pytest.raises(UserError, match="asked under different conditions"):
        read_asked(folder)


def test_a_folder_of_repeats_that_is_damaged(tmp_path):
    folder = repeats(tmp_path / "a", (RIGHT, RIGHT))
    (folder / FILE).write_text('{"repeats": "two"}')
    with pytest.raises(UserError, match="is not what mmjudge writes"):
        read_asked(folder)
    (folder / FILE).write_text('{"repeats": 3}')
    with pytest.raises(UserError, match="no such results folder"):
        read_asked(folder)


def test_a_file_is_no_results_folder(tmp_path):
    (tmp_path / "report.html").write_text("")
    with pytest.raises(UserError, match="no such results folder"):
        read_asked(tmp_path / "report.html")


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"condition": None}, "the same condition twice: plain in "),
        ({"model": "another"}, "results of different models: 'a-model' in "),
        ({"edition": "v1"}, "measured differently:\n  edition: unknown"),
        ({"letters": RIGHT[:-2]}, r"results of different questions: .*a has attribute/shape/11 \(index 22\), "),
    ],
)
def test_what_may_not_be_contrasted(tmp_path, other, problem):
    given = {"letters": RIGHT, "condition": "blind", **other}
    first, second = write_letters(tmp_path / "a", RIGHT), write_letters(tmp_path / "b", **given)
    with pytest.raises(UserError, match=problem):
        contrast([read_asked(first), read_asked(second)])


def test_a_model_that_one_folder_does_not_name_is_taken_for_the_same(tmp_path):
    first, second = write_letters(tmp_path / "a", RIGHT), write_letters(tmp_path / "b", RIGHT, "blind", model=None)
    assert contrast([read_asked(first), read_asked(second)]).model == "a-model"


def test_one_folder_is_not_enough_and_one_that_has_not_ended_is_refused(tmp_path):
    first, second = write_letters(tmp_path / "a", RIGHT), write_letters(tmp_path / "b", RIGHT, "blind")
    with pytest.raises(UserError, match="give two or more results folders"):
        contrast([read_asked(first)])
    (second / "results.json").unlink()
    with pytest.raises(UserError, match="the run has not ended"):
        read_asked(second)


def test_the_order_of_lines_in_a_file_does_not_matter(tmp_path):
    first = write_letters(tmp_path / "a", RIGHT)
    shuffled = verdicts_of(SWAPPED)
    random.Random(1).shuffle(shuffled)
    straight = contrast([read_asked(first), read_asked(write_letters(tmp_path / "b", SWAPPED, "swapped"))])
    mixed = contrast([read_asked(first), read_asked(write_run(tmp_path / "c", shuffled, "swapped"))])
    assert straight.against[0].shift == mixed.against[0].shift
    assert straight.against[0].line("RA").row.paired == mixed.against[0].line("RA").row.paired


def test_better_follows_the_metric(found):
    blind = found.against[0]
    metrics = {metric.name: metric for metric in found.metrics}
    assert better(blind.line("RA"), metrics["RA"]) is False
    assert better(blind.line("MR"), metrics["MR"]) is False  # it rose, which is worse
    assert better(blind.line("POS"), metrics["POS"]) is None  # 0.063 after Holm
    assert find("mmvu").headline == tuple(metrics)


def judged(folder, scores, answers, condition=None):
    """Answers to MMIE as a judge scored them, with what was answered."""
    folder.mkdir()
    benchmark = find("mmie")
    verdicts = [Verdict(f"SA-{n}", "judge", score, None, "SA") for n, score in enumerate(scores)]
    named = {} if condition is None else {"condition": f"{condition}@0123abcd"}
    signature = Signature({"benchmark": "mmie", "edition": "v1", **named})
    result = build_result(benchmark, verdicts, None, None, signature)
    if condition is not None:
        result["condition"] = CONDITIONS[condition]
    RunFolder(folder).write_verdicts(verdicts)
    asked = (Text("Go on."),)
    write_samples(folder, [Sample(f"SA-{n}", None, "SA", asked, (Text(said),)) for n, said in enumerate(answers)])
    RunFolder(folder).write_results(result)
    return folder


def test_a_judged_benchmark_compares_whole_answers(tmp_path):
    first = judged(tmp_path / "a", [6, 6, 4, 5], ["one", "two", "three", "four"])
    other = judged(tmp_path / "b", [3, 0, 4, 5], ["One", "2", "three", "four"], "blind")
    found = contrast([read_asked(first), read_asked(other)])
    (blind,) = found.against
    assert [line.metric for line in blind.lines if line.category is None] == ["score", "mean"]
    assert blind.line("mean").row.paired.difference.value == -9 / 4  # -3, -6, 0, 0
    assert estimate(blind.shift.same) == (50, 4)
    assert (blind.shift.kept, blind.shift.alone, found.baselines) == (None, None, {})
    # Wilson's interval for 2 of 4 is 15 to 85 percent: three quarters or fewer, nobody knows
    assert sentences(found)[0].startswith("Whether it looks cannot be told: without the picture score is 50.0")
    (first / "samples.jsonl").unlink()
    found = contrast([read_asked(first), read_asked(other)])
    assert found.against[0].shift is None
    said = sentences(found)[0]
    # means 12 / 4 and 21 / 4 of 6
    assert said.startswith("Whether it looks cannot be told: without the picture score is 50.0 instead of 87.5")


def test_other_words_are_no_sign_that_a_model_looks(tmp_path):
    first = judged(tmp_path / "a", [4, 5] * 8, [f"This is {n}." for n in range(16)])
    other = judged(tmp_path / "b", [5, 4] * 8, [f"That is {n}." for n in range(16)], "blind")
    found = contrast([read_asked(first), read_asked(other)])
    assert found.against[0].shift.same.value == 0
    assert sentences(found)[0].startswith("Whether it looks cannot be told: without the picture score is 75.0")
