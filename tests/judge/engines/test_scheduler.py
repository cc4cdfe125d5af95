"""Order, refilling and recovery, with a generator that only counts: no model."""

from __future__ import annotations

import gc
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal
from judge.engines import Completion, Prompt
from judge.engines.scheduler import Limits, PreparedPrompt, Scheduler, WaitingPrompt, plan_prompts
from judge.model import generate
from judge.model.cache import SlotAllocator
from judge.model.counters import Counters

torch = pytest.importorskip("torch", reason="torch is not installed")

NEW = 8


class Counting:
    """Stands in for `generate.Generator`: a prompt of n tokens is finished after 1 + n % NEW of its own.

    log: sizes of what was under way at each step. trouble(kind, numbers): called before anything is done.
    """

    def __init__(self, tokens, trouble=lambda kind, numbers: None, log=None):
        trouble("cache", [tokens])
        self.cache = type("Cache", (), {"slots": SlotAllocator(tokens)})()
        self.trouble, self.log = trouble, log if log is not None else []
        self.under_way = {}
        self.rooms = []  # the largest free stretch at each step

    def can_admit(self, lengths):
        taken = [(self.cache.slots.allocate(n + NEW - 1), n + NEW - 1) for n in lengths]
        for start, length in taken:
            if start is not None:
                self.cache.slots.release(start, length)
        return all(start is not None for start, _ in taken)

    def admit(self, rows):
        self.trouble("admit", [number for number, _ in rows])
        for number, row in rows:
            start = self.cache.slots.allocate(len(row.ids) + NEW - 1)
            assert start is not None
            self.under_way[number] = [start, len(row.ids), 1]
        self.log.append(("admit", [number for number, _ in rows]))
        return self._finished()

    def step(self, most=None):
        self.trouble("step", list(self.under_way))
        self.log.append(("step", list(self.under_way)))
        self.rooms.append(max((stop - start for start, stop in self.cache.slots._free), default=0))
        for state in self.under_way.values():
            state[2] += 1
        return self._finished()

    def _finished(self):
        done = [number for number, (_, length, new) in self.under_way.items() if new >= 1 + length % NEW]
        for number in done:
            start, length, _ = self.under_way.pop(number)
            self.cache.slots.release(start, length + NEW - 1)
        return [(number, number) for number in done]


def schedule(lengths, budget, trouble=lambda kind, numbers: None, log=None, most=None, counters=None):
    planned = sorted(
        (WaitingPrompt(n, 0, length) for n, length in enumerate(lengths)), key=lambda p: (-p.tokens, p.number)
    )
    return Scheduler(
        planned,
        lambda item: PreparedPrompt(item.number, generate.ModelInput([0] * lengths[item.number])),
        lambda tokens: Counting(tokens, trouble, log),
        lambda number: Completion(str(number)),
        Limits(budget, NEW, tile_bytes=1, max_num_seqs=most),
        counters,
    )


def results(made, count):
    pairs = list(made.completions())
    assert sorted(number for number, _ in pairs) == list(range(count))
    return [completion for _, completion in sorted(pairs, key=lambda pair: pair[0])]


@given(
    st.lists(st.integers(1, 60), max_size=40),
    st.integers(1, 300),
    st.one_of(st.none(), st.integers(1, 5)),
)
def test_everyone_once_within_the_budget(lengths, budget, most):
    log = []
    found = results(schedule(lengths, budget, log=log, most=most), len(lengths))
    assert [completion.text for completion in found] == list(map(str, range(len(lengths))))
    admitted = [number for kind, numbers in log if kind == "admit" for number in numbers]
    assert admitted == sorted(range(len(lengths)), key=lambda n: (-lengths[n], n))
    for kind, numbers in log:
        if kind == "step":
            assert most is None or len(numbers) <= most
            # one that is larger than the budget is judged alone
            assert len(numbers) == 1 or sum(lengths[n] + NEW - 1 for n in numbers) <= budget


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(70, 300))
def test_no_step_leaves_room_that_the_next_could_have(lengths, budget):
    """Refilled before every step: what waits does not fit into what is free."""
    log, made = [], schedule(lengths, budget)
    generators = []
    made._make_generator = lambda tokens: generators.append(Counting(tokens, log=log)) or generators[-1]
    results(made, len(lengths))
    order = sorted(range(len(lengths)), key=lambda n: (-lengths[n], n))
    (generator,) = generators
    rooms, admitted = iter(generator.rooms), 0
    for kind, numbers in log:
        if kind == "admit":
            admitted += len(numbers)
        else:
            room = next(rooms)
            assert admitted == len(order) or room < lengths[order[admitted]] + NEW - 1


