"""What models say in other languages than English of the letters that they do not choose."""

from __future__ import annotations

import itertools

import pytest

from judge.core.option_letter import careful

OPTIONS = ("He is reading a newspaper.", "He is feeding the birds.", "He is sleeping.", "There is no man on the bench.")

# {r}: the letter that is chosen, {w}: another one
CHOSEN = {
    "Chinese": (
        "我选{r}", "答案是{r}", "应该是{r}", "我认为是{r}", "选{r}", "正确选项为{r}", "{r}", "所以{r}是对的",
        "{r}最合适", "因此答案为{r}",
    ),
    "German": (
        "Ich wähle {r}", "Die Antwort ist {r}", "Richtig ist {r}", "Ich denke, {r}", "Es ist {r}",
        "{r} ist richtig", "Also {r}", "Antwort: {r}", "{r} passt am besten", "Ich würde {r} wählen",
    ),
    "French": (
        "Je choisis {r}", "La réponse est {r}", "Je dirais {r}", "C'est {r}", "{r} est correct", "Donc {r}",
        "Réponse : {r}", "La bonne réponse est {r}", "{r} est la meilleure réponse", "Je pense que c'est {r}",
    ),
    "Spanish": (
        "Elijo {r}", "La respuesta es {r}", "Diría {r}", "Es {r}", "{r} es correcta", "Por lo tanto, {r}",
        "Respuesta: {r}", "La opción correcta es {r}", "Creo que es {r}",
    ),
}  # fmt: skip
OF_ANOTHER = {
    "Chinese": (
        "，虽然{w}也有可能。", "，因为{w}与图片不符。", "。{w}看起来也合理。", "。{w}是问题暗示的。",
        "，而不是{w}。", "。{w}不正确。", "。{w}提到了跑步，但图中没有。", "。{w}与图不符。",
        "。如果他在跑，则选{w}。", "。有人可能会选{w}。", "。{w}描述的是背景。", "。乍一看{w}也对。",
        "，{w}错误。", "。排除{w}。", "。{w}也不对。",
    ),
    "German": (
        ", obwohl {w} auch plausibel ist.", ", weil {w} nicht passt.", ". {w} wäre auch möglich.",
        ", nicht {w}.", ". {w} ist falsch.", ". {w} beschreibt den Hintergrund.", ". {w} erwähnt das Laufen.",
        ". Wenn er liefe, wäre es {w}.", ". Manche würden {w} wählen.", ". {w} scheidet aus.",
        ". Die Frage legt {w} nahe.", ". {w} trifft nicht zu.", ", statt {w}.",
        ". Auf den ersten Blick scheint {w} richtig.",
    ),
    "French": (
        ", bien que {w} soit aussi plausible.", ", car {w} ne correspond pas.", ". {w} serait aussi possible.",
        ", pas {w}.", ". {w} est faux.", ". {w} décrit l'arrière-plan.", ". S'il courait, ce serait {w}.",
        ". Certains choisiraient {w}.", ". {w} est exclu.", ". La question suggère {w}.",
        ". {w} ne convient pas.", ", plutôt que {w}.", ". À première vue, {w} semble correct.",
    ),
    "Spanish": (
        ", aunque {w} también es plausible.", ", porque {w} no encaja.", ". {w} también sería posible.",
        ", no {w}.", ". {w} es falsa.", ". {w} describe el fondo.", ". Si corriera, sería {w}.",
        ". Algunos elegirían {w}.", ". {w} queda descartada.", ". La pregunta sugiere {w}.",
        ". {w} no es correcta.", ", en lugar de {w}.", ". A primera vista {w} parece correcta.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", CHOSEN)
def test_what_is_said_of_another_letter_claims_nothing(language: str) -> None:
    letters = itertools.cycle(itertools.permutations("ABCD", 2))
    missed = []
    for claim, tail in itertools.product(CHOSEN[language], OF_ANOTHER[language]):
        right, wrong = next(letters)
        answer = (claim + tail).format(r=right, w=wrong)
        if careful(answer, OPTIONS).letter != right:
            missed.append(answer)
    assert missed == []
