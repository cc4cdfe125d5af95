"""MMVU and MMIE from Python: two names more in the list you give to lmms-eval.

    python examples/from_python.py [FOLDER]

`mmvu_demo` and the scripted model `mmjudge_demo` come with the package, so this runs anywhere; for a real run put
your model, and "mmvu" or "mmie" (or the tag "mmjudge", both of them), in their place.
"""

import json
import sys
from pathlib import Path

from judge.harness.lmms_eval.registration import enable

enable()  # before the first TaskManager is made; lmms-eval's command line does this by itself

from lmms_eval.evaluator import simple_evaluate  # noqa: E402
from lmms_eval.tasks import TaskManager  # noqa: E402


def main(folder: Path) -> None:
    found = simple_evaluate(
        model="mmjudge_demo",  # yours: "qwen2_5_vl", "internvl_hf", …
        model_args=f"output_dir={folder / 'pictures'}",
        tasks=["mmvu_demo"],  # beside whatever you run already: ["mmmu_val", "mmvu", "mmie"]
        task_manager=TaskManager(),
        batch_size=1,
        log_samples=True,
    )
    numbers = found["results"]["mmvu_demo"]
    for name in ("RA", "MR", "unscored"):
        print(f"{name:<9}{numbers[f'{name},none']:6.2f}")

    # every sample carries its verdict: which pairs did the leading question turn around?
    verdicts = [sample["RA"]["verdict"] for sample in found["samples"]["mmvu_demo"]]
    wrong = sorted({v["id"] for v in verdicts if v["score"] == 0})
    print(f"pairs with a wrong answer: {', '.join(wrong)}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(verdict) + "\n" for verdict in verdicts))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/from_python"))
