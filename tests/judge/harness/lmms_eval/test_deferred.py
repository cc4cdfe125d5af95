"""Nothing is decided before somebody asks; then everything is, once."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from judge.core.benchmark import Answer
from judge.core.verdict import Verdict
from judge.harness.lmms_eval.deferred import Item, Queue, answers, verdicts


class Decider:
    """Gives 4 to everything and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[int | None, object]]] = []

    def __call__(self, answers: Sequence[Answer]) -> list[Verdict]:
        self.calls.append([(answer.index, answer.response) for answer in answers])
        return [Verdict(str(a.index), "judge", 4, feedback=f"seen {a.response}", key="k") for a in answers]


def answer(index: int, response: str = "text") -> Answer:
    return Answer(str(index), index, response, Path("."))


def test_nothing_is_decided_until_an_item_is_asked_and_then_all_of_them_at_once() -> None:
    decide = Decider()
    queue = Queue(decide)
    items = [Item("t", queue, queue.add(answer(i)), brief=False) for i in range(3)]
    assert decide.calls == []
    assert all("verdict" not in item for item in items)
    items[1].resolve()
    assert decide.calls == [[(0, "text"), (1, "text"), (2, "text")]]
    assert [verdict.score for verdict in verdicts(items)[0]] == [4, 4, 4]
    assert len(decide.calls) == 1


def test_pickling_decides_and_leaves_a_plain_dict_that_says_so() -> None:
    """How lmms-eval gathers items and samples from other ranks."""
    decide = Decider()
    queue = Queue(decide)
    item = Item("t", queue, queue.add(answer(7)), brief=False)
    gathered = pickle.loads(pickle.dumps([{"sample": 1, "score": item}]))[0]["score"]
    assert type(gathered) is dict
    assert gathered["verdict"]["score"] == 4
    assert verdicts([gathered]) == [[Verdict("7", "judge", 4, feedback="seen text", key="k")]]
    # the original, which stays in the samples of a single rank, holds the same and is written as JSON
    assert json.loads(json.dumps(item)) == gathered


def test_brief_items_leave_the_feedback_out() -> None:
    queue = Queue(Decider())
    pending = queue.add(answer(0))
    brief, full = Item("t", queue, pending, brief=True), Item("t", queue, pending, brief=False)
    assert verdicts([brief, full]) == [
        [Verdict("0", "judge", 4), Verdict("0", "judge", 4, feedback="seen text", key="k")]
    ]


def test_every_answer_to_a_question_that_was_asked_several_times_is_kept() -> None:
    decide = Decider()
    queue = Queue(decide)
    items = [
        Item("t", queue, *(queue.add(answer(number, text)) for text in texts), brief=False)
        for number, texts in enumerate([("a", "b", "a"), ("c", "c", "d")])
    ]
    gathered = pickle.loads(pickle.dumps(items))
    for found in (items, gathered):
        assert [[verdict.feedback for verdict in repeat] for repeat in verdicts(found)] == [
            ["seen a", "seen c"], ["seen b", "seen c"], ["seen a", "seen d"]
        ]  # fmt: skip
        assert [[given.response for given in repeat] for repeat in answers(found, Path("."))] == [
            ["a", "c"], ["b", "c"], ["a", "d"]
        ]  # fmt: skip
    # an answer that was given twice is decided once
    assert sorted(text for call in decide.calls for _, text in call) == ["a", "b", "c", "d"]


def test_the_same_answer_is_decided_once_and_another_answer_to_the_question_in_a_call_of_its_own() -> None:
    """With repeats, lmms-eval hands the first answer over again; a benchmark refuses a question twice in one call."""
    decide = Decider()
    queue = Queue(decide)
    first = queue.add(answer(0, "a"))
    assert queue.add(answer(0, "a")) is first
    queue.add(answer(0, "b"))
    queue.add(answer(1, "a"))
    queue.flush()
    assert decide.calls == [[(0, "a"), (1, "a")], [(0, "b")]]
    queue.flush()
    queue.add(answer(0, "b"))
    queue.flush()
    assert len(decide.calls) == 2


def test_threads_that_add_and_ask_lose_and_repeat_nothing() -> None:
    decide = Decider()
    queue = Queue(decide)
    barrier = threading.Barrier(8)

    def work(thread: int) -> int:
        barrier.wait()
        asked = 0
        for number in range(50):
            item = Item("t", queue, queue.add(answer(thread * 50 + number)), brief=True)
            if number % 7 == 0:
                item.resolve()
                asked += item["verdict"]["score"]
        return asked

    with ThreadPoolExecutor(8) as pool:
        # every thread asks for 0, 7, …, 49: 8 items of score 4
        assert list(pool.map(work, range(8))) == [32] * 8
    queue.flush()
    decided = sorted(index for call in decide.calls for index, _ in call)
    assert decided == list(range(400))
