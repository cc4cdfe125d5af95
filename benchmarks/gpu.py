"""Every open figure about a GPU, in one run of nine minutes at most on an H100 or H200: JSON and a table for docs.

    python benchmarks/gpu.py [--golden ../shared/golden] [--out gpu.json]     # a GPU of 80 GB or more; 9 GB of disk
    python benchmarks/gpu.py --device cpu --shape tiny                        # every part in small: that it runs

**It has not been run on a GPU yet**: there was none. What the tests run is the tiny shape, whose times mean nothing.

    environment   versions, device, driver, host
    verify        the recorded cases on this device in float32: do they agree?
    kernel        the Triton decode kernel beside the plain path: largest difference, time
    real_shape    a judge of the real InternVL2-4B shape with random weights (4,146,855,936 parameters, normal with
                  standard deviation 0.02): time to load, peak memory, a batch of mixed prompts
    bfloat16      how many tokens and scores are those of float32
    finetune      one step of LoRA: time, peak memory
    speed         the engine beside the reference loop, plain transformers and the serial roofline (`gpu_speed.py`)

Each part runs in a process of its own, so that a crash, a lost device or memory that is not given back stays its own
affair, and has a number of seconds after which the system ends it; speed has what the others leave. A part that fails
or runs out of time is named with its reason, what it found before is kept, and the others go on. `--out` and the table
beside it (`.md`) are written whenever something is found. All ratios are of things measured side by side in this run.

Exit code: 0; 1 where a part failed or ran out of time; 2 where there is no GPU and nothing else was asked for.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gpu_parts
from gpu_parts import Bench, Found, NotMeasuredError
from gpu_speed import measure_speed
from gpu_table import make_table

from judge.io import files

FORK = multiprocessing.get_context("fork")
"""Torch is imported once. That works as long as this process itself never asks for CUDA."""

PARTS: dict[str, tuple[Callable[[Bench], Found], float]] = {
    "environment": (gpu_parts.describe_machine, 40),
    "verify": (gpu_parts.verify_recorded, 45),
    "kernel": (gpu_parts.measure_kernel, 45),
    "real_shape": (gpu_parts.load_and_answer, 100),
    "bfloat16": (gpu_parts.compare_bfloat16, 90),
    "finetune": (gpu_parts.finetune_step, 60),
    "speed": (measure_speed, math.inf),
}
"""What a part measures, and the seconds it has at most."""


def run_parts(args: argparse.Namespace) -> dict[str, Any]:
    """All parts one after the other; what is found, as it is written."""
    end = time.monotonic() + 60 * args.minutes
    found: dict[str, Any] = {"shape": args.shape, "device": args.device, "minutes": args.minutes, "parts": {}}
    for name, (measure, most) in PARTS.items():
        part = found["parts"][name] = {"status": "running", "reason": None, "seconds": 0.0, "found": {}}
        seconds = min(most, end - time.monotonic())
        start = time.monotonic()
        if seconds <= 0:
            part |= {"status": "out of time", "reason": f"the {args.minutes:g} minutes of the run were over"}
        with tempfile.TemporaryDirectory(dir=args.folder, prefix="gpu-", ignore_cleanup_errors=True) as folder:
            bench = Bench(args.device, args.shape, args.golden, Path(folder), start + seconds)
            for message in run_part(measure, bench) if seconds > 0 else ():
                part["found"] |= message.pop("found", {})
                part |= message | {"seconds": time.monotonic() - start}
                write_found(found, args.out)
        if part["status"] == "running":
            part["status"] = "measured"
        write_found(found, args.out)
        said = part["status"] if part["reason"] is None else f"{part['status']}: {part['reason']}"
        print(f"{name}: {said}, {part['seconds']:.1f} s", file=sys.stderr, flush=True)
    return found


def run_part(measure: Callable[[Bench], Found], bench: Bench) -> Any:
    """Yield {"found"} whenever the part has found something; at the end, unless all went well, {"status", "reason"}."""
    receiver, sender = FORK.Pipe(duplex=False)
    seconds = bench.deadline - time.monotonic()
    process = FORK.Process(target=_measure_here, args=(measure, bench, seconds, sender))
    process.start()
    sender.close()
    alive = True
    try:
        while alive:  # not until the pipe's end, which a process that the part has started may hold open
            alive = process.is_alive()  # asked first: what it sent before it ended is still to come
            while receiver.poll(0.1):
                yield receiver.recv()
    except (EOFError, OSError):  # the end, or a message that was cut short
        process.join()
    finally:
        process.kill()
    process.join()
    if process.exitcode == -signal.SIGALRM:
        yield {"status": "out of time", "reason": f"ended after {seconds:.0f} s"}
    elif process.exitcode:
        yield {"status": "failed", "reason": f"its process ended with {process.exitcode}"}


def _measure_here(measure: Callable[[Bench], Found], bench: Bench, seconds: float, sender: Any) -> None:
    """What the process of a part does. The system ends it in time, whatever it hangs in."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        for found in measure(bench):
            sender.send({"found": _finite(found)})
    except NotMeasuredError as error:
        sender.send({"status": "not measured", "reason": str(error)})
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        sender.send({"status": "failed", "reason": reason})


def _finite(value: Any) -> Any:
    """The value with None for what JSON has no number for."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_found(found: Mapping[str, Any], out: Path) -> None:
    """The JSON to `out`, the table beside it. Raises OSError."""
    files.write_json(out, found)
    files.write_text(out.with_suffix(".md"), make_table(found) + "\n")


def _sees_cuda() -> bool:
    """Asked in another process: one that has asked cannot fork processes that use CUDA."""

    def ask() -> None:
        import torch

        sys.exit(0 if torch.cuda.is_available() else 1)

    process = FORK.Process(target=ask)
    process.start()
    process.join()
    return process.exitcode == 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit codes as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="default: cuda")
    parser.add_argument("--shape", choices=("real", "tiny"), default="real", help="of the judge; default: real")
    parser.add_argument("--golden", type=Path, default=Path("../shared/golden"), metavar="DIR", help="recorded cases")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which nothing runs any more; default: 9")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="for pictures and weights, which go again")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), metavar="FILE", help="default: gpu.json")
    args = parser.parse_args(argv)
    on_gpu = args.device.startswith("cuda")
    if (on_gpu and not _sees_cuda()) or (not on_gpu and args.shape != "tiny"):
        what = "no CUDA device here" if on_gpu else "the real shape takes a CPU days"
        print(f"gpu: {what}; --device cpu --shape tiny runs every part in small", file=sys.stderr)
        return 2
    found = run_parts(args)
    print(f"{make_table(found)}\n\n{json.dumps(found)}")
    return int(any(part["status"] in ("failed", "out of time") for part in found["parts"].values()))


if __name__ == "__main__":
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # whoever asks for CUDA in an import does no harm
    import torch  # noqa: F401 - once for all parts
    import transformers.models.internvl.modeling_internvl
    import transformers.models.phi3.modeling_phi3  # noqa: F401

    sys.exit(main())
