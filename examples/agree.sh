#!/usr/bin/env bash
# What does a criterion do to a judge, and does the judge agree with people? bash examples/agree.sh [FOLDER]
# The bundled toy judge, and scores that nobody gave (agreement/make.py made them up): these numbers measure nothing.
set -euo pipefail
here=$(dirname "$0")/agreement
out=${1:-out/agree}
data=$(python -m mmie_tasks.demo)

# every answer with the whole rubric and with one criterion less; without --criterion, with each less in turn
mmjudge ablate careful="$here/careful.jsonl" hasty="$here/hasty.jsonl" --humans "$here/humans.jsonl" \
    --judge "$(python -m mmie_tasks.demo judge)" --data "$data" --image-root "$data" --device cpu \
    --criterion "Image quality" --out "$out/ablation"

# a folder with one results folder a model, as `mmjudge score` writes them
mmjudge agree "$out/ablation/mmjudge" "$here/humans.jsonl" --image-root "$data" --out "$out"
