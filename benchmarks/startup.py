"""What is waited for before anything is judged: the command line, doctor, lmms-eval's index of tasks, 20,103 records.

    python benchmarks/startup.py [--repeats 5] [--folder DIR] [--out FILE]

    mmjudge --help       a new process each time; beside it Python alone, doing nothing
    a finished run       `mmjudge score` given again on the demo, whose answers are all judged; beside it the first
                         time, a refusal (`--device gpu`), and what importing torch and transformers costs
    mmjudge doctor       a new process each time, with 20,103 records; nothing is asked of the network
    index of our tasks   `TaskManager(include_defaults=False, include_path=…)`; beside it the scan of all that lmms-eval
                         brings, in one process, the imports of lmms-eval done before
    20,103 records       a made-up data.json with the published field names and the size of the real one (23 MB), three
                         pictures a record: read and checked; then every picture found below its folder, its size read
                         from its header, its tiles counted. A new process each time; peak memory is that process's

Pictures are a JPEG header and a hole, 100 kB each, in `--folder` (default: the system's temporary folder); they have
just been written, so no disk is waited for. Fastest of `--repeats`, wall and processor seconds: on a busy machine the
first says how busy it is. Needs lmms-eval (the whole scan is its own). Prints a Markdown table, then JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mmie_tasks.records import PUBLISHED_COUNTS

GOALS = {"help_s": 0.3, "doctor_s": 5.0, "scan_ratio": 100, "index_s": 5.0, "index_peak_mb": 800}

SIZES = ((640, 480), (728, 546), (1024, 1024), (1280, 720), (460, 345), (460, 613), (512, 512))
TEXT = "Fold the paper along the dotted line, press it flat and turn it over before you go on. "
PICTURE_BYTES = 100_000

# what every child prints last: its own numbers, measured inside it
CHILD = """
import json, resource, sys, time
found, clock, busy = {}, time.perf_counter, time.process_time
def timed(name, work):
    start, began = clock(), busy()
    value = work()
    found[name], found[name + "_processor"] = clock() - start, busy() - began
    return value
def done():
    unit = 1 if sys.platform == "darwin" else 1024
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(json.dumps(found))
"""

NOTHING = "import resource"

HELP = """
import sys
sys.argv = ["mmjudge", "--help"]
from judge.cli import main
main()
"""

DOCTOR = """
import os, sys
os.environ |= {"MMIE_DATA": sys.argv[1], "HF_HUB_OFFLINE": "1"}
sys.argv = ["mmjudge", "doctor"]
from judge.cli import main
main()
"""

SCORE = """
import json, sys
from judge.cli import main
code = main(["score", *json.loads(sys.argv[1])])
assert code == int(sys.argv[2]), code
assert sys.argv[3] == "any" or ("torch" in sys.modules) == (sys.argv[3] == "torch")
"""

TORCH = "import torch, transformers"

SCAN = """
from lmms_eval.tasks import TaskManager
from judge.core.benchmark import find
folder = str(find("mmie").task_dir)
found["ours_names"] = len(timed("ours", lambda: TaskManager(include_defaults=False, include_path=folder)).all_tasks)
found["all_names"] = len(timed("all", TaskManager).all_tasks)
done()
"""

INDEX = """
from pathlib import Path
from judge.core.benchmark import find
from judge.model.images import count_tiles, read_image_size
from mmie_tasks.judging import locate
folder = Path(sys.argv[1])
dataset = timed("read", lambda: find("mmie").load(folder))
def count():
    parts = [part for record in dataset.records for part in (*record.question, *record.answer) if part.image]
    found["tiles"] = sum(count_tiles(*read_image_size(locate(part.image, folder, linked=True).path)) for part in parts)
    found["records"], found["pictures"] = len(dataset.records), len(parts)
