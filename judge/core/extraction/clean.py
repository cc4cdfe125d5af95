"""What is not the answer, taken away: thoughts, end tokens, markup, and what follows an invented next question.

    parts("<think>A?</think>**C**<|im_end|>")       -> ["C"]
    parts("C\\n\\nQuestion: Is there a dog? …")     -> ["C", "Question: Is there a dog? …"]
    marked(r"so \\boxed{\\text{C}}")                -> [("boxed", ["C"])]

Every pattern is linear; of an answer longer than `HEAD + TAIL` characters its beginning and its end are read.
"""

from __future__ import annotations

import html
import re
import unicodedata

from judge.core.thoughts import spoken

HEAD, TAIL = 2_000, 6_000

# letters in the dress of another alphabet: 🅰, 🅲, Ⓒ by NFKC; Cyrillic and Greek look-alikes; Arabic ones by their order
_DRESSED: dict[int, str | None] = {start + k: chr(65 + k) for start in (0x1F150, 0x1F170) for k in range(8)}
_DRESSED |= {0x2212: "-", 0x2010: "-", 0x2011: "-", 0xFE0F: None, 0x200B: None, 0xFEFF: None, 0x2019: "'", 0x2018: "'"}
_ALONE = re.compile(r"(?<!\w)[АВСЕНΑΒΕΗأبجد](?!\w| [а-яα-ω])")
_LATIN = str.maketrans("АВСЕНΑΒΕΗأبجد", "ABCEHABEHABCD")

_TURN = (
    r"<\|im_start\|>\s{0,3}user|<\|user\|>|<\|start_header_id\|>\s{0,3}user|<start_of_turn>\s{0,3}user|\[\|user\|\]"
    r"|<\|USER_TOKEN\|>|\[INST\]|<\|User\|>|<｜User｜>|<\|start\|>user"
)
_NEXT = re.compile(
    rf"{_TURN}|\n[ \t#*]{{0,6}}(?:(?:human|user|instruction|input|prompt|q|question|next question|new question"
    r"|follow-up question|问题|問題|用户|質問|질문|pregunta|pergunta|domanda|frage|вопрос)"
    r"(?: ?\d{1,3})?[ *]{0,3}:|(?:instruction|human|user|question)s?[ *#]{0,6}\n)",
    re.IGNORECASE,
)
_CONTROL = re.compile(
    r"<\|[^<>\n]{1,40}\|>|</?s>|<(?:end_of_turn|start_of_turn|eos|bos|pad|unk|end_of_utterance|eop|eoa|eod|sep|im_end"
    r"|image|row_sep|extra_id_\d)>|\[/?INST\]|\[(?:EOS|END|PAD|SEP|CLS)\]|\[\|[a-z]{1,20}\|\]|\[UNUSED_TOKEN_\d{1,4}\]"
    r"|\[END FINAL RESPONSE\]|<0x0A>",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"\A[\s#*]{0,9}(?:assistant|model|ai|bot|gpt|助手)[ *]{0,3}:?[ *]{0,3}(?=[\n:]|(?<=[:*]))", re.IGNORECASE
)
_TEX = re.compile(r"\\(?!(?:boxed|fbox|times|to|rightarrow)\b)[a-zA-Z]{1,15} ?(?=\{)|\\[\[\]()]|\\[ ,;!]")
_TEX_ARROW = re.compile(r"\\(?:to|rightarrow|Rightarrow|implies|longrightarrow)\b")
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~|<(del|strike)>[^<\n]{1,200}</\1>", re.IGNORECASE)
_HTML = re.compile(r"</?[a-zA-Z][^<>\n]{0,60}>")
_ANGLED = re.compile(r"<([A-H])>")
_EMPHASIS = re.compile(r"[*`$]|__|(?<!\w)_|_(?!\w)|~~")
_QUOTED_QUESTION = re.compile(r"[\"“][^\"“”\n]{3,200}\?[\"”]")
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n ?")
_MORE_LINES = re.compile(r"\n{3,}")
_BULLET = re.compile(r"^(?:[-•·>#+]{1,6} |\d{1,2}[.)] |#{1,6})+", re.MULTILINE)
_QA = re.compile(r"^A: ?(?=\W?[A-H]\W{0,2}\Z)", re.MULTILINE)  # Q: … A: C
_FENCE = re.compile(r"```[a-z]{0,12}\n?")

