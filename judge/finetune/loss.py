"""The forward pass of training and what is minimised.

    L = (1/N) · [ Σ_t CE_t  +  λ · Σ_rows Σ_s p(s) · |s − y| / 6 ]

t: the N tokens of the batch's completions, prompts never (with accumulation: of all batches of the step). Second sum:
distance_weight λ times the expected distance of the judge's score from the person's score y, in shares of the scale,
where p is the softmax over the seven tokens "0"…"6" at the position of the score. Cross entropy alone counts 5 for 6 as
wrong as 0 for 6; and y may be a mean of several people, which no single token spells. (Expected distance between
ordered classes: the earth mover's distance to a point, Hou, Yu and Samaras, arXiv 1611.05916.)

Positions: at inference a prompt's tokens are rotated by the regime of the prompt's length, and every token written
after it by that of its own position (`judge.model.rope`, "reference"). Here the whole row passes at once, so
`TaughtRope` chooses token by token; the numbers are those of inference.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import DynamicCache

from judge.core.scale import JUDGE_SCALE
from judge.finetune.batches import IGNORED


class TaughtRope(torch.nn.Module):
    """The rotary module of one pass over whole rows: like the one of inference, but it knows where prompts end."""

    def __init__(self, inference: Any, prompt_lengths: Any) -> None:
        """prompt_lengths: (rows)."""
        super().__init__()
        self.inference, self.prompt_lengths = inference, prompt_lengths

    def forward(self, x: Any, position_ids: Any) -> tuple[Any, Any]:
        """position_ids (rows, tokens) → cosines and sines (rows, tokens, head dimension) in the type of x."""
        rope = self.inference
        # a long prompt is so from its first token; what is written after a short one becomes so at the limit
        long = rope.beyond(self.prompt_lengths)[:, None] | rope.beyond(position_ids + 1)
        cosines, sines = rope.rotation(x, position_ids, long)
        return cosines, sines


class Lesson(torch.nn.Module):
    """A judge that answers a batch of `judge.finetune.batches.Collator` with its loss.

    What a Trainer wraps, moves and saves; of its weights only those that are trained are in its state.
    """

    accepts_loss_kwargs = True
    """transformers: the forward pass is given the number of tokens of the whole step."""

    def __init__(self, judge: Any, *, score_tokens: Sequence[int] = (), distance_weight: float = 0.0) -> None:
        """judge: a native model, as it is or with adapters. score_tokens: ids of "0" to "6", for a distance weight."""
        super().__init__()
        self.judge = judge
        self.distance_weight, self.score_tokens = distance_weight, list(score_tokens)
        self.register_state_dict_post_hook(_only_trained)

    @property
    def device(self) -> Any:
        """Where the judge's weights are."""
        return self.judge.lm_head.weight.device

    @property
    def rope_limit(self) -> int:
        """Tokens of the longest prompt in the short rope regime."""
        limit: int = self.judge.model.language_model.rotary_emb.limit
        return limit

    @contextlib.contextmanager
    def _taught(self, prompt_lengths: Any) -> Iterator[None]:
        language = self.judge.model.language_model
        inference = language.rotary_emb
        language.rotary_emb = TaughtRope(inference, prompt_lengths)
        try:
            yield
        finally:
            language.rotary_emb = inference

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Strict about the trained weights, whatever `strict` says: transformers asks for no check when it resumes."""
        wrong = self.state_dict().keys() ^ state_dict.keys()
        if wrong:
            raise RuntimeError(f"the checkpoint is of another run: {len(wrong)} weights differ, {sorted(wrong)[:3]}")
        super().load_state_dict(state_dict, strict=False, assign=assign)
        return torch.nn.modules.module._IncompatibleKeys([], [])

    def forward(
        self,
        input_ids: Any,
        labels: Any,
        prompt_lengths: Any,
        scores: Any,
        score_positions: Any,
        pixel_values: Any = None,
        prefix: Any = None,
        num_items_in_batch: Any = None,
    ) -> dict[str, Any]:
        """{"loss"}, a scalar: see the module. num_items_in_batch: N; None: this batch's own.

        One parameter a key of a batch (`judge.finetune.batches.Collator`): transformers hands them over by name.
        """
        states = self._states(input_ids, prompt_lengths, pixel_values, prefix)
        learned = labels[:, 1:] != IGNORED  # the state at a token predicts the next one
        logits = self.judge.lm_head(states[:, :-1][learned]).float()
        total = torch.nn.functional.cross_entropy(logits, labels[:, 1:][learned], reduction="sum")
        if self.distance_weight:
            rows = torch.arange(len(scores), device=scores.device)
            at_score = self.judge.lm_head(states[rows, score_positions - 1])[:, self.score_tokens].float()
            total = total + self.distance_weight * distances(at_score, scores).sum()
        return {"loss": total / (learned.sum() if num_items_in_batch is None else num_items_in_batch)}

    def _states(self, ids: Any, prompt_lengths: Any, pixel_values: Any, prefix: Any) -> Any:
        """(rows, columns of ids, hidden size): the last states, those of a shared prefix left out."""
        judge = self.judge
        language = judge.model.language_model
        cache, start = None, 0
        if prefix is not None:
            cache, start = DynamicCache(), len(prefix)
            with self._taught(prompt_lengths[:1]):  # a batch that shares a prefix is of one regime
                language(inputs_embeds=language.embed_tokens(prefix[None]), past_key_values=cache, use_cache=True)
            cache.batch_repeat_interleave(len(ids))
        embedded = language.embed_tokens(ids)
        if pixel_values is not None:
            features = judge.model.get_image_features(pixel_values).pooler_output
            at_images = ids == judge.config.image_token_id
            embedded = embedded.masked_scatter(at_images[..., None], features.to(embedded.dtype))
        positions = torch.arange(start, start + ids.shape[1], device=ids.device).expand(len(ids), -1)
        with self._taught(prompt_lengths):
            output = language(
                inputs_embeds=embedded,
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        return output.last_hidden_state


def distances(logits: Any, scores: Any) -> Any:
    """Expected distance in shares of the scale: logits (rows, 7) of `JUDGE_SCALE`'s scores, scores (rows) → (rows)."""
    scale = torch.tensor([*JUDGE_SCALE], device=logits.device, dtype=logits.dtype)
    gap = (scale - scores[:, None].to(logits.dtype)).abs() / JUDGE_SCALE.span
    return (logits.softmax(-1) * gap).sum(-1)


def _only_trained(module: Any, state: dict[str, Any], prefix: str, _: Any) -> None:
    """Frozen weights are those of the base, and need not be in every checkpoint."""
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            state.pop(prefix + name, None)
