"""The tiny judge's base: to it what InternVL2-4B is to MMIE-Score, a model that knows words and pictures, not the task.

    make_base(Path("out/tiny/base"), seed=0)      a judge folder in the original layout, from random weights

Its tokenizer is trained on the rubric and the little world's sentences. Then three lessons, in every step a little of
each, without a rubric, and without an answer that is any good:

    name      the vision tower's features of a picture lie near the embeddings of the two words that name it
    look up   feedback on answers whose words and pictures have nothing to do with the question or with each other:
              "Image-2:" is followed by what the picture under that label shows, whatever the text beside it says
    conclude  what follows from words already written: whether two are the same, and what score results

In whole prompts a small model finds none of this in thousands of steps: it copies what the text says the pictures show.
"""

from __future__ import annotations

import functools
import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from judge.core.request import Picture
from judge.demo.drawing import PAPERS
from judge.finetune.batches import Collator
from judge.finetune.dataset import Encoder, Row
from judge.model import conversation, images
from judge.model.tokenizer import Tokenizer
from judge.model.weights import checkpoint, original_layout
from mmie_tasks.benchmark import BENCHMARK

from . import judge_shape
from .examples import RUBRIC, STRANGE, Example, completion_text, generate_examples, make_request, picture_file
from .scored import TURNS
from .world import COLOURS, KINDS

HEADING = 6  # tokens that a prompt without its rubric keeps in front: "### Question" and a line break
PICTURES, ANSWERS, SUMS, PLANS = 48, 12, 24, 16  # in a step
WARMUP = 20  # steps
LOOKUP_FROM = 150  # steps: before, features name nothing that could be looked up
CONCLUDING = 100  # steps in a row on plans, then every third: what follows there is learned long before the rest


def corpus(examples: int) -> Iterator[str]:
    """Lines for the tokenizer: the fixed words often, so that they get short, and everything examples say."""
    templates = BENCHMARK.rubric(RUBRIC).templates
    for _ in range(40):
        yield conversation.SYSTEM_MESSAGE
        for text in templates.values():
            yield from filter(None, text.splitlines())
    for example in itertools.islice(generate_examples("tokenizer", held=False), examples):
        parts = [*example.question, *example.answer]
        texts = [
            completion_text(example),
            "Image-0: ",
            "Image-1: ",
            "Image-2: ",
            *(part["text"] or "" for part in parts),
        ]
        for text in texts:
            yield from filter(None, text.splitlines())


