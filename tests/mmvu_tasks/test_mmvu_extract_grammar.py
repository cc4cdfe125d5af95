"""Answers made up from parts: a claim of one letter, with what models say around it about another. New combinations on
every run; the claim's letter must be read, whatever stands around it."""

from __future__ import annotations

import itertools

import pytest
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


CHOSEN = (
    "I'd say {r}", "I would pick {r}", "I would go with {r}", "I believe it's {r}", "My answer is {r}",
    "{r} seems best", "{r}", "{r} is the best choice", "It's {r}", "I think {r}", "The best option is {r}",
    "I lean towards {r}",
    "Most likely {r}", "Probably {r}", "I'd guess {r}", "So {r}", "{r} looks right", "I'm fairly confident it's {r}",
    "我选{r}", "Ich denke, {r}", "Creo que es {r}", "Je dirais {r}",
)  # fmt: skip
GRANTED_AFTER = (
    ", although {w} is also plausible.", ", though {w} is possible.", ", but {w} could also be correct.",
    ", but {w} is also possible.", ", even though {w} looks similar.", ", although {w} is tempting.",
    ", with {w} as a close second.", ", although one could argue for {w}.", ". Some people might say {w}.",
    ", but {w} is also a good option.", ". {w} might also be correct.", ", whereas {w} describes the background.",
    " rather than {w}.", " and not {w}.", "，虽然{w}也有可能。", ", obwohl {w} auch möglich ist.",
    ". {w} is what the question suggests.", ". The question suggests {w}, but that's not the case.",
    ". {w} looks right at first glance.", ". {w} seems to match the question's wording but not the picture.",
    ". Nothing suggests {w}.", ". For {w} to be true, he would need to walk.", ", and {w} is wrong.",
    ", aunque {w} también es posible.", ", bien que {w} soit aussi possible.",
)  # fmt: skip
EXPLAINED_AFTER = (
    ". Option {w} would require two people.", ". {w} refers to the man on the left.", ". In {w}, the man is walking.",
    ". {w} shows a different scenario.", ". {w} is about the roof.", ". {w} mentions walking.", ". Compare with {w}.",
    ". Unlike {w}, it names the action.", ". The distractor {w} is close.",
    ". {w} is the option that the question assumes.", ". The question presumes {w}.",
    ". {w} would be correct if he moved.", ". {w} is a trap.", ". {w} was my first thought.",
    ". Many would choose {w}.", ". The premise ({w}) is misleading.", ". One might think {w}.",
    ". {w} cannot be verified.", ". There is no evidence for {w}.", ". {w} does not apply here.",
    ". {w} isn't supported.", ". I considered {w}.", ". {w} contradicts the picture.",
    ". {w}, on the other hand, is about legs.", ". As for {w}, nobody walks.", ". Regarding {w}: nobody walks.",
    ". {w} - no one walks.", ". The leading question implies {w}.", ". {w} could only be right if he moved.",
    ". If you look closely, {w} fails.", ". I was torn between {r} and {w}.", ". {w} is less likely.",
    ". {w} is not as good.", ". {w} is a common mistake.", ". Do not be misled by {w}.", ". {w} is partially true.",
    ". {w} was close.", ". {w} is too specific.", ". {w} goes too far.", ". {w} lacks evidence.",
    ". {w}'s claim is not visible.", ". We can exclude {w}.", ". {w} seems off.", ". {w} is unlikely given his pose.",
    ". Had he walked, {w} would fit.", ". Not {w} because he does not walk.", ", since {w} does not fit.",
    ", because {w} is about walking.", ", as {w} is contradicted.", ", unlike {w}.",
    ", despite {w} sounding plausible.", ", whereas {w} is not shown.", ", while {w} is about the roof.",
    ", since it's more accurate than {w}.", ", which is better than {w}.", " ({w} is wrong).", " instead of {w}.",
    ", over {w}.", ". {w} would be the answer if the question were about the dog.",
)  # fmt: skip
GRANTED_BEFORE = (
    "Although {w} is also plausible, ", "While {w} is tempting, ", "{w} is possible, but ",
    "{w} is plausible; however, ",
    "Even though {w} looks similar, ", "{w} could also be right, but ", "Though {w} might seem right, ",
    "{w} is a close second, but ", "While {w} may look right, ",
)  # fmt: skip
DOUBTED = (
    "{w} seems right", "{w} looks plausible", "I first thought {w}", "I was going to say {w}", "{w} is tempting",
    "{w} describes the left man", "{w} is close", "{w} is partly right", "{w} might fit", "The question assumes {w}",
    "{w} is what the question suggests", "One could say {w}", "It looks like {w}", "Someone might pick {w}",
    "{w} is almost correct", "{w} is half right", "{w} could be considered", "I considered {w}", "{w} fits partially",
    "At first glance it is {w}",
)  # fmt: skip
TURNS = (
    ", but ", ". However, ", "; however, ", ", yet ", ". But ", ". On closer inspection, ", ". Actually, ",
    ". Looking again, ", ". In the end, ", ". Nevertheless, ",
)  # fmt: skip
FIRM = (
    "I'd say {r}.", "{r} is the best answer.", "{r} is correct.", "it's {r}.", "I think {r}.", "the answer is {r}.",
    "{r} fits better.", "{r} is more likely.", "I'd go with {r}.",
)  # fmt: skip


@pytest.mark.parametrize("right", "ABCD")
def test_what_is_granted_to_another_letter_claims_nothing(right: str) -> None:
    doubted = [before + turn for before in DOUBTED for turn in TURNS]
    parts = [(CHOSEN, (*GRANTED_AFTER, *EXPLAINED_AFTER)), ([*GRANTED_BEFORE, *doubted], FIRM)]
    pairs = [pair for firsts, seconds in parts for pair in itertools.product(firsts, seconds)]
    wrong = itertools.cycle(sorted(set("ABCD") - {right}))
    answers = [(first + second).format(r=right, w=next(wrong)) for first, second in pairs]
    assert [answer for answer in answers if careful(answer, OPTIONS).letter != right] == []


def test_a_claim_with_a_hedge_is_a_claim_where_there_is_no_other() -> None:
    assert careful("B is plausible.", OPTIONS).letter == "B"
    assert careful("B is a possibility; A is not.", OPTIONS).letter == "B"
    assert careful("A is plausible. B is also plausible.", OPTIONS).letter is None
    assert careful("B is correct. A is also correct.", OPTIONS).letter is None


THINGS = (
    "man", "car", "can of soda", "match", "logo", "look at the image", "moment later", "war memorial", "son",
    "must-see",
    "fit athlete", "hay bale", "closer look", "red car", "so-called hero", "sun hat", "note", "mistaken identity",
)  # fmt: skip


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize(
    "seen", ["is in the image.", "can be seen.", "stands on the left.", "is shown, which is blue."]
)
def test_an_article_is_no_letter(thing: str, seen: str) -> None:
    """Also before words that mean something in a statement, some of them in another language: French "car"."""
    said = f"A {thing} {seen}"
    assert careful(said, OPTIONS).letter is None
    for claim in ("So B.", "Therefore, the answer is B.", "B", "The correct option is B."):
        assert careful(f"{said} {claim}", OPTIONS).letter == "B"
