"""What the engine does, counted on a CPU with a tiny judge: `python benchmarks/counting.py`.

Counts are the same on every machine, so they are asserted, and the exit code says whether they hold:

    tokens      the same for every prompt in any order, with any budget, and alone; both rope sets, and prompts that
                cross from one to the other while they are answered
    padding     positions computed in prefill / tokens of prompts   at most 1.02
    slots       sequences decoded / sequences there was room for    at least 0.95, while prompts wait
                (the drain at the end, when none do, stands beside it: it is as long for 300 prompts as for 20,000)
    copies      cached tokens moved, a shared prefix apart          none
    prefix      tokens taken from a shared prefix                   some, and none computed twice
    host        times the host waits for the device / passes        at most 1

The judge has random weights in float32 and never stops by itself; answers have fixed lengths of 3 to 16 tokens.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fixed_lengths import FixedLengths
from output import print_result
from workload import Sample, make_model, samples, write_description

from judge.engines import EngineOptions
from judge.engines.local import LocalEngine
from judge.model import generate
from judge.model.tokenizer import Tokenizer

PADDING, SLOTS = 1.02, 0.95
MANY, COPIES = (2, 5), 120
"""Strata of one tile and one length. Of other lengths, holes that are too short for a prompt add up to room for one,
which is much of what 17 side by side take; `simulate_schedule.py` counts that for 20,103 lengths like MMIE's."""
ODD, ODD_COPIES = (3, 9, 14, 15), 3
"""Larger ones; one crosses the rope's limit, one is beyond it."""
NEW = 16
BUDGET = 1536


class Counted(LocalEngine):
    """Ends every answer at its length, and keeps its tokens."""

    def __init__(self, *given: Any, lengths: Sequence[int], **options: Any) -> None:
        super().__init__(*given, **options)
        self.lengths, self.ids = dict(enumerate(lengths)), dict[int, tuple[int, ...]]()
        self.sequences, self.capacity = 0, 0  # summed over decode steps while prompts wait

    def _generator(self, tokens: int) -> generate.Generator:
        return CountedGenerator(self, tokens, self.lengths)


class CountedGenerator(FixedLengths):
    """Tells its engine what was generated, and how full the steps were."""

    def __init__(self, engine: Counted, cache_tokens: int, lengths: Mapping[int, int]) -> None:
        super().__init__(engine, cache_tokens, lengths)
        self.engine = engine

    def _choose_tokens(self, sequences: Any, logits: Any) -> Any:
        finished, best = super()._choose_tokens(sequences, logits)
        self.engine.ids |= {key: found.ids for key, found in finished}
        return finished, best

    def step(self, max_num_seqs: int | None = None) -> Any:
        """As of `generate.Generator`."""
        sequences, capacity = self.counters.decode_sequences, self.counters.decode_capacity
        finished = super().step(max_num_seqs)
        if self.counters.sequences < len(self.lengths):
            self.engine.sequences += self.counters.decode_sequences - sequences
            self.engine.capacity += self.counters.decode_capacity - capacity
        return finished


def count() -> dict[str, Any]:
    """Every number, and under "holds" whether it is as it must be."""
    import torch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        described = write_description(folder / "judge", "tiny")
        tokenizer = Tokenizer.from_folder(folder / "judge")
        model = make_model(described, "cpu", torch.float32)
        some = samples(folder / "many", tokenizer, described, "tiny", COPIES, MANY)
        some += samples(folder / "odd", tokenizer, described, "tiny", ODD_COPIES, ODD)

        def judged(order: Sequence[int], budget: int, most: int | None = None) -> tuple[dict[int, Any], Any]:
            chosen: list[Sample] = [some[n] for n in order]
            lengths = [min(NEW, sample.work.new) for sample in chosen]
            options = EngineOptions(max_new_tokens=NEW, batch_size=most, cache_tokens=budget)
            engine = Counted(model, tokenizer, described, {}, options, lengths=lengths)
            done = dict(engine.complete([sample.prompt for sample in chosen]))
            notes = [item.note for item in done.values() if item.unscored]
            if notes:
                raise RuntimeError(f"{len(notes)} prompts failed, first: {notes[0]}")
            return {n: engine.ids[number] for number, n in enumerate(order)}, engine

        everyone = list(range(len(some)))
        ids, engine = judged(everyone, BUDGET)
        counters = engine.counters
        few = everyone[-16:]
        shuffled = random.Random(0).sample(everyone, len(everyone))
        others = {
            "another order": judged(shuffled, BUDGET)[0],
            "a smaller budget": judged(everyone[::2], BUDGET * 2 // 3)[0],
            "one at a time": judged(few, BUDGET, 1)[0],
        }
    found: dict[str, Any] = {
        "prompts": len(some),
        "differ": {name: sum(ids[n] != tokens for n, tokens in other.items()) for name, other in others.items()},
        "padding": counters.prefill_positions / counters.prefill_tokens,
        "slots_used": engine.sequences / engine.capacity,
        "slots_used_with_drain": counters.decode_sequences / counters.decode_capacity,
        "moved": counters.kv_copied - counters.prefix_reused,
        "prefix_reused": counters.prefix_reused,
        "read_and_reused": counters.prefill_tokens - counters.prefix_computed + counters.prefix_reused,
        "tokens_of_prompts": sum(len(sample.ids) for sample in some),
        "host_waits_a_pass": counters.host_syncs / counters.forwards,
        "rows_a_step": counters.decode_sequences / counters.decode_steps,
        "counters": vars(counters),
    }
    found["holds"] = {
        "tokens": not any(found["differ"].values()),
        "padding": found["padding"] <= PADDING,
        "slots": found["slots_used"] >= SLOTS,
        "copies": found["moved"] == 0,
        "prefix": found["prefix_reused"] > 0 and found["read_and_reused"] == found["tokens_of_prompts"],
        "host": found["host_waits_a_pass"] <= 1,
    }
    return found


def table(found: dict[str, Any]) -> str:
    """`count`'s result in Markdown."""
    holds = {name: "yes" if value else "**NO**" for name, value in found["holds"].items()}
    differ = ", ".join(f"{name} {number}" for name, number in found["differ"].items())
    return "\n".join(
        [
            f"| counted on a CPU, {found['prompts']} prompts, a tiny judge | | goal | holds |",
            "|---|---:|---|---|",
            f"| prompts whose tokens change: {differ} | {sum(found['differ'].values())} | 0 | {holds['tokens']} |",
            f"| positions computed / tokens of prompts | {found['padding']:.3f} | ≤ {PADDING} | {holds['padding']} |",
            "| sequences decoded / room for them, while prompts wait "
            f"({found['slots_used_with_drain']:.3f} with the drain) | {found['slots_used']:.3f} "
            f"| ≥ {SLOTS} | {holds['slots']} |",
            f"| cached tokens moved | {found['moved']} | 0 | {holds['copies']} |",
            f"| tokens from shared prefixes, of {found['tokens_of_prompts']:,} | {found['prefix_reused']:,} "
            f"| > 0, none computed twice | {holds['prefix']} |",
            f"| times the host waits / passes | {found['host_waits_a_pass']:.3f} | ≤ 1 | {holds['host']} |",
        ]
    )


def main() -> int:
    """Count and print: exit code 0 where all that must hold does, else 1."""
    found = count()
    print_result(table(found), found, None)
    return 0 if all(found["holds"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
