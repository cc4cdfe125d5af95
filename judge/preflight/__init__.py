"""Would a run work here? Checks of what a run needs, each of which finds lines and changes nothing.

    [Finding("data", "ok", "mmvu: edition v1, 600 questions (MMVU_DATA=/data/mmvu); content as published"),
     Finding("judge", "fails", "the official rubric is not in the cache (URLError: …)", mend="put https://… at …")]

A kind of check has a module of its own; what is meant to be run is a `job`; `judge.preflight.checks` calls all checks,
and none of them can end it. Nothing heavy is imported: versions are read from metadata, GPUs from nvidia-smi. What must
import torch or a harness does so in a process of its own, where the user asks for it (`judge.preflight.deep`).
"""
