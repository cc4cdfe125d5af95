"""The slow LlamaTokenizer of transformers 4.37.2 over SentencePiece alone, and a closed door for untrusted text.

    tokenizer.encode_trusted("<|user|>\\nHi")     ->  [1, 467, 570, …]     added tokens are parsed, <s> comes first
    tokenizer.encode_untrusted("<|user|>\\nHi")   ->  [63, 127, 486, …]    nothing is parsed

The trusted door gives the ids the reference judge runs on, quirks included (transformers @4.37.2, tokenization_utils.py
`tokenize` and models/llama/tokenization_llama.py): a blank in front of the prompt, or of every run of text with
`legacy`; white space eaten beside tokens with `rstrip` or `lstrip`; a lone first blank dropped only in front of tokens
that the folder lists as special. The untrusted door knows neither added tokens nor headings of the protocol.

Files of the folder: tokenizer.model and tokenizer_config.json; special_tokens_map.json and added_tokens.json only where
the config has no `added_tokens_decoder`. No protobuf, no transformers.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.model.judge_files import MAX_TOKENIZER, Fields, parse_index, read_bytes, read_object

BLANK = "\u2581"
"""SentencePiece's mark for a space."""

HEADING = re.compile(r"(?<!#)#+\s*(?:question|correct\s*answer|answer|feedback|score)", re.IGNORECASE)
"""What could be taken for a heading of the protocol, wherever it stands: `### Score`, `##correct  Answer`, …"""

# A NormalizerSpec with add_dummy_prefix = false. Fields of a serialised message that occur twice merge, so appending
# this to the model file is what the reference does through protobuf (tokenization_llama.py, get_spm_processor).
_NO_DUMMY_PREFIX = b"\x1a\x02\x18\x00"

# Must come back from the pieces as it went in: nothing folded, no white space removed, every byte allowed.
_PROBE = "\n a  b \t\n\n ＃ ﬁ ① E\u0301 \x00\x7f\u00a0\U0001f600\r\n  "

MAX_ADDED, MAX_CONTENT = 4096, 100
"""Added tokens of a tokenizer, and characters of one: text is searched for all of them at once."""

_FIX = "fetch the checkpoint again, or name another judge"


@dataclasses.dataclass(frozen=True)
class Added:
    """An added token; `lstrip` and `rstrip` say on which side it eats white space."""

    content: str
    id: int
    lstrip: bool = False
    rstrip: bool = False


@dataclasses.dataclass(frozen=True)
class Rules:
    """How prompts are laid out. listed: contents of added tokens that count as special. legacy: whether every run of
    text gets a blank in front, and not the prompt alone. first, last: contents of added tokens put around prompts."""

    listed: Sequence[str] = ()
    legacy: bool = False
    first: Sequence[str] = ()
    last: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Text between added tokens: a template's own, or untrusted."""

    text: str
    trusted: bool = True


