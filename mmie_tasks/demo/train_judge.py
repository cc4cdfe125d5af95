"""Train the tiny judge of the demo: `python -m mmie_tasks.demo.train_judge --out DIR` (about ten minutes on two cores).

From nothing: a tokenizer on the rubric and the little world's sentences; then lessons, in which the vision tower learns
to name what is in a picture and the language model to draw conclusions (whether two words are the same, and what score
follows); then the whole judge on examples of `mmie_tasks.demo.examples`, first without the rubric, whose few hundred
tokens only distract a beginner, and in the end with prompts just as at inference (same rubric, encoding, tiles). Only
the completion is learned:

    …### Feedback<|end|><|assistant|>  →  ### Feedback
                                          Wanted: last the blue cup. Text: blue for blue yes, cup for cup yes: right. …
                                          ### Score
                                          2<|end|>

All prompts of a category begin with the same tokens. They are run once a step, and the whole batch attends to their
keys and values: the gradient is exact, the cost a third. Needs torch 2.9 (Muon, which takes half the steps of AdamW).
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from judge.demo.drawing import PAPERS
from judge.model import checkpoint, conversation, images, layout
from judge.model.tokenizer import Chunk, Tokenizer
from judge.request import Request
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import held_out, judge_shape
from mmie_tasks.demo.examples import RUBRIC, Example, completion, picture_file, request, stream
from mmie_tasks.demo.world import COLOURS, KINDS

TURNS = ("SA", "PBL", "SA", "PBL", "MSR")
HELD_OUT = 30  # answers per condition in the judge's own account
RUBRIC_FROM = 0.75  # share of the steps after which prompts are whole
HEADING = 6  # tokens of a prompt's start that stay before: "### Question" and a line break


def corpus(examples: int) -> Iterator[str]:
    """Lines for the tokenizer: the fixed words often, so that they get short, and everything examples say."""
    templates = BENCHMARK.rubric(RUBRIC).templates
    for _ in range(40):
        yield conversation.SYSTEM_MESSAGE
        for text in templates.values():
            yield from filter(None, text.splitlines())
    for example in itertools.islice(stream("tokenizer", held=False), examples):
        parts = [*example.question, *example.answer]
        texts = [completion(example), "Image-0: ", "Image-1: ", "Image-2: ", *(part["text"] or "" for part in parts)]
        for text in texts:
            yield from filter(None, text.splitlines())


@dataclasses.dataclass(frozen=True)
class Row:
    """One training example as ids, without the prompt's start that its category shares, and its pictures' tiles."""

    ids: list[int]
    target: list[int]
    pictures: list[Any]


class Encoder:
    """Examples to rows. Tiles are kept: there are some thousand pictures and hundred thousands of uses."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        self.tokenizer, self.layout = Tokenizer.from_folder(folder), layout.read(folder)
        self.rubric, self.pictures = BENCHMARK.rubric(RUBRIC), pictures
        self.tiles = functools.cache(lambda path: images.tiles(images.decode(path), self.layout.tile_size))
        self.prefix = {category: self._shared(category) for category in self.rubric.templates}

    def prompt(self, made: Request) -> tuple[list[int], list[Any]]:
        tiles = [self.tiles(picture.path) for picture in made.pictures]
        counts = [len(stack) for stack in tiles]
        pieces = self.rubric.render(made)
        return list(conversation.encode(self.tokenizer, pieces, counts, self.layout.tokens_per_tile).ids), tiles

    def row(self, example: Example) -> Row:
        ids, tiles = self.prompt(request(example, self.pictures))
        prefix = self.prefix[example.category]
        if ids[: len(prefix)] != prefix:
            raise ValueError("the prompt does not begin as others of its category")
        return Row(ids[len(prefix) :], self.completion(example), tiles)

    def completion(self, example: Example) -> list[int]:
        """Ids after the prompt's last one, the stop token included."""
        turn = self.tokenizer.encode(["<|assistant|>", Chunk("\n")])[0]
        whole = self.tokenizer.encode(["<|assistant|>", Chunk(f"\n{completion(example)}"), conversation.STOP])[0]
        if whole[: len(turn)] != turn:
            raise ValueError("the completion changes the ids of the prompt before it")
        return whole[len(turn) :]

    def _shared(self, category: str) -> list[int]:
        some = itertools.islice(stream("prefix", held=False, category=category), 50)
        prompts = [self.prompt(request(example, self.pictures))[0] for example in some]
        first, last = min(prompts), max(prompts)  # what the extremes of an ordering share, all share
        return [a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]