def test_read_together_up_to_a_pass(monkeypatch):
    monkeypatch.setattr(generate, "MAX_BATCHED_TOKENS", 50)
    log = []
    results(schedule([30, 25, 24, 20, 5, 60], 1000, log=log), 6)
    assert [numbers for kind, numbers in log if kind == "admit"] == [[5], [0], [1, 2], [3, 4]]
    assert log[4][0] == "step"  # all that fit are read before anybody writes


def out_of_memory():
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(0, 80), st.integers(0, 10**6))
def test_out_of_memory_loses_nothing_but_what_does_not_fit_alone(lengths, limit, seed):
    """A device with room for `limit` tokens of prompts at once, and one that fails by chance on top."""
    chance = random.Random(seed)
    counters = Counters()

    def trouble(kind, numbers):
        if kind != "cache" and (
            sum(lengths[n] for n in numbers) > limit or (len(numbers) > 1 and chance.random() < 0.1)
        ):
            out_of_memory()

    made = schedule(lengths, 400, trouble, counters=counters)
    found = results(made, len(lengths))
    for length, completion in zip(lengths, found, strict=True):
        if length > limit:
            assert (completion.unscored, completion.note) == ("engine_error", "OutOfMemoryError: CUDA out of memory")
        else:
            assert completion.unscored is None
    assert made.cache_tokens == max(1, 400 >> counters.out_of_memory)


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("x"), MemoryError("x"), RuntimeError("DefaultCPUAllocator: no")]
)
def test_a_cache_that_cannot_be_had_is_tried_smaller(error):
    sizes = []

    def trouble(kind, numbers):
        if kind == "cache":
            sizes.append(numbers[0])
            if numbers[0] > 100:
                raise error

    made = schedule([50, 50, 120], 1600, trouble)
    found = results(made, 3)
    assert [completion.unscored for completion in found] == [None, None, "engine_error"]
    # 127 places are what the long one takes; without it, halving goes on from where it was
    assert sizes == [1600, 800, 400, 200, 127, 100]
    assert made.cache_tokens == 100


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=30),
    st.sets(st.integers(0, 29)),
    st.sets(st.integers(0, 29)),
)
def test_what_fails_fails_alone(lengths, bad_to_read, bad_to_write):
    def trouble(kind, numbers):
        bad = {"admit": bad_to_read, "step": bad_to_write}.get(kind, set())
        if bad & set(numbers):
            raise ZeroDivisionError(kind)

    found = results(schedule(lengths, 200, trouble), len(lengths))
    for number, completion in enumerate(found):
        writes = lengths[number] % NEW > 0
        if number in bad_to_read or (number in bad_to_write and writes):
            assert completion.unscored == "engine_error"
            assert completion.note == f"ZeroDivisionError: {'admit' if number in bad_to_read else 'step'}"
        else:
            assert completion.text == str(number)


def test_a_failing_answer_is_its_own(monkeypatch):
    made = schedule([5, 6, 7], 100)
    made._finish = lambda number: Completion("fine") if number != 1 else 1 / 0
    assert [completion.unscored for completion in results(made, 3)] == [None, "engine_error", None]