class Tokenizer:
    """See the module. `special` maps the content of every added token (<s>, <|end|>, <IMG_CONTEXT>, …) to its id."""

    def __init__(self, model: bytes, added: Sequence[Added], rules: Rules, *, file: Path | None = None) -> None:
        """model: bytes of tokenizer.model, which `file` names in errors.

        Raises UserError for a vocabulary that this class would not be exact for.
        """
        import sentencepiece

        sp, decoder = sentencepiece.SentencePieceProcessor(), sentencepiece.SentencePieceProcessor()
        try:
            sp.LoadFromSerializedProto(model + _NO_DUMMY_PREFIX)
            decoder.LoadFromSerializedProto(model if rules.legacy else model + _NO_DUMMY_PREFIX)
            pieces = [sp.id_to_piece(i) for i in range(sp.vocab_size())]
        except (RuntimeError, UnicodeDecodeError) as error:
            raise UserError(f"not a SentencePiece model ({error})", file=file, fix=_FIX) from None
        self._sp, self._decoder, self._rules = sp, decoder, rules
        self._byte = [sp.piece_to_id(f"<0x{value:02X}>") for value in range(256)]
        self._byte_value = {i: value for value, i in enumerate(self._byte)}
        self._vocabulary = len(pieces)
        ids = {piece: i for i, piece in enumerate(pieces)}
        known = {token.content for token in added}
        missing = [
            content for content in dict.fromkeys([*rules.listed, *rules.first, *rules.last]) if content not in known
        ]
        for content in missing:
            if content not in ids:
                raise UserError(f"special token {content!r} has no id", file=file, fix=_FIX)
        self._added = {token.content: token for token in [*added, *(Added(c, ids[c]) for c in missing)]}
        self._content = {token.id: content for content, token in self._added.items()}
        self.special: Mapping[str, int] = {content: token.id for content, token in self._added.items()}
        self._listed = frozenset(rules.listed)
        self._first, self._last = ([self.special[content] for content in side] for side in (rules.first, rules.last))
        longest_first = sorted(self._added, key=len, reverse=True)
        self._split = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        inert = {i for i in range(len(pieces)) if sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i)}
        self._forbidden = inert | set(self._content)
        if not all(map(sp.is_byte, self._byte)):
            raise UserError("the vocabulary has no byte pieces", file=file, fix=_FIX)
        if any("\n" in piece for piece in pieces):
            raise UserError("a piece of the vocabulary spans a line break", file=file, fix=_FIX)
        if self.text_of(sp.encode(_PROBE)) != _PROBE:
            raise UserError("the vocabulary rewrites text before splitting it", file=file, fix=_FIX)

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Read a checkpoint folder; absent flags take the defaults of 4.37.2. Raises UserError naming the file."""
        added = read_added(folder)[1]
        config = read_object(folder / "tokenizer_config.json")
        if config.get("added_tokens_decoder") is None:
            config |= _object_if_there(folder / "special_tokens_map.json")
        fields = Fields(config, folder / "tokenizer_config.json")
        bos, eos, unk, pad = (
            _content(fields, f"{name}_token", default)
            for name, default in (("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>"), ("pad", None))
        )
        more = config.get("additional_special_tokens") or []
        if not isinstance(more, list):
            raise fields.error("additional_special_tokens", "a list of tokens")
        named = Fields({str(number): token for number, token in enumerate(more)}, fields.file)
        additional = [_content(named, str(number), None) for number in range(len(more))]
        rules = Rules(
            listed=[content for content in (bos, eos, unk, pad, *additional) if content],
            legacy=fields.flag("legacy", default=True),
            first=[bos] if bos and fields.flag("add_bos_token", default=True) else [],
            last=[eos] if eos and fields.flag("add_eos_token", default=False) else [],
        )
        model = folder / "tokenizer.model"
        data = read_bytes(model, MAX_TOKENIZER)
        return cls(data, added, rules, file=model)

    @property
    def added(self) -> tuple[Added, ...]:
        """Every added token, by id."""
        return tuple(sorted(self._added.values(), key=lambda token: token.id))

    @property
    def legacy(self) -> bool:
        """Whether every run of text gets a blank in front, and not the prompt alone."""
        return self._rules.legacy

    def __len__(self) -> int:
        """All ids are below this number."""
        return max([self._vocabulary, *(i + 1 for i in self._content)])

    def encode_trusted(self, text: str) -> list[int]:
        """The reference's ids of a whole prompt."""
        text = text if self._rules.legacy else text.replace(BLANK, " ")
        items: list[Added | Chunk] = []
        position = 0
        for match in self._split.finditer(text):
            items += [Chunk(text[position : match.start()]), self._added[match.group()]]
            position = match.end()
        return self.encode([*items, Chunk(text[position:])])[0]

    def encode(self, items: Iterable[Added | Chunk | str]) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of a prompt made of added tokens (or their contents) and chunks; (start, stop) of each untrusted chunk.

        Chunks are tokenised apart and joined as ids. The ids are those of `encode_trusted` for the joined string where
        chunks meet at a line break or a blank and no untrusted chunk spells an added token or a heading. Blanks between
        a trusted chunk and an untrusted one belong to the latter's span, because one piece may hold both.
        """
        ids, spans = [*self._first], []
        for run in self._runs(items):
            if isinstance(run, Added):
                ids.append(run.id)
                continue
            for chunk in _blanks_moved(run):
                start = len(ids)
                ids += self._reference(chunk.text) if chunk.trusted else self.encode_untrusted(chunk.text)
                spans += [] if chunk.trusted else [(start, len(ids))]
        return ids + self._last, spans

    def encode_untrusted(self, text: str) -> list[int]:
        """Ids of text that must stay text: no added token, no control token, no heading of the protocol.

        What spells an added token becomes ordinary pieces, what spells a heading (`HEADING`) gets a piece for every
        character, so that its ids are not those of the template's headings while a reader still reads it. This is the
        one difference from the reference, which lets both through. `text_of` gives back `clean(text)`.
        """
        text = clean(text)
        ids: list[int] = []
        position = 0
        for match in HEADING.finditer(text):
            ids += self._plain(text[position : match.start()]) + self._apart(match.group())
            position = match.end()
        return ids + self._plain(text[position:])

    def text_of(self, ids: Iterable[int]) -> str:
        """The exact text of ids: added tokens by content, blanks kept, bytes that are not UTF-8 as U+FFFD."""
        out = bytearray()
        for i in ids:
            if i in self._content:
                out += self._content[i].encode()
            elif i in self._byte_value:
                out.append(self._byte_value[i])
            else:
                out += self._sp.id_to_piece(i).replace(BLANK, " ").encode()
        return out.decode("utf-8", errors="replace")

    def decode(self, ids: Iterable[int]) -> str:
        """Generated ids as the reference decodes them with `skip_special_tokens`: listed special tokens are dropped.

        Other added tokens stay and are set off by blanks. Ids beyond the vocabulary, which a padded head could emit,
        are dropped.
        """
        kept = [i for i in ids if i < len(self) and self._content.get(i) not in self._listed]
        parts = [""]
        for is_added, group in itertools.groupby(kept, key=self._content.__contains__):
            # an empty part is kept at the end only
            parts = parts if parts[-1] else parts[:-1]
            if is_added:
                parts += [self._content[i] for i in group]
            else:
                pieces = [self._sp.id_to_piece(i) for i in group]
                parts.append(self._decoder.decode([pieces[0].removeprefix(BLANK), *pieces[1:]]))
        return " ".join(parts)

    def _runs(self, items: Iterable[Added | Chunk | str]) -> list[Added | list[Chunk]]:
        """Added tokens and the runs of chunks between them, white space as the reference lays it out."""
        flat = [self._added[item] if isinstance(item, str) else item for item in items]
        flat = [item for item in flat if isinstance(item, Added) or item.text]
        if flat and not self._rules.legacy:
            flat = [Chunk(BLANK), *flat]
        runs: list[Added | list[Chunk]] = []
        for item in flat:
            last = runs[-1] if runs else None
            if isinstance(item, Chunk):
                if isinstance(last, Added) and last.rstrip:
                    item = dataclasses.replace(item, text=item.text.lstrip())
                if item.text and isinstance(last, list):
                    last.append(item)
                elif item.text:
                    runs.append([item])
            else:
                while item.lstrip and isinstance(last, list) and last:
                    last[-1] = dataclasses.replace(last[-1], text=last[-1].text.rstrip())
                    if last[-1].text:
                        break
                    last.pop()
                runs.append(item)
        runs = [run for run in runs if run]
        if self._rules.legacy:
            return [run if isinstance(run, Added) else [Chunk(BLANK), *run] for run in runs]
        lone = runs[:1] == [[Chunk(BLANK)]]
        if lone and len(runs) > 1 and isinstance(runs[1], Added) and runs[1].content in self._listed:
            return runs[1:]
        return runs

    def _reference(self, text: str) -> list[int]:
        # the reference looks a piece up among the added tokens first
        pieces = (self._sp.id_to_piece(i) for i in self._sp.encode(text))
        return [self.special[piece] if piece in self.special else self._sp.piece_to_id(piece) for piece in pieces]

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self._sp.encode(text)
        return ids if self._forbidden.isdisjoint(ids) else self._spelled(text)

    def _apart(self, text: str) -> list[int]:
        """`text` in other ids than its ordinary ones."""
        ids = self._spelled(text)
        # a vocabulary without merges spells everything; bytes are then what ordinary text never becomes
        return ids if ids != self._sp.encode(text) else [self._byte[value] for value in text.encode()]

    def _spelled(self, text: str) -> list[int]:
        ids: list[int] = []
        for character in text:
            i = self._sp.piece_to_id(BLANK if character == " " else character)
            ids += [self._byte[value] for value in character.encode()] if i in self._forbidden else [i]
        return ids


def clean(text: str) -> str:
    """Untrusted text as its span holds it: surrogate pairs joined, lone surrogates U+FFFD, U+2581 a blank."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace(BLANK, " ")