def pixels(stacks: Sequence[Any]) -> Any:
    """(tiles, 3, size, size) float32 of stacks of uint8 tiles."""
    import numpy as np
    import torch

    return torch.from_numpy(images.pixel_values(np.concatenate(list(stacks))))


def vision_loss(model: Any, encoder: Encoder, rng: random.Random, batch: int) -> Any:
    """Every feature of a picture should lie near the embeddings of the two words that name it."""
    import torch

    def word(text: str) -> int:
        (i,) = encoder.tokenizer.encode_untrusted(f" {text}")
        return i

    colours, kinds = [*map(word, COLOURS), word("nothing")], [*map(word, KINDS), word("nothing")]
    stacks, wanted = [], []
    for _ in range(batch):
        colour, kind = rng.randrange(len(COLOURS)), rng.randrange(len(KINDS))
        paper = rng.choice(sorted(PAPERS))
        name = f"{COLOURS[colour]} {KINDS[kind]}_{_jitter(rng)}_{_jitter(rng)}_{rng.choice((1, 2))}-{paper}.png"
        if rng.random() < 0.05:
            colour, kind, name = len(COLOURS), len(KINDS), f"empty-{paper}.png"
        stacks.append(encoder.tiles(picture_file(name, encoder.pictures)))
        wanted.append((colour, kind))
    features = model.model.get_image_features(pixels(stacks)).pooler_output
    table = model.model.language_model.embed_tokens.weight
    loss = 0.0
    for names, column in ((colours, 0), (kinds, 1)):
        logits = features @ (table[torch.tensor(names)] / table.std()).T
        target = torch.tensor([pair[column] for pair in wanted])[:, None].expand(logits.shape[:2])
        loss = loss + torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
    return loss


def _jitter(rng: random.Random) -> int:
    return rng.choice((-2, 0, 0, 2))


def conclusion_loss(model: Any, encoder: Encoder, some: Sequence[Example]) -> Any:
    """Completions alone, without their prompts: what follows from what was written so far is to be known.

    In whole prompts a small model takes thousands of steps to find out that "yes" has to do with two words being
    equal; here there is little else to look at.
    """
    import torch

    tokenizer, language = encoder.tokenizer, model.model.language_model
    concluded = {i for word in (" yes", " no", " right", " wrong") for i in tokenizer.encode_untrusted(word)}
    sequences = [encoder.completion(example) for example in some]
    ids = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    told = torch.zeros(ids.shape, dtype=torch.bool)
    for i, sequence in enumerate(sequences):
        ids[i, : len(sequence)] = torch.tensor(sequence)
        # the score is the last token before the stop
        places = {len(sequence) - 2, *(place for place, token in enumerate(sequence) if token in concluded)}
        told[i, sorted(places)] = True
    states = language(inputs_embeds=language.embed_tokens(ids)).last_hidden_state
    return torch.nn.functional.cross_entropy(model.lm_head(states[:, :-1][told[:, 1:]]), ids[told])


def judge_loss(model: Any, encoder: Encoder, start: Sequence[int], rows: Sequence[Row]) -> Any:
    """Mean cross entropy over all completion tokens of the batch, whose prompts begin with the ids `start`."""
    import torch
    from transformers import DynamicCache

    language = model.model.language_model
    cache = DynamicCache()
    embed = language.embed_tokens
    language(inputs_embeds=embed(torch.tensor([list(start)])), past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(len(rows))
    longest = max(len(row.ids) + len(row.target) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids) + len(row.target)] = torch.tensor(row.ids + row.target)
        # the state at a token predicts the next one
        labels[i, len(row.ids) - 1 : len(row.ids) - 1 + len(row.target)] = torch.tensor(row.target)
    embeds = embed(ids)
    stacks = [stack for row in rows for stack in row.pictures]
    if stacks:
        features = model.model.get_image_features(pixels(stacks)).pooler_output
        place = ids == encoder.layout.image_token
        embeds = embeds.masked_scatter(place[..., None], features.to(embeds.dtype))
    positions = torch.arange(len(start), len(start) + longest).expand(len(rows), -1)
    states = language(inputs_embeds=embeds, past_key_values=cache, position_ids=positions).last_hidden_state
    told = labels >= 0
    return torch.nn.functional.cross_entropy(model.lm_head(states[told]).float(), labels[told])


