"""Rows of the attention of chosen layers, read while a model on transformers runs.

    with AttentionProbe(model, layers=[0, -1], rows=[70, 71, 72]) as probe:
        model(**inputs, use_cache=False)
    probe.rows(-1)          # [3, tokens], mean over heads: how three tokens spread their attention over the prompt

Every attention layer of transformers hands its queries and keys, with rotary positions, norms and scaling applied, to
one function. For the chosen layers, and for the time of their call, that function is one of ours: it computes the few
rows from the same queries and keys, then calls the function that would have been called, with the same arguments. So no
other layer changes its implementation, no whole matrix of attention is kept, and the logits are the same to the bit.

A mask is read as the implementations "eager" and "sdpa" (4-dimensional, or none: causal) and the flash ones
(2-dimensional, or none, with a sliding window) are given it.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from judge.errors import UserError

NAME = "mmjudge_probe"
"""Under which our function is registered with transformers."""

REFUSED = {"s_aux": "attention sinks", "position_bias": "a bias by position"}
"""Options of an attention function that change its scores and are not reckoned with."""


@dataclasses.dataclass(frozen=True)
class AttentionCall:
    """What an attention layer hands to its attention function, for one prompt.

    query [heads, queries, size]; key [key heads, keys, size], of which each serves heads / key heads queries' heads.
    mask: None (causal), [1 or heads, queries, keys], true or 0 where a key is seen, or [keys], true where it is.
    window: how many keys back a query sees, itself included; softcap: the bound of the scores; None for none.
    """

    query: Any
    key: Any
    mask: Any
    scaling: float
    causal: bool = True
    window: int | None = None
    softcap: float | None = None

    @property
    def offset(self) -> int:
        """Position of the first query: earlier tokens are in the cache."""
        return int(self.key.shape[1] - self.query.shape[1])


def attention_rows(call: AttentionCall, rows: Sequence[int]) -> Any:
    """The attention of the tokens at `rows`, of every head: float32 [heads, rows, keys]; each row sums to 1."""
    import torch

    return torch.cat(list(_by_key_head(call, rows)))


def _by_key_head(call: AttentionCall, rows: Sequence[int]) -> Iterator[Any]:
    """The same in parts [heads of one key head, rows, keys]: less is held at once."""
    import torch

    positions = torch.as_tensor(list(rows), device=call.query.device)
    at = positions - call.offset
    query = call.query[:, at].float()
    share = query.shape[0] // call.key.shape[0]
    unseen, added = _mask(call, positions, at)
    for number, key in enumerate(call.key):
        heads = slice(number * share, (number + 1) * share)
        scores = query[heads] @ key.float().T * call.scaling
        if call.softcap is not None:
            scores = torch.tanh(scores / call.softcap) * call.softcap
        if added is not None:
            scores = scores + (added if len(added) == 1 else added[heads])
        if unseen is not None:
            scores = scores.masked_fill(unseen if len(unseen) == 1 else unseen[heads], -torch.inf)
        yield torch.softmax(scores, dim=-1)


def _mask(call: AttentionCall, positions: Any, at: Any) -> tuple[Any, Any]:
    """(true where a key is not seen, what is added to the scores), each [1 or heads, rows, keys] or None."""
    import torch

    mask = call.mask
    if mask is not None and mask.ndim == 3:
        chosen = mask[:, at]
        return (~chosen, None) if chosen.dtype == torch.bool else (None, chosen.float())
    keys = torch.arange(call.key.shape[1], device=call.query.device)
    unseen = torch.zeros(len(positions), len(keys), dtype=torch.bool, device=call.query.device)
    if call.causal:
        unseen |= keys[None] > positions[:, None]
    if call.window is not None:
        unseen |= keys[None] <= positions[:, None] - call.window
    if mask is not None:
        unseen |= ~mask.bool()[None]
    return unseen[None], None


class AttentionProbe:
    """A context manager; within it the model runs once over one prompt, without a cache of an earlier run.

    layers: of the text model, 0 the first and -1 the last. rows: positions of the tokens whose attention is wanted.
    Raises UserError where a layer has no attention that can be read.
    """

    def __init__(self, model: Any, layers: Sequence[int], rows: Sequence[int]) -> None:
        self._asked = list(rows)
        self._modules = {layer: _attention_of(model, layer) for layer in layers}
        self._found: dict[int, np.ndarray] = {}
        self._hooks: list[Any] = []

    def rows(self, layer: int) -> np.ndarray:
        """Mean over heads [rows, tokens], float32, of a layer as it was named. Raises UserError."""
        module = self._modules[layer]
        if id(module) not in self._found:
            raise _unreadable(module, "it does not call transformers' attention functions, or saw no such prompt")
        return self._found[id(module)]

    def __enter__(self) -> AttentionProbe:
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
        for module in {id(module): module for module in self._modules.values()}.values():
            self._hooks += [
                module.register_forward_pre_hook(self._tap),
                module.register_forward_hook(_release, always_call=True),
            ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        for module in self._modules.values():
            _release(module)

    def _tap(self, module: Any, _: Any) -> None:
        module.config = _Tapped(module.config, self)

    def keep(self, module: Any, call: AttentionCall) -> None:
        """Compute and keep the wanted rows of a call, the first one that has them all."""
        if id(module) in self._found or not call.offset <= min(self._asked) <= max(self._asked) < call.key.shape[1]:
            return
        parts = _by_key_head(call, self._asked)
        total = sum(part.sum(dim=0) for part in parts)
        self._found[id(module)] = (total / len(call.query)).cpu().numpy()


class _Tapped:
    """A layer's config but for the name of its attention function."""

    _attn_implementation = NAME

    def __init__(self, config: Any, probe: AttentionProbe) -> None:
        self.tapped, self.probe = config, probe

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tapped, name)