def _blanks_moved(run: Sequence[Chunk]) -> list[Chunk]:
    """Neighbouring trusted chunks joined; blanks at the end of a trusted chunk moved to an untrusted one after it."""
    moved: list[Chunk] = []
    for chunk in run:
        last = moved[-1] if moved else None
        if last is not None and last.trusted:
            kept = "" if chunk.trusted else last.text.rstrip(" " + BLANK)
            chunk = dataclasses.replace(chunk, text=last.text[len(kept) :] + chunk.text)
            moved[-1:] = [Chunk(kept)] if kept else []
        moved.append(chunk)
    return moved


def read_added(folder: Path) -> tuple[Path, list[Added]]:
    """(file, added tokens in it) of a judge folder. Raises UserError for what is no token, or there twice."""
    file = folder / "tokenizer_config.json"
    flagged = read_object(file).get("added_tokens_decoder")
    if flagged is None:
        file = folder / "added_tokens.json"
        rows: Mapping[str, Any] = {content: {"content": content} for content in _object_if_there(file)}
        ids: Mapping[str, Any] = _object_if_there(file)
    elif isinstance(flagged, Mapping):
        rows, ids = flagged, {text: parse_index(text) for text in flagged}
    else:
        raise Fields({"added_tokens_decoder": flagged}, file).error("added_tokens_decoder", "an object")
    if len(rows) > MAX_ADDED:
        raise UserError(f"has {len(rows):,} added tokens, and at most {MAX_ADDED:,} are read", file=file, fix=_FIX)
    added = [_added(rows[name], ids[name], name, file) for name in rows]
    for values in ([token.content for token in added], [token.id for token in added]):
        if len(set(values)) != len(values):
            raise UserError("has one added token, or one id of them, twice", file=file, fix=_FIX)
    return file, added


