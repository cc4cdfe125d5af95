"""What the suite takes over from the shell that starts it: nothing that changes a test; and which libraries are absent.

    HF_HUB_OFFLINE=1 RANK=3 https_proxy=http://proxy.example:3128 LC_ALL=de_DE.UTF-8 make test

passes as `make test` does. What can change a test is cleared by name, the rest (PATH, HOME, TMPDIR, where libraries
lie) is kept; a few variables are set. tests/conftest.py does this before anything else is imported, and every command
that a test starts inherits it. A test that is about a variable sets it itself.
"""

from __future__ import annotations

import contextlib
import importlib.util
import locale
import os
import re
import sys
import time
import warnings
from collections.abc import Mapping

CLEARED = re.compile(
    r"""
    # ours and the data's
    MMJUDGE_.* | MMVU_.* | MMIE_.*
    # the Hub, models, data sets, and what the harnesses read
    | HF_.* | HUGGINGFACE_.* | HUGGING_FACE_.* | TRANSFORMERS_.* | DATASETS_.* | TOKENIZERS_.* | SAFETENSORS_.*
    | LMMS_EVAL_.* | LMUData | MMEVAL_.* | VLMEVAL.* | USE_MODELSCOPE | USE_COT | OPENAI_.* | AZURE_.* | WANDB_.*
    # who of several processes this is
    | RANK | WORLD_SIZE | LOCAL_RANK | LOCAL_WORLD_SIZE | GROUP_RANK | NODE_RANK | MASTER_(ADDR|PORT)
    | SLURM_.* | SRUN_.* | PMI_.* | PMIX_.* | OMPI_.* | TORCHELASTIC_.* | ACCELERATE_.* | RAY_.*
    # devices, threads, kernels; OPENBLAS_CORETYPE stays, for it keeps some processors' results right
    | CUDA_.* | NVIDIA_.* | HIP_.* | ROCR_.* | PYTORCH_.* | TORCH_.* | TORCHINDUCTOR_.* | TORCHDYNAMO_.* | TRITON_.*
    | OMP_.* | MKL_.* | OPENBLAS_NUM_THREADS | NUMEXPR_.* | NUMBA_.* | VECLIB_.*
    # the network
    | (?i:[a-z]+_proxy) | SSL_CERT_(FILE|DIR) | SSLKEYLOGFILE | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE | NETRC
    # language, time, terminal, graphics
    | LANG | LANGUAGE | LC_.* | TZ | TZDIR | COLUMNS | LINES | NO_COLOR | FORCE_COLOR | CLICOLOR.* | PYTHON_COLORS
    | PY_COLORS | TTY_.* | TQDM_.* | MPL.* | MATPLOTLIB.* | PAGER | BROWSER | EDITOR
    # Python, and tools that tests start
    | PYTHON(WARNINGS|UTF8|IOENCODING|OPTIMIZE|HASHSEED|INSPECT|SAFEPATH|TRACEMALLOC|DEVMODE|BREAKPOINT|INTMAXSTRDIGITS)
    | PYTHON(LEGACYWINDOWSSTDIO|MALLOC|FAULTHANDLER|UNBUFFERED|STARTUP|PROFILEIMPORTTIME|DEBUG|VERBOSE|NODEBUGRANGES)
    | GIT_.* | SOURCE_DATE_EPOCH | HATCH_.* | XDG_.*
    """,
    re.VERBOSE,
)
"""Names that are cleared; each must match from end to end."""

SET = {
    "OMP_NUM_THREADS": "1",  # threads of models this small wait for each other: on a busy machine ten times as long
    "CUDA_VISIBLE_DEVICES": "",  # what is expected was recorded on a CPU
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}

OPTIONAL = (
    *("accelerate", "datasets", "lmms_eval", "peft", "safetensors", "sentencepiece", "torch", "torchvision"),
    *("transformers", "vlmeval", "pydantic", "jinja2", "matplotlib", "build", "packaging", "pandas", "ray", "scipy"),
    *("selenium", "sklearn", "statsmodels"),
)
ABSENT = {name for name in OPTIONAL if importlib.util.find_spec(name) is None}
"""What the extras bring and this environment lacks: a test that imports it is skipped. Empty where `.[dev]` is
installed. Asked before tests are collected: their folders `lmms_eval` and `vlmeval` could be taken for the packages."""


def plain(environment: Mapping[str, str], cache: str) -> dict[str, str]:
    """`environment` as tests get it. cache: the folder that stands in for the user's ~/.cache."""
    kept = {name: value for name, value in environment.items() if not CLEARED.fullmatch(name)}
    return {**kept, **SET, "XDG_CACHE_HOME": cache}


def settle(cache: str) -> list[str]:
    """Give this process the plain environment, locale and time zone; return what PYTHONWARNINGS asked for."""
    asked = [option.strip() for option in os.environ.get("PYTHONWARNINGS", "").split(",") if option.strip()]
    wanted = plain(os.environ, cache)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
    with contextlib.suppress(locale.Error):  # a system without C.UTF-8
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
    if hasattr(time, "tzset"):
        time.tzset()
    return asked


def forget_warnings(asked: list[str]) -> None:
    """Undo the filters that PYTHONWARNINGS asked for; those of python -W stay."""
    for option in asked:
        if option in sys.warnoptions:
            sys.warnoptions.remove(option)
    if asked:
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        for option in sys.warnoptions:
            warnings._setoption(option)  # type: ignore[attr-defined]  # what the interpreter does with -W
