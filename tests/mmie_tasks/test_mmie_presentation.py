"""What is kept of MMIE for reading: interleaved samples, and the worst and the best answers of every category."""

from judge.core.benchmark import Answer
from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.io.samples import Missing
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir
from mmie_tasks.presentation import VIEW, worst_and_best


def judged(name, score, probs=None):
    return Verdict(name, "judge", score, "truncated" if score is None else None, name.split("-")[0], score_probs=probs)


def test_worst_and_best():
    sure, unsure = (0, 0.9, 0.1, 0, 0, 0, 0), (0, 0.6, 0, 0, 0, 0, 0.4)  # expectations 1.1 and 0.6 + 2.4 = 3.0
    verdicts = [
        judged("PBL-1", 6), judged("PBL-2", 1, unsure), judged("PBL-3", 1, sure), judged("PBL-4", 0),
        judged("PBL-5", 5), judged("SA-1", 3), judged("SA-2", 2), judged("SA-3", None), judged("MSR-1", 4),
    ]  # fmt: skip
    lowest, highest = worst_and_best(verdicts)
    # SA has two scored: one each way; MSR has one, which is neither
    assert [name for ((name, _),) in lowest.items] == ["PBL-4", "PBL-3", "SA-2"]  # 0, 1, 2
    assert [name for ((name, _),) in highest.items] == ["PBL-1", "PBL-5", "SA-1"]  # 6, 5, 3
    assert (lowest.total, highest.total) == (8, 8)


def test_a_perfect_answer_is_no_low_and_a_failed_one_no_high():
    lowest, highest = worst_and_best([judged(f"SA-{number}", 6) for number in range(5)])
    assert ([name for ((name, _),) in lowest.items], len(highest.items)) == ([], 2)
    lowest, highest = worst_and_best([judged(f"SA-{number}", 0) for number in range(5)])
    assert (len(lowest.items), highest.items) == (2, [])


def test_samples():
    dataset = BENCHMARK.load(demo_dir())
    record = dataset.records[0]
    image = record.images[0]
    parts = [{"text": "Step 2: do.", "image": image}, {"text": None, "image": "../secret.png"}]
    (sample,) = VIEW.samples([Answer(record.id, None, parts, demo_dir())], dataset)
    assert sample.key == (record.id, None)
    assert sample.category == record.category
    texts = [piece.text for piece in sample.question if isinstance(piece, Text)]
    assert texts == [part.text for part in record.question if part.text]
    assert [piece.name for piece in sample.pictures] == [*record.images, image]
    assert all(piece.path.is_file() for piece in sample.pictures)
    said, picture, refused = sample.answer
    assert (said, refused) == (Text("Step 2: do."), Missing("../secret.png"))
    assert isinstance(picture, Picture)
    assert sample.truth == "\n".join(part.text for part in record.answer if part.text)


def test_answers_that_bring_their_question(tmp_path):
    row = {
        "id": "MSR-1",
        "question": [{"text": "How many?", "image": "./gone.png"}],
        "gt_answer": [{"text": "3", "image": None}],
    }
    (sample,) = VIEW.samples([Answer("MSR-1", None, "Three.", tmp_path, row)], None)
    assert sample.question == (Text("How many?"), Missing("./gone.png"))
    assert (sample.answer, sample.truth) == ((Text("Three."),), "3")


def test_nobody_looked_at_the_data(tmp_path):
    (sample,) = VIEW.samples([Answer("SA-7", None, "Yes.", tmp_path)], None)
    assert (sample.question, sample.answer, sample.category, sample.truth) == ((), (Text("Yes."),), "SA", None)