def make_base(folder: Path, *, seed: int, steps: int, log: Callable[..., None] = print) -> None:
    """Write the base into `folder`, in bfloat16. About five minutes for 800 steps on two cores."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    judge_shape.write_tokenizer(folder, corpus(2000))
    judge_shape.write_config(folder)
    model = checkpoint.new_model(original_layout.read_layout(folder), seed=seed).train()
    with tempfile.TemporaryDirectory() as drawn:
        lessons = Lessons(model, folder, Path(drawn), seed)
        # one table for words seen and words said: to read a word off a picture is then nearly to say it
        model.lm_head.weight = model.model.language_model.embed_tokens.weight
        with torch.enable_grad():
            minimise(model, lessons.loss, steps, log)
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    checkpoint.save_original(model.eval().to(torch.bfloat16), folder, judge_shape.config())


class Lessons:
    """The three lessons for a native model whose description is in `folder`; pictures are drawn into `pictures`."""

    def __init__(self, model: Any, folder: Path, pictures: Path, seed: int) -> None:
        from judge.finetune.loss import Lesson

        described = original_layout.read_layout(folder)
        self.model, self.lesson, self.pictures = model, Lesson(model), pictures
        self.encoder = Encoder(Tokenizer.from_folder(folder), BENCHMARK.rubric(RUBRIC), described)
        self.collate = Collator(self.encoder)
        self.rng, self.turns = random.Random(seed), itertools.cycle(TURNS)
        self.written, self.strange = (
            {
                name: generate_examples(f"lessons {seed}", held=False, category=name, condition=how)
                for name in sorted(set(TURNS))
            }
            for how in (None, STRANGE)
        )

    def loss(self, step: int) -> Any:
        """The sum of the lessons' losses, a scalar. step: counted from 0; some lessons begin later than others."""
        loss = self.naming() + self.concluding(("MSR",) * SUMS)
        if step < CONCLUDING or step % 3 == 0:
            loss = loss + self.concluding(("SA", "PBL") * (PLANS // 2))
        if step >= LOOKUP_FROM:
            loss = loss + self.looking_up()
        return loss

    def naming(self) -> Any:
        """Every feature of a picture names its colour and its kind, or that there is nothing."""
        import numpy as np
        import torch

        nothing = len(COLOURS), len(KINDS)
        stacks, wanted = [], []
        for _ in range(PICTURES):
            colour, kind, paper = *map(self.rng.randrange, nothing), self.rng.choice(sorted(PAPERS))
            dx, dy, scale = self.rng.choice((-2, 0, 0, 2)), self.rng.choice((-2, 0, 0, 2)), self.rng.choice((1, 2))
            empty = self.rng.random() < 0.05
            name = f"empty-{paper}.png" if empty else f"{COLOURS[colour]} {KINDS[kind]}_{dx}_{dy}_{scale}-{paper}.png"
            stacks.append(self.encoder.tiles(Picture(picture_file(name, self.pictures), name)))
            wanted.append(nothing if empty else (colour, kind))
        features = self.model.model.get_image_features(
            torch.from_numpy(images.pixel_values(np.concatenate(stacks)))
        ).pooler_output
        table = self.model.model.language_model.embed_tokens.weight
        loss = torch.zeros(())
        for column, words in enumerate(((*COLOURS, "nothing"), (*KINDS, "nothing"))):
            logits = features @ (table[self._tokens(words)] / table.std()).T
            target = torch.tensor([pair[column] for pair in wanted])[:, None].expand(logits.shape[:2])
            loss = loss + torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
        return loss

    def looking_up(self) -> Any:
        """Feedback on strange answers to prompts without a rubric: every word of it must be found where it stands."""
        rows = []
        for _ in range(ANSWERS):
            category = next(self.turns)
            example = next(self.strange[category])
            prompt, paths = self.encoder.prompt(make_request(example, self.pictures))
            written, position = self.encoder.completion(_feedback(example), example.score)
            short = prompt[self._rubric(category) :]
            rows.append(Row(("", ""), category, short, written, paths, float(example.score), position))
        return self.lesson(**self.collate([(row, ()) for row in rows]))["loss"]

    def concluding(self, categories: Sequence[str]) -> Any:
        """Feedback alone, without a prompt: what follows from what was written so far is to be known."""
        import torch

        decisive = {*self._tokens(("yes", "no", "right", "wrong")).tolist()}
        some = [next(self.written[category]) for category in categories]
        sequences = [self.encoder.completion(_feedback(example), example.score)[0] for example in some]
        ids = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
        learned = torch.zeros(ids.shape, dtype=torch.bool)
        for i, sequence in enumerate(sequences):
            ids[i, : len(sequence)] = torch.tensor(sequence)
            # the score is the last token before the stop
            positions = {len(sequence) - 2, *(at for at, token in enumerate(sequence) if token in decisive)}
            learned[i, sorted(positions)] = True
        language = self.model.model.language_model
        states = language(inputs_embeds=language.embed_tokens(ids)).last_hidden_state
        return torch.nn.functional.cross_entropy(self.model.lm_head(states[:, :-1][learned[:, 1:]]), ids[learned])

    def _tokens(self, words: Sequence[str]) -> Any:
        import torch

        found = [self.encoder.tokenizer.encode_untrusted(f" {word}") for word in words]
        return torch.tensor([i for (i,) in found])  # all of them are single pieces

    @functools.cache  # noqa: B019 (lives as long as the lessons)
    def _rubric(self, category: str) -> int:
        """How many tokens of a prompt are its rubric, up to the heading of the question."""
        some = itertools.islice(generate_examples("prefix", held=False, category=category), 50)
        prompts = [self.encoder.prompt(make_request(example, self.pictures))[0] for example in some]
        # what the extremes of an ordering share, all share
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(min(prompts), max(prompts), strict=False))
        return len(list(same)) - HEADING


def _feedback(example: Example) -> str:
    return f"### Feedback\n{example.feedback.strip()}"


def minimise(model: Any, loss_at: Callable[[int], Any], steps: int, log: Callable[..., None]) -> None:
    """The optimiser of recipes/tiny.toml, whose learning rates fit a start from random weights too."""
    import torch
    from transformers import get_cosine_with_min_lr_schedule_with_warmup

    from judge.finetune.optimiser import muon_and_adamw
    from judge.finetune.recipe import read_recipe

    numbers = read_recipe("recipes/tiny.toml")
    optimiser = muon_and_adamw(model, numbers)
    schedule = get_cosine_with_min_lr_schedule_with_warmup(optimiser, WARMUP, steps, min_lr_rate=numbers.lr_floor)
    began, losses = time.monotonic(), []
    for step in range(steps):
        loss = loss_at(step)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], numbers.max_grad_norm)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            mean, seconds = sum(losses[-50:]) / 50, time.monotonic() - began
            log(f"lessons {step + 1}/{steps} loss {mean:.3f} {seconds:.0f} s", flush=True)
