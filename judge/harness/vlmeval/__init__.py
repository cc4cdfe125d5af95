"""VLMEvalKit: our datasets and a model wrapper in its tables, its own `run.py` underneath.

    mmjudge-vlmeval --data MMVU MMIE --model MODEL …          the command line (launcher)
    import judge.harness.vlmeval; judge.harness.vlmeval.register()    Python users and evalscope

VLMEvalKit (import name `vlmeval`, package `ms-vlmeval`) has no plug-in mechanism; `registration` extends its tables.
"""

from judge.harness.vlmeval.registration import install, register

__all__ = ["install", "register"]
