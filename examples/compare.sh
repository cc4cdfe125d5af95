#!/usr/bin/env bash
# Two models on the same questions, from answers that were saved anyhow: bash examples/compare.sh [FOLDER]
# No model runs here. One line of answers/*.jsonl is {"id": …, "index": …, "response": …}.
set -euo pipefail
here=$(dirname "$0")
out=${1:-out/compare}
questions=$(python -m mmvu_tasks.demo) # for the real ones, leave --data out or set MMVU_DATA

for model in hasty careful; do
    mmjudge score "$here/answers/$model.jsonl" --benchmark mmvu --data "$questions" --out "$out/$model"
done

# second minus first, on the pairs both have answered, with interval and p-value
mmjudge compare "$out/hasty" "$out/careful"
