"""What a model object holds is freed, wherever it hangs and however it is held; what stays is named with its size."""

import gc
import sys
import weakref
from collections import UserDict
from types import ModuleType, SimpleNamespace

import pytest

from judge.systems.freeing import Freed, Kept, amount, free_model

torch = pytest.importorskip("torch")

KB = 1024
"""A layer of 256 float32 values."""


def layer() -> "torch.nn.Module":
    return torch.nn.Linear(16, 16, bias=False)


def of_package(package: str, name: str = "LLM", **members: object) -> type:
    """A stand-in for a class of a library that is not installed."""
    kind = type(name, (), members)
    kind.__module__ = f"{package}.entrypoints"
    return kind


class Slotted:
    __slots__ = ("model",)


def hidden_in(shape: str, model: object) -> object:
    if shape == "slots":
        slotted = Slotted()
        slotted.model = model
        return SimpleNamespace(held=slotted)
    return {
        "attribute": lambda: SimpleNamespace(_model=model),
        "bagel inferencer": lambda: SimpleNamespace(inferencer=SimpleNamespace(model=model)),
        "dict": lambda: SimpleNamespace(parts={"unet": model}),
        "list": lambda: SimpleNamespace(experts=[[model]]),
        "itself": lambda: model,
    }[shape]()


@pytest.mark.parametrize("shape", ["attribute", "bagel inferencer", "dict", "list", "itself", "slots"])
def test_a_module_is_emptied_even_where_somebody_else_holds_it(shape):
    model = layer()
    freed = free_model(hidden_in(shape, model))
    assert freed == Freed(KB)
    assert model.weight.numel() == 0
    assert list(freed.lines()) == ["freed 1.0 KiB of the model under test"]


def test_tied_weights_buffers_and_loose_tensors_are_counted_once():
    model = torch.nn.Sequential(layer(), layer())
    model[1].weight = model[0].weight
    model.register_buffer("mask", torch.zeros(256))
    with torch.inference_mode():
        cache = torch.zeros(512)
    view = cache[:10]
    model[0].beside = [cache]
    # 1 KiB of weights, 1 KiB of buffer, 2 KiB of cache whose view is the same storage
    assert free_model(SimpleNamespace(a=model, b=model, c=view, d=cache)).size == 4 * KB


def test_engines_are_shut_down_once_and_outermost_first():
    said = []
    core = of_package("vllm", "Core", shutdown=lambda self: said.append("core"))()
    engine = of_package("vllm", "LLMEngine")()
    engine.engine_core = core
    llm = of_package("vllm")()
    llm.llm_engine = engine
    sglang = of_package("sglang", "Engine", shutdown=lambda self, force=False: said.append("sglang"))()
    sglang.tokenizer_manager = of_package("sglang", "Manager", shutdown=lambda self: said.append("not again"))()
    pipe = of_package("lmdeploy", "Pipeline", close=lambda self: said.append("pipe"))()
    freed = free_model(SimpleNamespace(client=llm, other=sglang, pipe=pipe, same=sglang))
    assert said == ["core", "sglang", "pipe"]
    assert freed.ended == (
        "client.llm_engine.engine_core (vllm.entrypoints.Core)",
        "other (sglang.entrypoints.Engine)",
        "pipe (lmdeploy.entrypoints.Pipeline)",
    )
    assert freed.kept == ()


def test_weights_of_an_engine_in_this_process_go_too():
    llm = of_package("vllm", shutdown=lambda self: None)()
    llm.runner = SimpleNamespace(model=layer())
    assert free_model(SimpleNamespace(client=llm)) == Freed(KB, ("client (vllm.entrypoints.LLM)",))


def test_an_engine_whose_end_is_a_coroutine():
    async def shutdown(self):
        self.model = None

    engine = of_package("vllm", "AsyncLLM", shutdown=shutdown)()
    engine.model = "there"
    free_model(SimpleNamespace(engine=engine))
    assert engine.model is None


def test_what_cannot_be_freed_is_named_with_its_size():
    def stuck(self):
        raise RuntimeError("worker 1 does not answer")

    class Stuck(torch.Tensor):
        @property
        def data(self):
            raise AssertionError

        @data.setter
        def data(self, value):
            raise RuntimeError("set_data is not allowed")

    held = SimpleNamespace(
        client=of_package("sglang", "Engine", shutdown=stuck)(), cache=torch.zeros(512).as_subclass(Stuck)
    )
    freed = free_model(held)
    assert freed.kept == (
        Kept("client (sglang.entrypoints.Engine)", None, "shutdown() raised RuntimeError: worker 1 does not answer"),
        Kept(f"cache ({__name__}.{Stuck.__qualname__})", 2 * KB, "RuntimeError: set_data is not allowed"),
    )
    lines = list(freed.lines())
    assert lines[0].startswith("not freed: client (sglang.entrypoints.Engine), of unknown size: shutdown() raised")
    assert lines[1].startswith("not freed: cache")
    assert "2.0 KiB" in lines[1]


def test_what_is_no_model_is_left_alone():
    said = []
    closing = type("File", (), {"close": lambda self: said.append("closed")})()
    needing = type("Server", (), {"shutdown": lambda self, how: said.append("shut")})()
    accelerator = of_package("accelerate", "Accelerator", shutdown=lambda self: said.append("ended"))()
    accelerator.model = layer()
    lm = SimpleNamespace(file=closing, socket=needing, accelerator=accelerator, rank=0, module=sys)
    assert free_model(lm) == Freed()
    assert said == []
    assert accelerator.model.weight.numel() == 256


class Closed(UserDict):
    def items(self):
        raise ValueError("closed")


def test_what_cannot_be_walked_costs_nothing_else():
    held = SimpleNamespace(index=Closed(), model=layer())
    assert free_model(held) == Freed(KB)


def test_a_ring_and_a_deep_nest_come_to_an_end():
    ring = SimpleNamespace()
    ring.self = ring
    ring.parts = [ring, {"ring": ring}]
    deep = SimpleNamespace(model=layer())
    for _ in range(1000):
        deep = SimpleNamespace(below=deep)
    ring.deep = deep
    assert free_model(ring) == Freed()


def test_nothing_is_held_afterwards():
    holder = SimpleNamespace(model=layer())
    gone = weakref.ref(holder.model)
    free_model(holder)
    del holder
    gc.collect()
    assert gone() is None


def test_without_torch_there_is_nothing_to_free(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "torch")
    assert free_model(SimpleNamespace(model=ModuleType("m"))) == Freed()


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (91 * 2**20, "91.0 MiB"), (3 << 40, "3072.0 GiB")],
)
def test_amounts_are_for_people(size, words):
    assert amount(size) == words