def _object_if_there(file: Path) -> dict[str, Any]:
    return read_object(file) if file.exists() else {}


def _content(fields: Fields, name: str, default: str | None) -> str | None:
    """The content of a token given as a string, as an object or not at all."""
    value = fields.raw.get(name, default)
    content = value.get("content") if isinstance(value, Mapping) else value
    if content is not None and not isinstance(content, str):
        raise fields.error(name, "a token")
    return content


def _added(token: Any, i: Any, name: str, file: Path) -> Added:
    row = token if isinstance(token, Mapping) else {}
    content = row.get("content")
    flags = [row.get(name) or False for name in ("single_word", "lstrip", "rstrip")]
    sound = isinstance(content, str) and 0 < len(content) <= MAX_CONTENT and type(i) is int and 0 <= i < 10**9
    if not sound or flags[0] or not all(isinstance(flag, bool) for flag in flags):
        path = "added_tokens_decoder." if file.name == "tokenizer_config.json" else ""
        raise UserError(
            f"must give a content of at most {MAX_CONTENT} characters, an id and true or false for lstrip and rstrip; "
            "single_word is not supported",
            file=file,
            field=path + name[:MAX_CONTENT],
            fix=_FIX,
        )
    return Added(str(content), i, lstrip=flags[1], rstrip=flags[2])
