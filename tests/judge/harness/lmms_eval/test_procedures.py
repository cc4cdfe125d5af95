"""Two calls through a model's own `generate_until`: how many, of what, and where what was said first goes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_families
from PIL import Image
from surroundings import ABSENT

from judge.attention.refinement import refine_picture
from judge.core.benchmark import Answer
from judge.core.condition import Condition
from judge.core.reply import read_reply, write_reply
from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.harness.lmms_eval.conditions import condition_for
from judge.harness.lmms_eval.payloads import can_send, sending
from judge.harness.lmms_eval.procedures import Conduct, conduct
from judge.harness.lmms_eval.run import Refusal, Run
from judge.harness.lmms_eval.visual_refinement import refiner_for
from judge.io.samples import Missing
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.conditions import CONDITIONS
from mmvu_tasks.demo import demo_dir
from mmvu_tasks.location import open_image
from mmvu_tasks.presentation import VIEW

pytestmark = pytest.mark.skipif("lmms_eval" in ABSENT, reason="lmms-eval is not installed")

DATASET = BENCHMARK.load(demo_dir(), images=True)
DOCS = [{"mmjudge_task": "mmvu_cgr", "index": record.index, "id": record.id} for record in DATASET.records]
TASK = "mmvu_cgr"
GENERATION = {"until": ["<mmjudge:mmvu_cgr>"], "max_new_tokens": 8, "do_sample": False, "temperature": 0}


class Model:
    """Answers like a class of lmms-eval: asks for messages, or text and visuals, by document. calls: a list a call of
    `generate_until`, of (text, number of pictures, generation arguments)."""

    def __init__(self, simple: bool, says: Any = None) -> None:
        self.is_simple = simple
        self.task_dict = {TASK: {"test": DOCS}, "other": {"test": [{"q": 1}]}}
        self.calls: list[list[tuple[str, int, Any]]] = []
        self._says = says or (lambda text, pictures: f"said to {len(text)}")

    def generate_until(self, requests: Any) -> list[Any]:
        from lmms_eval.api.instance import GenerationResult, TokenCounts

        self.calls.append([])
        given = []
        for request in requests:
            doc_id, task, split = request.args[-3:]
            doc = self.task_dict[task][split][doc_id]
            if self.is_simple:
                text, generation, visual, *_ = request.args
                pictures = visual(doc)
            else:
                _, messages, generation, *_ = request.args
                content = messages(doc)[0]["content"]
                text = "".join(part["text"] for part in content if part["type"] == "text")
                pictures = [part["url"] for part in content if part["type"] == "image"]
            generation["image_sizes"] = []  # llava_hf writes into the arguments it was given
            self.calls[-1].append((text, len(pictures), dict(generation)))
            given.append(GenerationResult(self._says(text, pictures), TokenCounts(output_tokens=3)))
        return given


def request(model: Model, index: int, task: str = TASK) -> Any:
    from lmms_eval.api.instance import Instance

    rest = (index, task, "test")
    generation = dict(GENERATION)
    if model.is_simple:
        arguments: tuple[Any, ...] = ("as it was", generation, lambda doc: [], *rest)
    else:
        arguments = ("as it was", lambda doc: [{"role": "user", "content": []}], generation, *rest)
    metadata = {"task": task, "doc_id": index, "repeats": 1}
    return Instance(request_type="generate_until", arguments=arguments, idx=0, metadata=metadata)


def how(name: str = "cgr") -> Conduct:
    condition = CONDITIONS[name]

    def question(doc: Any) -> Any:
        (found,) = BENCHMARK.questions(DATASET, [doc["index"]], condition)
        return found

    return Conduct(condition, Run(), question)


@pytest.mark.parametrize("simple", [False, True])
def test_cgr_makes_a_call_a_picture_and_a_call_a_question(simple: bool) -> None:
    model = Model(simple)
    conduct(model, TASK, how())
    given = model.generate_until([request(model, index) for index in range(len(DOCS))])
    pictures = {record.image for record in DATASET.records}
    assert (len(DOCS), len(pictures)) == (48, 24)
    # P + Q, each kind in one call of the class, so that it makes its own batches
    assert [len(call) for call in model.calls] == [24, 48]
    first, second = model.calls
    assert all(text.startswith("Extract information from the image") and shown == 1 for text, shown, _ in first)
    expected = {**GENERATION, "until": ["<mmjudge:mmvu_cgr:first>"], "max_new_tokens": 512, "temperature": 0.0}
    assert all({**generation, "image_sizes": []} == {**expected, "image_sizes": []} for *_, generation in first)
    for (text, shown, generation), record in zip(second, DATASET.records, strict=True):
        said = f"said to {len(first[0][0])}"
        assert text.startswith(f"According to the information provided: {said}Answer the following question:\n")
        assert record.question in text
        assert (shown, generation["until"], generation["max_new_tokens"]) == (1, ["<mmjudge:mmvu_cgr>"], 8)
    for response, (text, *_) in zip(given, second, strict=True):
        assert read_reply(response.text) == (f"said to {len(text)}", {"info": said})
        assert response.token_counts.output_tokens == 3


def test_requests_of_other_tasks_go_as_they_came_and_the_order_is_kept() -> None:
    model = Model(simple=True)
    model.task_dict["other"]["test"][0] = DOCS[0]
    conduct(model, TASK, how())
    conduct(model, TASK, how())  # a task that is loaded twice is asked once
    given = model.generate_until([request(model, 1), request(model, 0, "other"), request(model, 0)])
    assert [len(call) for call in model.calls] == [1, 2, 1]
    assert model.calls[2][0][0] == "as it was"
    assert [bool(read_reply(response.text)[1]) for response in given] == [True, False, True]


def test_repeats_share_the_first_call() -> None:
    model = Model(simple=False)
    conduct(model, TASK, how())
    one = request(model, 0)
    assert len(model.generate_until([one, one, one])) == 3
    assert [len(call) for call in model.calls] == [1, 3]


def test_a_first_call_that_fails_is_the_answer_and_thoughts_are_left_out() -> None:
    failed = "[GENERATION_FAILED] out of memory"
    model = Model(simple=False, says=lambda text, pictures: failed if text.startswith("Extract") else "B")
    conduct(model, TASK, how())
    assert model.generate_until([request(model, 0)]) == [failed]
    assert [len(call) for call in model.calls] == [1]
    model = Model(False, says=lambda text, pictures: "<think>A dog?</think>A cup." if "Extract" in text else "B")
    conduct(model, TASK, how())
    (given,) = model.generate_until([request(model, 0)])
    assert read_reply(given.text) == ("B", {"info": "A cup."})
    assert model.calls[1][0][0].startswith("According to the information provided: A cup.Answer")


def test_a_model_out_of_reach_is_refused() -> None:
    with pytest.raises(Refusal, match="mmvu_cgr: the model is not in reach"):
        conduct(None, TASK, how())


def test_var_asks_about_the_picture_that_the_model_itself_refines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen: list[Any] = []
    model = Model(simple=False, says=lambda text, pictures: seen.append((text, pictures)) or "B")
    model.model, model.processor = tiny_families.build_family("llava")  # type: ignore[attr-defined]
    refiner = refiner_for(CONDITIONS["cgr_var"], model)
    conduct(model, TASK, dataclasses.replace(how("cgr_var"), refiner=refiner))
    (given,) = model.generate_until([request(model, 0)])
    (_, first), (text, (shown,)) = seen
    published = open_image(DATASET.image_root, DATASET.records[0])  # type: ignore[arg-type]
    assert first[0].tobytes() == published.tobytes()
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
    expected = refine_picture(model.model, model.processor, published, messages).picture  # type: ignore[attr-defined]
    assert shown.tobytes() == expected.tobytes() != published.tobytes()
    answer, kept = read_reply(given.text)
    assert (answer, kept["info"]) == ("B", "B")
    with Image.open(tmp_path / "mmjudge" / "pictures" / kept["refined"]) as picture:
        assert picture.tobytes() == expected.tobytes()
    # a report shows it with the answer
    (sample,) = VIEW.samples([Answer(DATASET.records[0].id, 0, given.text, tmp_path)], DATASET)
    assert sample.answer == (Text("B"), Picture(tmp_path / "mmjudge" / "pictures" / kept["refined"], kept["refined"]))
    (other,) = VIEW.samples([Answer(DATASET.records[0].id, 0, write_reply("B", refined="../x.png"), tmp_path)], DATASET)
    assert other.answer == (Text("B"), Missing("../x.png"))


@pytest.mark.parametrize(
    ("lm", "message"),
    [
        (Model(False), "var looks into the model, and Model keeps none of transformers"),
        (
            SimpleNamespace(
                model=SimpleNamespace(config=SimpleNamespace(model_type="mamba")),
                processor=type("P", (), {"apply_chat_template": None, "__call__": print})(),
            ),
            "families that are known|mamba",
        ),
    ],
)
def test_var_refuses_a_model_it_cannot_look_into(lm: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        refiner_for(CONDITIONS["var"], lm)
    assert refiner_for(CONDITIONS["cgr"], lm) is None


# Which form of a condition a class is asked under


@pytest.mark.parametrize(
    ("name", "run", "message"),
    [
        ("blind", Run(model=Model(False), needs_picture=True), "Model cannot be asked without a picture"),
        ("blank", Run(model=SimpleNamespace(asks_as_published=True)), "is asked the questions as they are published"),
    ],
)
def test_a_class_that_cannot_be_asked_so_is_refused(name: str, run: Run, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        condition_for(CONDITIONS[name], run, f"mmvu_{name}")
    if name == "blind":
        assert caught.value.fix is not None
        assert caught.value.fix.startswith("--tasks mmvu_blank shows it a blank one")


def test_a_contract_is_held_by_an_endpoint_or_asked_for_by_the_prompt_alone(capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = SimpleNamespace(client=client([])[0])
    assert condition_for(CONDITIONS["tool"], Run(model=endpoint), "mmvu_tool") is CONDITIONS["tool"].by_endpoint
    assert capsys.readouterr().err == ""
    assert condition_for(CONDITIONS["tool"], Run(model=Model(False)), "mmvu_tool") is CONDITIONS["tool"]
    said = "mmvu_tool: Model cannot be held to the contract by its endpoint: the prompt alone asks for it"
    assert said in capsys.readouterr().err
    assert condition_for(CONDITIONS["tool"], Run(model=endpoint, asks=False), "mmvu_tool") is CONDITIONS["tool"]


# Payloads


def client(calls: list[Any], *, later: bool = False) -> Iterator[Any]:
    """The part of an `openai` client that counts; it calls the function where it may. log: arguments of every call."""
    log: list[dict[str, Any]] = []

    def create(**arguments: Any) -> Any:
        log.append(arguments)
        called = [SimpleNamespace(function=SimpleNamespace(name=name, arguments=given)) for name, given in calls]
        message = SimpleNamespace(content=None if called else "B", tool_calls=called or None)
        reply = SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="tool_calls")])

        async def awaited() -> Any:
            return reply

        return awaited() if later else reply

    completions = type("Completions", (), {"create": staticmethod(create)})()
    return SimpleNamespace(chat=SimpleNamespace(completions=completions)), log  # type: ignore[return-value]


@pytest.mark.parametrize("later", [False, True])
def test_a_payload_goes_with_every_call_and_calls_come_back_as_text(later: bool) -> None:
    found, log = client([("submit_answer", '{"letter": "B"}')], later=later)
    lm = SimpleNamespace(client=found)
    assert can_send(lm)
    payload = CONDITIONS["tool"].by_endpoint.payload  # type: ignore[union-attr]
    with sending(lm, payload):
        reply = lm.client.chat.completions.create(model="m")
        reply = asyncio.run(reply) if later else reply
    assert log == [{"model": "m", **payload}]
    (choice,) = reply.choices
    assert choice.finish_reason == "stop"  # async_openai would run the function itself
    called = [{"name": "submit_answer", "arguments": '{"letter": "B"}'}]
    assert json.loads(choice.message.content) == {"content": None, "tool_calls": called}
    for sent in ({}, payload):
        with sending(lm, sent):
            pass
        reply = lm.client.chat.completions.create(model="m")
        if later:
            reply.close()
    assert log[1:] == [{"model": "m"}, {"model": "m"}]


class RefusedError(Exception):
    """An error as the `openai` client has it."""

    def __init__(self, status_code: int | None, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("json", RefusedError(400, "unknown field\n'response_format'"), "to a call with response_format: "),
        ("tool", RefusedError(400, '"auto" tool choice requires --enable-auto-tool-choice'), "to a call with tools: "),
        ("tool", RefusedError(400, "the prompt is longer than the window"), None),
        ("tool", RefusedError(429, "too many calls with tools"), None),
        ("tool", RefusedError(None, "Connection error. tools"), None),
    ],
)
def test_a_server_that_does_not_take_the_payload_is_said_once(
    name: str, error: Exception, said: str | None, later: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: Any) -> Any:
        async def awaited() -> Any:
            raise error

        if later:
            return awaited()
        raise error

    completions = type("Completions", (), {"create": staticmethod(fail)})()
    lm = SimpleNamespace(client=SimpleNamespace(chat=SimpleNamespace(completions=completions)))
    with sending(lm, CONDITIONS[name].by_endpoint.payload):  # type: ignore[union-attr]
        for _ in range(3):
            with pytest.raises(RefusedError):
                asyncio.run(completions.create()) if later else completions.create()
    lines = capsys.readouterr().err.splitlines()
    if said is None:
        assert lines == []
    else:
        first, second = lines
        assert first == f"mmjudge: the model's server answers 400 {said}{' '.join(str(error).split())}"
        assert second.startswith("→ start it with ")


def test_words_come_back_as_they_are_and_other_classes_cannot_send() -> None:
    found, _ = client([])
    lm = SimpleNamespace(client=found)
    with sending(lm, {"tools": []}):
        assert lm.client.chat.completions.create().choices[0].message.content == "B"
    assert not can_send(Model(False))
    assert not can_send(SimpleNamespace(client=SimpleNamespace()))


def test_a_task_with_a_payload_is_asked_with_it_and_others_are_not() -> None:
    found, log = client([])
    model = Model(False, says=lambda text, pictures: model.client.chat.completions.create(n=1) and "B")
    model.client = found  # type: ignore[attr-defined]
    held = CONDITIONS["json"].by_endpoint
    assert isinstance(held, Condition)
    conduct(model, TASK, dataclasses.replace(how("json"), condition=held))
    model.task_dict["other"]["test"][0] = DOCS[0]
    model.generate_until([request(model, 0), request(model, 0, "other")])
    assert log == [{"n": 1, **held.payload}, {"n": 1}]
