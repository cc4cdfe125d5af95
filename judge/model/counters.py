"""What the judge's inference did, counted: the same on every machine, unlike a time.

    engine.counters                              of all its `complete` calls so far; assign Counters() to start anew
    c.prefill_positions / c.prefill_tokens       1.0: nothing is padded
    c.decode_sequences / c.decode_capacity       0.97: how full the decode steps were
    c.kv_copied - c.prefix_reused                0: no cached token was ever moved
    c.host_syncs / c.forwards                    1.0: the host waits for the device once a pass

A "token" here is one position of one sequence in one pass of the language model.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Counters:
    """forwards: passes of the language model, prefill and decode; decode_steps: those that generated a token for every
    running sequence. sequences: prompts admitted (again after a failure). out_of_memory: times the budget was halved.

    prefill_tokens: prompt tokens that passed through the model. prefill_positions: positions those passes computed for
    them, padding included. prefix_computed: tokens of shared prefixes; part of prefill_tokens.
    prefix_reused: prompt tokens copied from a shared prefix, or from a prompt with the same question, instead of
    computed. question_reused: those of them that only the same question made possible. recomputed: tokens computed
    again where a sequence crossed the limit of the short rope (regime `recompute`); part of prefill_tokens.

    decode_sequences: sequences that got a token, summed over decode steps. decode_capacity: sequences the cache had
    slots for at those steps, by the size of the latest one admitted (within max_num_seqs, where that is given).

    kv_written: tokens whose keys and values were computed and put in the cache. kv_copied: cached tokens copied to
    other slots; what prompts begin with alike is, once a sequence, and nothing else.
    host_syncs: times the host waited for the language model's results.
    tiles: tiles the vision tower saw; tile_batches: its passes. tiles_reused: tiles that it did not see, since another
    prompt with the same question had them.
    """

    forwards: int = 0
    decode_steps: int = 0
    sequences: int = 0
    out_of_memory: int = 0
    prefill_tokens: int = 0
    prefill_positions: int = 0
    prefix_computed: int = 0
    prefix_reused: int = 0
    question_reused: int = 0
    recomputed: int = 0
    decode_sequences: int = 0
    decode_capacity: int = 0
    kv_written: int = 0
    kv_copied: int = 0
    host_syncs: int = 0
    tiles: int = 0
    tile_batches: int = 0
    tiles_reused: int = 0