def train(folder: Path, *, seed: int, lessons: int, steps: int, batch: int, log: Any = print) -> Any:
    """A trained model for the description files in `folder`."""
    import torch

    model = checkpoint.new_model(folder, seed=seed).train()
    with tempfile.TemporaryDirectory() as drawn:
        encoder, rng = Encoder(folder, Path(drawn)), random.Random(seed)
        log("prompt tokens shared:", {name: len(ids) for name, ids in encoder.prefix.items()})
        completed = stream(f"lessons {seed}", held=False)

        def lesson(step: int) -> Any:
            return vision_loss(model, encoder, rng, 48) + conclusion_loss(
                model, encoder, list(itertools.islice(completed, 20))
            )

        # one table for words seen and words said until here: to read a word off is then nearly to say it
        model.lm_head.weight = model.model.language_model.embed_tokens.weight
        _run("lessons", lessons, model, lesson, log)
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        examples = {name: stream(f"train {seed}", held=False, category=name) for name in encoder.prefix}

        def loss(step: int) -> Any:
            category = TURNS[step % len(TURNS)]
            rows = [encoder.row(example) for example in itertools.islice(examples[category], batch)]
            start = encoder.prefix[category]
            return judge_loss(model, encoder, start if step >= RUBRIC_FROM * steps else start[-HEADING:], rows)

        _run("judge", steps, model, loss, log)
    return model.eval()


def _run(name: str, steps: int, model: Any, loss_at: Callable[[int], Any], log: Any) -> None:
    """Minimise: Muon for the matrices of the language layers, AdamW for the rest, one schedule for both."""
    import torch

    matrices = [p for name, p in model.named_parameters() if "language_model.layers" in name and p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not ("language_model.layers" in name and p.ndim == 2)]
    optimisers = [
        torch.optim.Muon(matrices, lr=6e-3, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=2e-3, betas=(0.9, 0.95), weight_decay=0.01),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimiser, functools.partial(_rate, count=steps)) for optimiser in optimisers
    ]
    began, losses = time.monotonic(), []
    for step in range(steps):
        loss = loss_at(step)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)
        for part in (*optimisers, *schedules):
            part.step()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            mean, seconds = sum(losses[-50:]) / 50, time.monotonic() - began
            log(f"{name} {step + 1}/{steps} loss {mean:.3f} {seconds:.0f} s", flush=True)


def _rate(step: int, count: int) -> float:
    """Linear warm-up over 20 steps, then a cosine to a twentieth."""
    return min((step + 1) / 20, 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(step / count, 1))))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the judge")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lessons", type=int, default=800, help="steps")
    parser.add_argument("--steps", type=int, default=1200, help="of the whole judge")
    parser.add_argument("--batch", type=int, default=24)
    args = parser.parse_args(argv)
    import torch

    args.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    judge_shape.write_tokenizer(args.out, corpus(2000))
    judge_shape.write_config(args.out)
    model = train(args.out, seed=args.seed, lessons=args.lessons, steps=args.steps, batch=args.batch)
    checkpoint.save_original(model.to(torch.bfloat16), args.out, judge_shape.config())
    training = {
        "seed": args.seed,
        "lessons": args.lessons,
        "steps": args.steps,
        "batch": args.batch,
        "minutes": round((time.monotonic() - began) / 60),
        "threads": torch.get_num_threads(),
    }
    print(describe(args.out, training))
    return 0


def describe(folder: Path, training: Mapping[str, int]) -> str:
    """Write mmjudge.json and the model card, with scores of held-out answers; returns their table."""
    weights, rubric = checkpoint.weights_sha256(folder), BENCHMARK.rubric(RUBRIC)
    about = {"rubric": rubric.name, "rubric_sha256": rubric.sha256, "weights_sha256": weights, "training": training}
    (folder / "mmjudge.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    table = held_out.table(held_out.judge(held_out.examples(HELD_OUT), folder))
    facts = {
        "parameters": f"{checkpoint.check(folder, layout.read(folder)):,}",
        "bytes": f"{sum(file.stat().st_size for file in checkpoint.shards(folder)):,}",
        "n": HELD_OUT,
        "weights": weights[:12],
        "table": table,
    }
    card = resources.files(__package__).joinpath("judge_card.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(card.format_map({**facts, **training}), encoding="utf-8")
    return table


if __name__ == "__main__":
    raise SystemExit(main())
