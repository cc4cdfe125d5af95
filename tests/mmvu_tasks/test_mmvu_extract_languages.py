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
    "Japanese": (
        "正解は{r}です", "答えは{r}です", "{r}が正しいです", "{r}を選びます", "したがって{r}です", "{r}",
        "最も適切なのは{r}です",
    ),
    "Korean": (
        "정답은 {r}입니다", "답은 {r}입니다", "{r}가 맞습니다", "{r}를 선택합니다", "따라서 {r}입니다", "{r}",
    ),
    "Russian": (
        "Ответ: {r}", "Правильный ответ: {r}", "Я выбираю {r}", "Думаю, {r}", "Это {r}", "{r} верно",
        "Поэтому {r}", "Верный вариант {r}",
    ),
    "Portuguese": (
        "A resposta é {r}", "Escolho {r}", "Acho que é {r}", "É {r}", "{r} está correta", "Portanto, {r}",
        "Resposta: {r}", "A opção correta é {r}",
    ),
    "Italian": (
        "La risposta è {r}", "Scelgo {r}", "Credo che sia {r}", "È {r}", "{r} è corretta", "Quindi {r}",
        "Risposta: {r}", "Direi {r}",
    ),
    "Vietnamese": (
        "Đáp án là {r}", "Tôi chọn {r}", "Câu trả lời đúng là {r}", "{r} đúng", "Vì vậy {r}", "Tôi nghĩ là {r}",
    ),
    "Indonesian": (
        "Jawabannya adalah {r}", "Saya memilih {r}", "Jawaban yang benar adalah {r}", "{r} benar", "Jadi {r}",
        "Jawaban: {r}",
    ),
    "Arabic": (
        "الإجابة هي {r}", "أختار {r}", "الجواب الصحيح هو {r}", "{r} صحيحة", "إذن {r}", "الإجابة: {r}",
    ),
    "Turkish": (
        "Cevap {r}", "Doğru cevap {r}", "{r} doğru", "Cevap: {r}", "Bu yüzden {r}",
    ),
    "Hindi": (
        "सही उत्तर {r} है", "उत्तर: {r}", "{r} सही है", "इसलिए {r}",
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
    "Japanese": (
        "。{w}は誤りです。", "。{w}は背景を説明しています。", "。{w}ではありません。",
        "。{w}も考えられますが、写真と一致しません。", "。もし彼が走っていれば{w}です。",
        "。一見{w}が正しく見えます。", "。質問は{w}を示唆しています。",
    ),
    "Korean": (
        ". {w}는 틀렸습니다.", ". {w}는 배경을 설명합니다.", ". {w}가 아닙니다.",
        ". 만약 그가 달린다면 {w}입니다.", ". {w}도 가능하지만 사진과 일치하지 않습니다.",
        ". 언뜻 보면 {w}가 맞습니다.",
    ),
    "Russian": (
        ", хотя {w} тоже возможен.", ", а не {w}.", ". {w} неверно.", ". {w} описывает фон.",
        ". Если бы он бежал, было бы {w}.", ". Некоторые выбрали бы {w}.", ". {w} не подходит.",
        ". На первый взгляд {w} кажется правильным.", ". Вопрос подразумевает {w}.",
    ),
    "Portuguese": (
        ", embora {w} também seja plausível.", ", porque {w} não corresponde.", ", não {w}.", ". {w} é falsa.",
        ". {w} descreve o fundo.", ". Se ele corresse, seria {w}.", ". Alguns escolheriam {w}.",
        ". {w} está descartada.", ". A pergunta sugere {w}.", ". {w} não está correta.", ", em vez de {w}.",
        ". À primeira vista {w} parece correta.",
    ),
    "Italian": (
        ", anche se {w} è possibile.", ", perché {w} non corrisponde.", ", non {w}.", ". {w} è falsa.",
        ". {w} descrive lo sfondo.", ". Se corresse, sarebbe {w}.", ". Alcuni sceglierebbero {w}.",
        ". {w} è esclusa.", ". La domanda suggerisce {w}.", ". {w} non è corretta.", ", invece di {w}.",
        ". A prima vista {w} sembra corretta.",
    ),
    "Vietnamese": (
        ". {w} sai.", ", không phải {w}.", ", mặc dù {w} cũng có thể.", ". {w} không đúng.",
        ". Nếu anh ấy chạy thì là {w}.", ". {w} mô tả nền.",
    ),
    "Indonesian": (
        ". {w} salah.", ", bukan {w}.", ", meskipun {w} juga mungkin.", ". {w} tidak benar.",
        ". Jika dia berlari, jawabannya {w}.", ". {w} menggambarkan latar.", ". Sekilas {w} tampak benar.",
    ),
    "Arabic": (
        ". {w} خاطئة.", "، وليس {w}.", ". {w} غير صحيحة.", ". لو كان يركض لكانت {w}.", ". {w} تصف الخلفية.",
    ),
    "Turkish": (
        ". {w} yanlış.", ", {w} değil.", ". {w} doğru değil.", ". Eğer koşsaydı {w} olurdu.",
    ),
    "Hindi": (
        "। {w} गलत है।", ", {w} नहीं।", "। {w} सही नहीं है।", "। {w} पृष्ठभूमि का वर्णन करता है।",
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
