"""What the judge's inference did, counted: the same on every machine, unlike a time.

    engine.counters                          of all its `complete` calls so far; assign Counters() to start anew
    c.prompt_places / c.prompt_tokens        1.0: nothing is padded
    c.decode_used / c.decode_offered         0.97: how full the decoding steps were
    c.kv_copied - c.prefix_reused            0: no cached token was ever moved
    c.host_syncs / c.forwards                1.0: the host waits for the device once a pass

A "token" here is one position of one sequence in one pass of the language model.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Counters:
    """forwards: passes of the language model, reading and writing; decode_steps: those that wrote a token a sequence.
    sequences: prompts admitted (again after a failure). out_of_memory: times the budget was halved.

    prompt_tokens: tokens of prompts that had to be read in passes. prompt_places: places those passes computed for
    them, padding included. prefix_computed: tokens read once to be shared; part of prompt_tokens.
    prefix_reused: tokens of prompts that were taken from a shared prefix, not read. recomputed: tokens read again
    where a sequence crossed the limit of the short rope (regime `recompute`); part of prompt_tokens.

    decode_used: sequences that wrote a token, summed over steps. decode_offered: sequences the budget had room for at
    those steps, by the size of the latest one admitted (within `batch_size`, where one is given).

    kv_written: tokens whose keys and values were computed and put in the cache. kv_copied: cached tokens put in
    another place of the cache; a shared prefix is, once a sequence, and nothing else.
    host_syncs: times the host waited for the language model's results.
    tiles: tiles the vision tower saw; tile_batches: its passes.
    """

    forwards: int = 0
    decode_steps: int = 0
    sequences: int = 0
    out_of_memory: int = 0
    prompt_tokens: int = 0
    prompt_places: int = 0
    prefix_computed: int = 0
    prefix_reused: int = 0
    recomputed: int = 0
    decode_used: int = 0
    decode_offered: int = 0
    kv_written: int = 0
    kv_copied: int = 0
    host_syncs: int = 0
    tiles: int = 0
    tile_batches: int = 0