_BOXED = re.compile(r"\\(?:boxed|fbox) ?\{[{(\[ ]{0,4}([^{}\n]{0,200})")
_BOX_TOKENS = re.compile(r"<\|begin_of_box\|>([^<]{0,300})", re.IGNORECASE)
_TAGGED = re.compile(
    r"<(?:final[_ ]?answer|answer|conclusion|final|choice|option|solution)>"
    r"([^<]{0,300}(?:<(?!/?[a-z_]{4,}>)[^<]{0,300}){0,5})",
    re.IGNORECASE,
)
_KEY = (
    r"(?:(?:final|correct|selected|chosen|my|the|best|model)[_ ]?)?"
    r"(?:answers?|choice|option|prediction|label|letter|output|response|selection|solution|答案|选项)"
)
_JSON = re.compile(
    rf"[\"']{_KEY}(?:[_ ](?:letter|choice|option|key))?[\"'] ?: ?"
    r"(?:\"([^\"\n]{0,300})\"|'([^'\n]{0,300})'|\[([^\]\n]{0,100})\]|([A-H])\b)",
    re.IGNORECASE,
)
_TOGETHER = re.compile(r"[\s$}\\()]*(?:or|and|/|,|或|和|ou|o|y|e|oder)[\s$\\()]*", re.IGNORECASE)
MARKERS = (("boxed", _BOXED), ("boxed", _BOX_TOKENS), ("tagged", _TAGGED), ("json", _JSON))


def parts(answer: str) -> list[str]:
    """The answer up to an invented next question, then what follows it; none of them empty. Two at most."""
    text = _without_thoughts(answer)
    text = _ROLE.sub("", _shortened(text), count=1).strip()
    text = html.unescape(text).translate(_DRESSED)
    text = _shortened(unicodedata.normalize("NFKC", text))
    text = _ALONE.sub(lambda match: match[0].translate(_LATIN), text)
    following = _NEXT.search(text, 1)
    pieces = [text[: following.start()], text[following.start() :]] if following else [text]
    return [piece for piece in (piece.strip() for piece in pieces) if piece]


def marked(part: str) -> list[tuple[str, list[str]]]:
    """What stands in places set apart for the answer, by family, in order of the text; the first family decides."""
    text = _STRUCK.sub(" ", _TEX.sub("", part))
    found = []
    for name, pattern in MARKERS:
        inside: list[str] = []
        end = 0
        for match in pattern.finditer(text):
            said = next((group for group in match.groups() if group is not None), "")
            if inside and _TOGETHER.fullmatch(text[end : match.start()][:40]):
                said = f"{inside.pop()} or {said}"
            inside.append(said)
            end = match.end()
        if inside:
            found.append((name, inside))
    return found


def plain(part: str) -> str:
    """Words, stops and signs only: no markup, bullets, end tokens or quoted questions; blanks single."""
    text = _FENCE.sub("", _STRUCK.sub(" ", part))
    text = _TEX_ARROW.sub("→", _TEX.sub("", _CONTROL.sub(" ", text)))
    text = _ANGLED.sub(r" \1 ", text) if "</" not in text else text
    text = _EMPHASIS.sub("", _HTML.sub(" ", text)).replace("|", " ").replace("\\boxed", "")
    text = _QUOTED_QUESTION.sub("", text)
    text = _MORE_LINES.sub("\n\n", _LINES.sub("\n", _BLANKS.sub(" ", text)))
    return _QA.sub("Answer: ", _BULLET.sub("", text).strip())


def _without_thoughts(answer: str) -> str:
    said = spoken(answer)
    if not any(stretch.strip() for stretch in said):
        # a thought that was never closed may still hold a tagged answer at its end
        tagged = answer.lower().rfind("<answer>")
        return answer[tagged:] if tagged >= 0 and "</answer>" in answer[tagged:].lower() else ""
    last = said[-1] if said[-1].strip() else "".join(said)
    return last if _BARE.fullmatch(last) else "\n".join(said)


_BARE = re.compile(r"[\W_]{0,20}[A-Ha-h][\W_]{0,20}")


def _shortened(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"
