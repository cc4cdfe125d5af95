#!/usr/bin/env bash
# The main job on the bundled demo, offline, in a minute: bash examples/demo.sh [FOLDER]
# Plain commands throughout; with `--tasks mmie,mmvu` and a real model the first of them is the real job.
set -euo pipefail
out=${1:-out/demo}
rm -rf "$out"/{lmms-eval,lmms-eval.log,pictures,journal,mmie,mmvu,system,mmie_system,report.html}
mkdir -p "$out"
unset ${!MMJUDGE_@}
# the tiny judge needs no accelerator; on a CPU it runs in float32, and so small a model is fastest on one thread
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 MMJUDGE_DEVICE=cpu MMJUDGE_JOURNAL=$out/journal

echo "== 1. Ask a (scripted) model, then judge with the (tiny) bundled judge, all inside lmms-eval"
echo "   (half a minute or more without a word; what it says goes to $out/lmms-eval.log)"
lmms-eval --model mmjudge_demo --model_args "output_dir=$out/pictures" --tasks mmie_demo,mmvu_demo \
    --output_path "$out/lmms-eval" --log_samples >"$out/lmms-eval.log" 2>&1 || { tail -n 30 "$out/lmms-eval.log"; exit 1; }
# lmms-eval exits with 0 on failure, too: a run without results is told by their absence
ls "$out"/lmms-eval/*_results.json >/dev/null 2>&1 || { tail -n 30 "$out/lmms-eval.log"; exit 1; }
sed -n '/^|.*Tasks/,$p' "$out/lmms-eval.log"

echo
echo "== 2. Score the answers it saved once more, without any model under test"
mmjudge score "$out"/lmms-eval/*_samples_mmie_demo.jsonl --benchmark mmie --data "$(python -m mmie_tasks.demo)" \
    --judge "$(python -m mmie_tasks.demo judge)" --image-root "$out/pictures" --device cpu --out "$out/mmie"
mmjudge score "$out"/lmms-eval/*_samples_mmvu_demo.jsonl --benchmark mmvu --data "$(python -m mmvu_tasks.demo)" \
    --out "$out/mmvu"

echo
echo "== 3. Ask a system of two: a (scripted) writer marks its pictures, a (scripted) painter draws them"
mmjudge ask "$(dirname "$0")/systems/demo.toml" --benchmark mmie --data "$(python -m mmie_tasks.demo)" --out "$out/system"
mmjudge score "$out/system/responses.jsonl" --benchmark mmie --data "$(python -m mmie_tasks.demo)" \
    --judge "$(python -m mmie_tasks.demo judge)" --device cpu --out "$out/mmie_system"

echo
echo "== 4. Show all in one page"
mmjudge report "scripted model=$out/mmie" "writer and painter=$out/mmie_system" "scripted model=$out/mmvu" \
    --out "$out/report.html"

cat <<END

Where to look next
  mmjudge view $out/*        every answer in the browser, runs side by side
  $out/report.html           all results with their best and worst answers
  $out/mmie/verdicts.jsonl   what the judge wrote about every answer; $out/pictures/ has the pictures it saw
  $out/system/               answers of the writer and the painter, with each picture's description and seed
  $out/mmvu/results.json     RA and MR with intervals, by category and level
  $out/lmms-eval.log         the whole run of lmms-eval
The model under test is a script and the judge a toy trained on the demo: these numbers measure nothing.
The real job: lmms-eval --model MODEL --model_args … --tasks mmie,mmvu --output_path out --log_samples
END
