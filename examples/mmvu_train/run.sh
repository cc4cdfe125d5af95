#!/usr/bin/env bash
# MMVU-Train in small, offline, from pictures to numbers: bash examples/mmvu_train/run.sh [FOLDER]
# A scripted teacher and a tiny model; every step is the command that the real job has, with a real server and model.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-out/mmvu_train}
rm -rf "$out"
mkdir -p "$out"
unset ${!MMJUDGE_@}
# so small a model is fastest on one thread
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1

echo "== 1. Pictures, a base mix without leading questions, and two parts of held-out questions"
python "$here/world.py" "$out/data"

echo; echo "== 2. A teacher writes paired questions about each picture"
python "$here/teacher.py" "$out/address" & teacher=$!
trap 'kill $teacher 2>/dev/null || true' EXIT
until [ -s "$out/address" ]; do sleep 0.1; done
mmjudge mmvu-data construct "$out/data/pictures" --address "$(cat "$out/address")" --model teacher --out "$out/made"
kill $teacher

echo; echo "== 3. What is a refusal, a double or a leak of the test set goes"
# the drawn pictures are alike by design, and so are their questions: only pictures of equal bytes count as leaks here
mmjudge mmvu-data filter "$out/made" --images "$out/data/pictures" --data "$out/data/test" --hash-distance -1 \
    --repeats 1000 --form llava --out "$out/train"

echo; echo "== 4. Half of the base mix makes room for it"
mmjudge mmvu-data mix "$out/data/base.json" --new "$out/train/llava.json" --replace 50% --out "$out/mix"

echo; echo "== 5. The base model is tuned on the mix: its connector, and its language model by LoRA"
mmjudge mmvu-train "$here/tiny.toml" --data "$out/mix/mixed.json" --image-root "$out/data/pictures" \
    --base "$here/base" --out "$out/tuned"

echo; echo "== 6. Its weights are merged into the base; how much of them is chosen on held-out pictures"
mmjudge merge "$here/base" "$out/tuned/adapter" --weights 0.05 0.25 0.5 1 --data "$out/data/choose" --share 0.8 \
    --device cpu --batch-size 32 --out "$out/sweep"

echo; echo "== 7. lmms-eval asks base and merged model about other held-out pictures"
export MMVU_DATA="$out/data/test"
for name in base merged; do
    [ $name = base ] && model=$here/base || model=$out/sweep/model
    lmms-eval --model llava_hf --model_args "pretrained=$model,device_map=cpu,dtype=float32" --device cpu --batch_size 1 \
        --tasks mmvu --output_path "$out/$name" >"$out/$name.log" 2>&1 || { tail -n 30 "$out/$name.log"; exit 1; }
    # lmms-eval exits with 0 on failure, too
    found=$(find "$out/$name" -name results.json) && [ -n "$found" ] || { tail -n 30 "$out/$name.log"; exit 1; }
    mkdir -p "$out/results" && cp -r "$(dirname "$found")" "$out/results/$name"
done

echo; echo "== 8. Before and after, with intervals"
mmjudge table "$out/results/base" "$out/results/merged"
mmjudge compare "$out/results/base" "$out/results/merged" --out "$out/compare.json"

cat <<END

Where to look next
  $out/made/replies.jsonl     what the teacher wrote; failed.jsonl what could not be used
  $out/train/card.json        what was kept, and why the rest was not
  $out/tuned/training.json    what was trained, on what, with which versions
  $out/sweep/sweep.json       every weight that was tried; model/ is the chosen one
  $out/compare.json           base against merged, paired
The teacher is a script and the model a toy: these numbers measure nothing. docs/mmvu_tuning.md has the real job.
END
