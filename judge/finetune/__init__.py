"""Fine-tuning of the judge on human scores: a recipe in, a judge and an account of how it came about out.

    python -m judge.finetune recipes/tiny.toml [--set lr=1e-4 …] [--resume]        the same as: mmjudge train …

recipe     the TOML file as a checked, frozen record
split      which answers are held out
dataset    human scores to training rows: the prompt of inference, and the completion that is learned
batches    in which order rows come, what they share, how they are padded
base       the judge that is fine-tuned, with gradients or adapters
loss       the forward pass and what is minimised
optimiser  Muon for the matrices of the language layers, AdamW for the rest
agreement  the judge in training against people
trainer    transformers' Trainer with all of these
processes  which of the processes of a run this is
train      the run, and what it writes

A run leaves in the recipe's `out`:

    checkpoint-N/        every `save_every` steps; the run resumes from the last one, to the same weights
    model/               full fine-tuning: the judge in the original InternVL2 layout with tokenizer files and
                         mmjudge.json {"rubric": …}; `mmjudge score --judge OUT/model` loads it
    adapter/             LoRA: peft's own format (adapter_config.json, adapter_model.safetensors); module names are
                         those of the native model (`judge.model.weights.checkpoint.load_model`); training.json names
                         the base
    training.json        written last, so that its presence means complete:

    {"recipe": {…every field, defaults included…}, "recipe_sha256": "…",
     "base": "OpenGVLab/InternVL2-4B@1c1e…", "base_weights": "…SHA-256…", "data_sha256": "…", "seed": 0,
     "method": "lora", "held_out": [["PBL-2896694", "anole-7b"], …], "rubric": "mmjudge", "rubric_sha256": "…",
     "profile": "strict", "benchmark": "mmie", "objective": "feedback",
     "metrics": {"pearson": {"value": 0.41, "ci_low": 0.29, "ci_high": 0.52, "n": 200}, …,
                 "unscored": {"value": 0.0, "n": 200}}, "steps": 250, …}

"base" is a folder as the recipe names it, or a repository with the commit it was at; "held_out" pairs are sorted
(id, model); "metrics" are those of what was written, on the held-out answers, "unscored" in percent; null where nothing
was held out, values null where undefined. Beside these: "validation", "rows", "left_out" [[id, model, reason], …],
"kept_step", "seconds" and "versions".
"""