def _release(module: Any, *_: Any) -> None:
    if isinstance(module.config, _Tapped):
        module.config = module.config.tapped


def _attention(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any) -> Any:
    """What a tapped layer calls: keep the rows, then call the layer's own function as if nothing had been there."""
    import torch
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    probe = module.config.probe
    _release(module)
    name = module.config._attn_implementation
    function = ALL_ATTENTION_FUNCTIONS.get(
        name, getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    )
    if function is None:
        raise _unreadable(module, f"its implementation {name!r} is not known")
    with torch.no_grad():
        probe.keep(module, _call(module, query, key, attention_mask, options))
    return function(module, query, key, value, attention_mask, **options)


def _call(module: Any, query: Any, key: Any, mask: Any, options: Mapping[str, Any]) -> AttentionCall:
    import torch

    for option, what in REFUSED.items():
        if options.get(option) is not None:
            raise _unreadable(module, f"it has {what}")
    if len(query) != 1:
        raise _unreadable(module, f"{len(query)} prompts at once; give one")
    if mask is not None and not (isinstance(mask, torch.Tensor) and mask.ndim in (2, 4)):
        raise _unreadable(module, f"its implementation has a mask of another kind ({type(mask).__name__})")
    scaling = options.get("scaling")
    causal = options.get("is_causal")
    return AttentionCall(
        query[0],
        key[0],
        None if mask is None else mask[0],
        query.shape[-1] ** -0.5 if scaling is None else float(scaling),
        bool(getattr(module, "is_causal", True) if causal is None else causal),
        options.get("sliding_window"),
        options.get("softcap"),
    )


def _attention_of(model: Any, layer: int) -> Any:
    """The attention module of a layer of the text model. Raises UserError."""
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    layers = getattr(decoder, "layers", None)
    if layers is None:
        raise UserError(
            f"{type(model).__name__} has no text model whose layers can be found",
            fix="give a model on transformers, as `AutoModelForImageTextToText` loads it",
        )
    if not -len(layers) <= layer < len(layers):
        raise UserError(f"layer {layer} of a text model of {len(layers)} layers")
    attention = getattr(layers[layer], "self_attn", None)
    if attention is None or not hasattr(attention, "config"):
        raise _unreadable(layers[layer], "it has no softmax attention of transformers")
    return attention


def _unreadable(module: Any, why: str) -> UserError:
    return UserError(
        f"the attention of {type(module).__name__} cannot be read: {why}",
        fix='load the model with attn_implementation="sdpa" (or "eager") and one of transformers\' own classes',
    )