def test_a_lost_device_ends_the_run(monkeypatch):
    class AcceleratorError(RuntimeError):
        pass

    monkeypatch.setattr(torch, "AcceleratorError", AcceleratorError, raising=False)

    def trouble(kind, numbers):
        if kind == "step":
            raise AcceleratorError("device-side assert")

    with pytest.raises(AcceleratorError):
        list(schedule([5, 6, 7], 100, trouble).completions())


def test_prompts_that_cannot_be_prepared_hold_nobody_up():
    made = schedule([5, 6, 7, 8], 100)
    prepare = made._prepare
    refused = Completion(None, unscored="image_refused")
    made._prepare = lambda item: refused if item.number in (1, 3) else prepare(item)
    assert [completion.unscored for completion in results(made, 4)] == [None, "image_refused", None, "image_refused"]


class Held:
    """Tiles that are counted while anyone has them."""

    out = 0
    most = 0

    def __init__(self):
        Held.out += 1
        Held.most = max(Held.most, Held.out)

    def __del__(self):
        Held.out -= 1


def test_tiles_are_let_go_whatever_happens(monkeypatch):
    """Read, failed, out of memory: nobody keeps what was cut, and little is cut ahead."""
    monkeypatch.setattr(Held, "out", 0)
    monkeypatch.setattr(Held, "most", 0)
    monkeypatch.setattr("judge.engines.scheduler.BYTES_AHEAD", 5)
    chance = random.Random(1)

    def trouble(kind, numbers):
        if kind == "cache":
            return
        if 7 in numbers:
            raise ZeroDivisionError
        if len(numbers) > 1 and chance.random() < 0.1:
            out_of_memory()

    lengths = [20 + n % 9 for n in range(60)]
    made = Scheduler(
        [WaitingPrompt(n, 1, lengths[n]) for n in range(60)],
        lambda item: PreparedPrompt(item.number, generate.ModelInput([0] * lengths[item.number], Held())),
        lambda tokens: Counting(tokens, trouble),
        lambda number: Completion(str(number)),
        Limits(120, NEW, tile_bytes=1),
    )
    found = results(made, 60)
    assert [n for n, completion in enumerate(found) if completion.unscored] == [7]
    gc.collect()
    assert Held.out == 0
    assert Held.most <= 5 + 1 + 5  # ahead, waiting for room, in the group that is read


def test_a_caller_that_stops_listening_ends_it():
    made = schedule([5] * 100, 30)
    stream = made.completions()
    next(stream)
    stream.close()
    assert list(stream) == []


# --- planning --------------------------------------------------------------------------------------------------------


class Described:
    tile_size = 448
    tokens_per_tile = 256


def prompt(*pieces):
    return Prompt(Request("r", "PBL", (), ()), (Literal("### Question\n"), *pieces))


def test_planned_from_headers_longest_first(tmp_path, monkeypatch):
    for name, size in {"photo.jpg": (500, 375), "square.png": (512, 512), "wide.png": (1280, 720)}.items():
        Image.new("RGB", size).save(tmp_path / name)
    photo, square, wide, none = (
        Picture(tmp_path / name, name) for name in ("photo.jpg", "square.png", "wide.png", "x")
    )
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("a picture was decoded"))
    prompts = [
        prompt(square),
        prompt(Text("x" * 3000)),
        prompt(photo, wide),
        prompt(photo, none),
        prompt(),
        prompt(photo),
    ]
    planned, refused = plan_prompts(prompts, Described, 12)
    # 4:3 13 tiles, 16:9 9, 512² 1; 13 letters of the heading are 4 tokens
    assert planned == [
        WaitingPrompt(2, 22, 4 + 22 * 256 + 4),
        WaitingPrompt(5, 13, 4 + 13 * 256 + 2),
        WaitingPrompt(1, 0, (13 + 3000) // 3),
        WaitingPrompt(0, 1, 4 + 256 + 2),
        WaitingPrompt(4, 0, 4),
    ]
    ((number, completion),) = refused
    assert (number, completion.unscored) == (3, "image_missing")
    assert "no such file" in completion.note


def test_nothing_to_plan():
    assert plan_prompts([], Described, 12) == ([], [])
