"""Run as a script: conditions asked of tiny random models of four families, in one process.

Prints JSON as its last line: {family: {task: [response, …]}}. FOLDER is where the models go.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tiny_families

CLASSES = {"llava": "llava_hf", "qwen2_5_vl": "qwen2_5_vl", "internvl": "internvl_hf", "gemma3": "gemma3"}
TASKS = ["mmvu_demo_blank", "mmvu_demo_json", "mmvu_demo_cgr", "mmvu_demo_cgr_var"]


def main(folder: Path) -> None:
    from lmms_eval.evaluator import simple_evaluate

    found = {}
    for family, name in CLASSES.items():
        path = tiny_families.save_family(family, folder / family)
        results = simple_evaluate(
            model=name,
            model_args=f"pretrained={path},device_map=cpu",
            device="cpu",
            tasks=list(TASKS),
            limit=2,
            gen_kwargs="max_new_tokens=4",
            batch_size=1,
            log_samples=True,
        )
        found[family] = {task: [row["filtered_resps"] for row in results["samples"][task]] for task in TASKS}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
