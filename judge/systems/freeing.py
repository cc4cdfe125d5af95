"""Freed means freed: whatever a model object holds is given back before another model is loaded.

A model under test is an object of a harness, and its weights lie anywhere below it: `lm._model`, a pipeline, an
inferencer's `model` and `vae_model`, or an engine with processes of its own (`lm.client` of vLLM or SGLang). This
walks the attributes, calls every engine's `shutdown()`, and takes the storage away from every tensor it finds, so that
memory is free whoever else still holds the module:

    freed = free_model(lm)
    freed.size      15_231_451_136
    freed.ended     ("client (vllm.entrypoints.llm.LLM)",)
    freed.kept      (Kept("inferencer.cache (Cache)", 2_147_483_648, "RuntimeError: set_data is not allowed"),)

What cannot be freed is named with its size (`Freed.lines`): a judge that then runs out of memory has an explanation on
the screen above it. The object is of no use afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

MOST_OBJECTS = 20_000
"""Looked through below one model; an index or a list of documents may hang there."""
DEEPEST = 8
"""Attributes of attributes."""
NOT_MODELS = {"accelerate", "asyncio", "builtins", "concurrent", "datasets", "huggingface_hub", "logging", "loguru"} | {
    "numpy", "openai", "pandas", "pathlib", "PIL", "pyarrow", "queue", "threading", "tokenizers", "tqdm",
}  # fmt: skip
"""Packages whose objects hold no weights of a model."""
ENGINES = {"vllm", "sglang", "lmdeploy", "tensorrt_llm"}
"""Packages whose objects hold memory in processes of their own."""
EMPTIED = {"_parameters", "_buffers", "_modules"}
"""Attributes of a module whose tensors are its own."""
ENDINGS = ("shutdown", "close")
"""Methods that end an engine. `close` is called on objects of `ENGINES` alone: elsewhere it closes files."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """What could not be freed. size: bytes, None where they lie in another process."""

    name: str
    size: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.name}, {'of unknown size' if self.size is None else amount(self.size)}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class Freed:
    """size: bytes of tensors that were given back. ended: the engines that were shut down."""

    size: int = 0
    ended: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()

    def lines(self) -> Iterator[str]:
        """What the user should see, nothing where there was nothing to free."""
        if self.size or self.ended:
            engines = f", and shut down {', '.join(self.ended)}" if self.ended else ""
            yield f"freed {amount(self.size)} of the model under test{engines}"
        for kept in self.kept:
            yield f"not freed: {kept}"
        if self.kept and (used := _devices_in_use()):
            yield f"still in use before the judge loads: {used}"


def amount(size: int) -> str:
    """Bytes for people: "14.2 GiB", "91.0 KiB"."""
    value, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def free_model(holder: object) -> Freed:
    """Shut down engines and give back every tensor below `holder`. Never raises; see the module."""
    if "torch" not in sys.modules and not _has_engine_packages():
        return Freed()
    walk = _Walk()
    walk.visit(holder, "", 0, ended=False)
    gc.collect()
    _empty_caches()
    return Freed(walk.size, tuple(walk.ended), tuple(walk.kept))


def _has_engine_packages() -> bool:
    return any(name in sys.modules for name in ENGINES)


class _Walk:
    """Once through everything below a model object."""

    def __init__(self) -> None:
        self.size = 0
        self.ended: list[str] = []
        self.kept: list[Kept] = []
        self._storages: set[object] = set()
        self._seen: dict[int, object] = {}  # the objects stay alive, so that no id is given twice

    def visit(self, thing: object, path: str, depth: int, *, ended: bool) -> None:
        """Free `thing` and what hangs below it. ended: whether an engine above it was shut down."""
        if id(thing) in self._seen or depth > DEEPEST or len(self._seen) >= MOST_OBJECTS or not _may_hold(thing):
            return
        self._seen[id(thing)] = thing
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(thing, torch.Tensor):
            self._empty([thing], _named(path, thing))
            return
        if torch is not None and isinstance(thing, torch.nn.Module):
            tensors = {id(each): each for each in (*thing.parameters(), *thing.buffers())}
            self._empty(list(tensors.values()), _named(path, thing))
            modules = list(thing.modules())
            self._seen.update((id(each), each) for each in modules)
            # what a module holds beside its tensors: caches, other models in a list
            held = [item for each in modules for item in vars(each).items() if item[0] not in EMPTIED]
        else:
            ended = ended or self._end(thing, path)
            held = []
            with contextlib.suppress(Exception):  # a mapping that is a closed file, an attribute that cannot be had
                held += _below(thing)
        for name, value in held:
            self.visit(
                value, f"{path}{name}" if name[0] == "[" else f"{path}.{name}".lstrip("."), depth + 1, ended=ended
            )

    def _end(self, thing: object, path: str) -> bool:
        """Whether `thing` is an engine and was shut down now."""
        of_an_engine = _package(thing) in ENGINES
        for name in ENDINGS if of_an_engine else ENDINGS[:1]:
            method = getattr(type(thing), name, None)
            if not callable(method) or not _takes_nothing(method):
                continue
            try:
                result = getattr(thing, name)()
                if inspect.isawaitable(result):
                    asyncio.run(_awaited(result))
            except (Exception, SystemExit) as error:
                self.kept.append(Kept(_named(path, thing), None, f"{name}() raised {type(error).__name__}: {error}"))
                return False
            self.ended.append(_named(path, thing))
            return True
        return False

    def _empty(self, tensors: list[Any], name: str) -> None:
        """Take the storage away from tensors; those that do not let it go are kept, and named together."""
        import torch

        kept, reason = 0, ""
        for tensor in tensors:
            try:
                storage = tensor.untyped_storage()
                place, size = (str(tensor.device), storage.data_ptr()), storage.nbytes()
            except Exception:  # a subclass without a storage of its own, or one on no device
                place, size = ("", id(tensor)), tensor.numel() * tensor.element_size()
            size = 0 if place in self._storages else size
            self._storages.add(place)
            try:
                with torch.inference_mode(tensor.is_inference()):
                    tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            except Exception as error:
                kept, reason = kept + size, f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
                continue
            self.size += size
        if kept:
            self.kept.append(Kept(name, kept, reason))


async def _awaited(result: Any) -> Any:
    return await result


def _below(thing: object) -> Iterator[tuple[str, object]]:
    if isinstance(thing, Mapping):
        yield from [(f"[{name!r}]", value) for name, value in thing.items()]
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from ((f"[{number}]", value) for number, value in enumerate(thing))
    else:
        yield from list(getattr(thing, "__dict__", {}).items())
        for each in type(thing).__mro__:
            for name in _slots(each):
                value = inspect.getattr_static(thing, name, None)
                if isinstance(value, types.MemberDescriptorType) and hasattr(thing, name):
                    yield name, getattr(thing, name)


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), type, range)
CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.FrameType)


def _may_hold(thing: object) -> bool:
    """Whether weights of a model may hang below it. Bound methods do not count: their object has another way to it."""
    if isinstance(thing, (*PLAIN, *CODE, types.MethodType, types.GeneratorType)):
        return False
    return isinstance(thing, Mapping | list | tuple | set | frozenset) or _package(thing) not in NOT_MODELS


def _package(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


def _named(path: str, thing: object) -> str:
    kind = type(thing)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    return f"{path} ({name})" if path else name


def _takes_nothing(method: Any) -> bool:
    """Whether a method can be called with nothing but its object."""
    try:
        given = list(inspect.signature(method).parameters.values())[1:]
    except (TypeError, ValueError):
        return True
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(each.default is not each.empty or each.kind in kinds for each in given)


def _empty_caches() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _devices_in_use() -> str:
    """How full each GPU is that this process has touched, processes of others included."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return ""
    used = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        mine = torch.cuda.memory_allocated(number)
        used.append(f"{amount(total - free)} of {amount(total)} on cuda:{number} ({amount(mine)} by this process)")
    return "; ".join(used)
