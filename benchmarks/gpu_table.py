"""The Markdown table of what `gpu.py` has found, for docs/performance.md: every figure has a row, a missing one too.

| engine, share of the serial roofline measured here | 61.2% | at least 50% (stretch: 70%) | met, stretch not met |
| one fine-tuning step (LoRA), s | failed: OutOfMemoryError: … | | |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from judge.model.attention import TOLERANCE

Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A row. value: the number in what its part has found, KeyError where that is not there; form: how it is printed,
    given all its part has found as well. most, least: the target's bounds; stretch: a further one below."""

    part: str
    words: str
    value: Callable[[Values], float]
    form: str
    least: float | None = None
    most: float | None = None
    stretch: float | None = None
    bound: str = "{:g}"

    def target(self) -> str:
        """In words, "" where there is none."""
        if self.most is not None:
            return f"at most {self.bound.format(self.most)}"
        if self.least is None:
            return ""
        further = "" if self.stretch is None else f" (stretch: {self.bound.format(self.stretch)})"
        return f"at least {self.bound.format(self.least)}{further}"

    def outcome(self, value: float) -> str:
        """Whether the value meets the target."""
        if self.most is not None:
            return "met" if value <= self.most else "not met"
        if self.least is None:
            return ""
        further = "" if self.stretch is None else f", stretch {'met' if value >= self.stretch else 'not met'}"
        return f"met{further}" if value >= self.least else "not met"


def _speed(name: str, what: str = "samples_per_s") -> Callable[[Values], float]:
    return lambda found: float(found[name][what])


def _over(*names: str) -> Callable[[Values], float]:
    """The engine's rate over the best of the loops `names`, all of which must have been measured."""
    return lambda found: float(found["engine"]["samples_per_s"] / max(found[name]["samples_per_s"] for name in names))


def _share(group: str, what: str) -> Callable[[Values], float]:
    return lambda found: float(found[group][what]["value"])


_CHANGED = "float32 → bfloat16"

FIGURES = (
    Figure("verify", "recorded cases that agree, float32", lambda f: f["passed"] / f["cases"],
           "{passed} of {cases}, logits off by at most {logits:.1e}", least=1, bound="{:.0%}"),
    *(
        Figure("kernel", f"decode kernel against the plain path, largest difference, {dtype}",
               lambda f, dtype=dtype: f[dtype]["largest_difference"], "{value:.1e}", most=TOLERANCE[dtype])
        for dtype in TOLERANCE
    ),
    Figure("kernel", "decode attention, plain / kernel, bfloat16", lambda f: f["bfloat16"]["ratio"],
           "{value:.1f} times ({bfloat16[sequences]} sequences, the longest {bfloat16[longest]:,} tokens)"),
    Figure("real_shape", "load a judge (page cache)", lambda f: f["load_s"],
           "{value:.1f} s for {stored_gb:.2f} GB, {parameters:,} parameters"),
    Figure("real_shape", "peak memory, loading", lambda f: f["load_peak_gb"], "{value:.1f} GB"),
    Figure("real_shape", "peak memory, answering a mixed batch", lambda f: f["batch_peak_gb"],
           "{value:.1f} GB", most=80, bound="{:g} GB"),
    Figure("real_shape", "**an answer** of that batch, bfloat16", lambda f: f["answer_s"],
           "{value:.2f} s ({new_tokens} tokens each, reading included)"),
    Figure("bfloat16", "scores that bfloat16 changes, the demo's tiny judge",
           lambda f: f["demo"][_CHANGED]["scores"]["value"],
           "{value:.1f}% of {demo[float32 → bfloat16][n]}"),
    Figure("bfloat16", "likeliest tokens equal in both, random weights", _share("random", "tokens"),
           "{value:.1f}% of {random[tokens][n]}"),
    Figure("bfloat16", "likeliest scores after the prompt equal in both, random weights", _share("random", "scores"),
           "{value:.1f}% of {random[scores][n]}"),
    Figure("finetune", "one fine-tuning step (LoRA)", lambda f: f["step_s"],
           "{value:.2f} s for {tokens:,} tokens, {tiles} tiles"),
    Figure("finetune", "peak memory of that step", lambda f: f["peak_gb"], "{value:.1f} GB", most=80, bound="{:g} GB"),
    Figure("speed", "reference loop, one at a time", _speed("reference"), "{value:.3f} samples/s"),
    Figure("speed", "transformers, static cache, one at a time", _speed("static"), "{value:.3f} samples/s"),
    Figure("speed", "transformers, up to 8 at a time, sorted", _speed("batched"), "{value:.3f} samples/s"),
    Figure("speed", "**the engine**", _speed("engine"), "{value:.3f} samples/s"),
    Figure("speed", "engine, share of the serial roofline measured here", _speed("engine", "of_serial_roofline"),
           "{value:.1%}", least=0.5, stretch=0.7, bound="{:.0%}"),
    Figure("speed", "engine / reference loop", _over("reference"), "{value:.2f} times", least=8),
    Figure("speed", "engine / best plain transformers", _over("static", "batched"), "{value:.2f} times", least=2),
    Figure("speed", "engine, decode, share of a copy's bandwidth", _speed("engine", "of_copy_bandwidth"),
           "{value:.1%}"),
    Figure("speed", "engine, the host's part of a step",
           lambda f: f["engine"]["host_ms_a_step"] / f["engine"]["step_ms"],
           "{engine[host_ms_a_step]:.2f} of {engine[step_ms]:.2f} ms"),
    Figure("speed", "engine, peak memory", _speed("engine", "peak_gb"), "{value:.1f} GB"),
)  # fmt: skip

NOTE = """Random weights score nothing, and their logits lie closer together than a trained judge's: these shares say
that both number types compute the same up to rounding. How many scores of the real judge change says
`python benchmarks/bfloat16.py --judge MMIE/MMIE-Score --device cuda --n 600 --batch 16`."""


def make_table(found: Values) -> str:
    """The table of a run, finished or not, and what its bfloat16 figures can show."""
    machine = found["parts"].get("environment", {}).get("found", {})
    versions = ", ".join(f"{name} {machine[name]}" for name in ("torch", "transformers", "triton") if name in machine)
    tiny = found["shape"] == "tiny"
    device = "TINY: says that it runs, and nothing else" if tiny else machine.get("device", found["device"])
    lines = [f"| {device}{f'; {versions}' if versions else ''} | measured | target | outcome |", "|---|---:|---|---|"]
    for figure in FIGURES:
        part = found["parts"].get(figure.part)
        try:
            value = float(figure.value(part["found"] if part else {}))
            shown, outcome = figure.form.format(value=value, **(part or {})["found"]), figure.outcome(value)
        except (KeyError, TypeError):  # nothing found there yet, or None for a number that was not finite
            status = "measured" if part is None else part["status"]
            shown = "not measured" if status == "measured" else status
            outcome = "not measured" if figure.target() else ""
        if tiny and outcome and figure.part != "verify":
            outcome = "not measured"
        lines.append(f"| {figure.words} | {shown} | {figure.target()} | {outcome} |")
    for name, part in found["parts"].items():
        if part["reason"] is not None:
            lines.append(f"| part {name}: {part['status']} | {part['reason'].replace('|', chr(92) + '|')} | | |")
    return "\n".join([*lines, "", NOTE])