timed("count", count)
done()
"""


def make_data(folder: Path, counts: dict[str, int]) -> None:
    """`data.json` with so many records a category, and their pictures."""
    (folder / "images").mkdir(parents=True)
    starts = []
    for size in SIZES:
        file = io.BytesIO()
        Image.new("RGB", size, (90, 120, 30)).save(file, "JPEG", quality=90)
        starts.append(file.getvalue()[:1024])
    rows, number = [], 0
    for category, count in counts.items():
        for place in range(count):
            parts = []
            for step in range(3):
                name = f"./images/v4-460px-A-Thing-to-Make-at-Home-{number:06}.jpg"
                path = folder / name
                path.write_bytes(starts[number % len(SIZES)])
                os.truncate(path, PICTURE_BYTES)
                parts.append({"text": f"Step {step}: {TEXT * 3}", "image": name})
                number += 1
            turns = [{"from": "human", "content": parts[:2]}, {"from": "gpt", "content": parts[2:]}]
            row = {"id": f"{category}-{place}", "catagory": category, "field": "Education", "conversations": turns}
            rows.append(row)
    (folder / "data.json").write_text(json.dumps(rows), encoding="ascii")


def child(code: str, *arguments: str) -> tuple[str, float, float]:
    """Output, wall and processor seconds of a new Python that runs `code`."""
    import resource
    import time

    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return run.stdout, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fastest(code: str, repeats: int, *arguments: str) -> tuple[float, float]:
    """Wall and processor seconds of a new process, the fastest of each."""
    runs = [child(code, *arguments)[1:] for _ in range(repeats)]
    return min(wall for wall, _ in runs), min(busy for _, busy in runs)


def inside(code: str, repeats: int, *arguments: str) -> dict[str, Any]:
    """What the code timed inside a new process, the smallest of each number."""
    runs = [json.loads(child(CHILD + code, *arguments)[0].splitlines()[-1]) for _ in range(repeats)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def measure_scoring(folder: Path, repeats: int) -> dict[str, float]:
    """Wall and processor seconds of `mmjudge score` on the demo: the first time, given again, and refused."""
    from mmie_tasks.benchmark import BENCHMARK
    from mmie_tasks.demo import demo_dir, judge_dir

    answers = folder / "answers.jsonl"
    ids = [record.id for record in BENCHMARK.load(demo_dir()).records]
    rows = [{"id": id_, "response": f"Two red balls, {id_}."} for id_ in ids]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    given = [answers, "--benchmark", "mmie", "--data", demo_dir(), "--judge", judge_dir(), "--out", folder / "out"]
    words = json.dumps([str(word) for word in given])
    cpu, wrong = (json.dumps([*json.loads(words), "--device", device]) for device in ("cpu", "gpu"))
    found = {}
    _, found["first_s"], found["first_processor_s"] = child(SCORE, cpu, "0", "torch")
    for name, given_words, code in (("again", cpu, "0"), ("refused", wrong, "2")):
        runs = [child(SCORE, given_words, code, "no torch")[1:] for _ in range(repeats)]
        found[f"{name}_s"], found[f"{name}_processor_s"] = min(wall for wall, _ in runs), min(busy for _, busy in runs)
    found["torch_s"], found["torch_processor_s"] = fastest(TORCH, repeats)
    return found


def measure(folder: Path, repeats: int, counts: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["python_s"], found["python_processor_s"] = fastest(NOTHING, repeats)
    found["help_s"], found["help_processor_s"] = fastest(HELP, repeats)
    found |= measure_scoring(folder, repeats)
    scan = inside(SCAN, min(repeats, 3))
    found |= {f"scan_{name}": value for name, value in scan.items()}
    found["scan_ratio"] = scan["all_processor"] / max(scan["ours_processor"], 1e-6)
    make_data(folder / "mmie", counts)
    found["data_mb"] = (folder / "mmie" / "data.json").stat().st_size / 1e6
    found["doctor_s"], found["doctor_processor_s"] = fastest(DOCTOR, repeats, str(folder / "mmie"))
    index = inside(INDEX, min(repeats, 3), str(folder / "mmie"))
    found |= {f"index_{name}": value for name, value in index.items()}
    found["index_s"] = index["read"] + index["count"]
    found["index_processor_s"] = index["read_processor"] + index["count_processor"]
    return found


def table(found: dict[str, Any]) -> str:
    lines = [
        "| | wall, s | processor, s | goal |",
        "|---|---:|---:|---|",
        f"| Python, doing nothing | {found['python_s']:.3f} | {found['python_processor_s']:.3f} | |",
        f"| `mmjudge --help` | {found['help_s']:.3f} | {found['help_processor_s']:.3f} | under {GOALS['help_s']} |",
        f"| `mmjudge doctor` | {found['doctor_s']:.2f} | {found['doctor_processor_s']:.2f} "
        f"| under {GOALS['doctor_s']:.0f} |",
        f"| `mmjudge score` on the demo, first | {found['first_s']:.2f} | {found['first_processor_s']:.2f} | |",
        f"| … given again: all is judged | {found['again_s']:.2f} | {found['again_processor_s']:.2f} | no torch |",
        f"| … refused: `--device gpu` | {found['refused_s']:.2f} | {found['refused_processor_s']:.2f} | no torch |",
        f"| importing torch and transformers alone | {found['torch_s']:.2f} | {found['torch_processor_s']:.2f} | |",
        f"| index of tasks: all of lmms-eval, {found['scan_all_names']} names | {found['scan_all']:.3f} "
        f"| {found['scan_all_processor']:.3f} | |",
        f"| index of tasks: ours, {found['scan_ours_names']} names | {found['scan_ours']:.4f} "
        f"| {found['scan_ours_processor']:.4f} | {found['scan_ratio']:,.0f} times less; goal {GOALS['scan_ratio']} |",
        f"| read {found['index_records']:,} records ({found['data_mb']:.0f} MB) | {found['index_read']:.2f} "
        f"| {found['index_read_processor']:.2f} | |",
        f"| find and measure {found['index_pictures']:,} pictures ({found['index_tiles']:,} tiles) "
        f"| {found['index_count']:.2f} | {found['index_count_processor']:.2f} | |",
        f"| both | {found['index_s']:.2f} | {found['index_processor_s']:.2f} "
        f"| under {GOALS['index_s']:.0f}; peak {found['index_peak_mb']:.0f} MB of {GOALS['index_peak_mb']} |",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--records", type=int, help="fewer records, to try it out")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where the made-up data is put for the time")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there as well")
    args = parser.parse_args(argv)
    counts = dict(PUBLISHED_COUNTS) if args.records is None else {"PBL": args.records}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        found = measure(Path(folder), args.repeats, counts)
    found |= {"goals": GOALS, "cpus": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    print(f"{table(found)}\n")
    print(json.dumps(found))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
