"""Would a run work here? Checks of what a run needs, each of which finds lines and changes nothing.

    [Finding("data", "ok", "mmvu: v1, 600 questions (MMVU_DATA=/data/mmvu)"),
     Finding("judge", "fails", "MMIE/MMIE-Score is not here, and …", mend="hf download MMIE/MMIE-Score")]

A kind of check has a module of its own; `judge.preflight.checks` calls them all, and none of them can end it. Nothing
heavy is imported: versions are read from metadata, GPUs from nvidia-smi. What must import torch or a harness does so in
a process of its own, where the user asks for it (`judge.preflight.deep`).
"""
