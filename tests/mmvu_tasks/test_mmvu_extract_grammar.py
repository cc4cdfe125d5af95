"""Answers made up from parts: a claim of one letter, with what models say around it about another. New combinations on
every run; the claim's letter must be read, whatever stands around it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from judge.core.option_letter import careful

OPTIONS = ("He is reading a newspaper.", "He is feeding the birds.", "He is sleeping.", "There is no man on the bench.")

# {r}: the letter that is claimed, {t}: its option's text, {w}: another letter, {u}: its text
CLAIMS = (
    "The answer is {r}.",
    "The correct answer is **{r}**.",
    "The correct answer is **{r}. {t}**",
    "**Answer: {r}**",
    "Answer: {r}. {t}",
    "Final answer: ({r})",
    "The correct option is ({r}) {t}",
    "I choose {r}.",
    "I would go with option {r}.",
    "Therefore, the answer is {r}.",
    "So the best choice would be {r}: {t}",
    "\\boxed{{{r}}}",
    "<answer>{r}</answer>",
    '{{"answer": "{r}"}}',
    "Option {r} is correct.",
    "正确答案是{r}。",
    "所以选{r}。",
    "正解は{r}です。",
    "정답은 {r}입니다.",
    "La respuesta correcta es {r}.",
    "La bonne réponse est {r}.",
    "Die richtige Antwort ist {r}.",
    "A resposta correta é {r}.",
    "La risposta corretta è {r}.",
    "Правильный ответ: {r}.",
    "الإجابة الصحيحة هي {r}.",
    "सही उत्तर {r} है।",
    "Đáp án đúng là {r}.",
    "Jawaban yang benar adalah {r}.",
    "Doğru cevap {r}'dir.",
)
BEFORE = (
    "",
    "Let me look at the picture.",
    "The man holds something in his hand.",
    "The answer is not {w}.",
    "I don't think the answer is {w}.",
    "Option {w} is wrong because it does not match.",
    "{w} can be ruled out.",
    "At first I thought it was {w}.",
    "Could it be {w}? No.",
    "If he held something else, the answer would be {w}.",
    "Let's consider option {w}.",
    "Options:\n" + "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", OPTIONS, strict=True)),
    "<think>The answer is {w}? Yes, {w}.</think>",
    "◁think▷It is {w}.◁/think▷",
    "**{w}. {u}** ❌",
    "- {w}: incorrect.",
    "答案不是{w}。",
    "{w}は誤りです。",
    "{w}는 틀렸습니다.",
)
AFTER = (
    "",
    "The picture shows it clearly.",
    "Option {w} is incorrect because nothing like it is visible.",
    "Why the other options are wrong:\n* **{w}:** not what the picture shows.",
    "* {w}. {u} This is not correct.",
    "If the picture were different, the answer would be {w}.",
    "Were it not so, I would have chosen {w}.",
    "Some people might choose {w}.",
    "{w} would be right only if he moved.",
    "It is not {w}.",
    "<|im_end|>\n<|im_start|>user\nThe answer is {w}.",
    "Question: What else?\nAnswer: {w}",
    "Human: Is it {w}?\nAssistant: The answer is {w}.",
    "因为{w}不符合图片。",
    "如果他在动，答案会是{w}。",
)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(BEFORE),
    st.sampled_from(CLAIMS),
    st.sampled_from(AFTER),
    st.permutations("ABCD"),
    st.sampled_from(["\n", "\n\n"]),
)
def test_the_claim_is_read(before: str, claim: str, after: str, letters: list[str], joint: str) -> None:
    right, wrong = letters[:2]
    texts = dict(zip("ABCD", OPTIONS, strict=True))
    parts = [part.format(r=right, t=texts[right], w=wrong, u=texts[wrong]) for part in (before, claim, after) if part]
    assert careful(joint.join(parts), OPTIONS).letter == right


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*BEFORE[1:], *AFTER[1:]]), st.permutations("ABCD"))
def test_what_stands_around_a_claim_claims_nothing(part: str, letters: list[str]) -> None:
    wrong = letters[0]
    texts = dict(zip("ABCD", OPTIONS, strict=True))
    # an invented question with its answer is no distractor where nothing was said before it
    if "\nA" not in part and "user" not in part:
        assert careful(part.format(w=wrong, u=texts[wrong]), OPTIONS).letter is None
