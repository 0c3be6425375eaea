"""What a text can be found by: its words without case, accents, vowel signs and marks of direction. Pure.

The same folding is done to what is kept and to what is typed, so that "hopital" finds "Hôpital" and Arabic is found
with or without its vowels. Scripts that write no spaces are cut into pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata

#: A text is found by so many different words at most, a word by so many of its first characters.
MOST_WORDS, MOST_CHARACTERS = 1000, 40
#: So many words of a search count.
MOST_TERMS = 10
#: A shorter word is looked for as it is, a longer one as the beginning of a word.
SHORT = 3

_WORD = re.compile(rf"[^\W_]{{1,{MOST_CHARACTERS}}}")
_ASCII_WORD = re.compile(rf"[a-z0-9]{{1,{MOST_CHARACTERS}}}")
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]+)"
)
#: Letters that no decomposition takes to their plain form, and Arabic letters that are written one for the other.
_PLAIN: dict[int, str | None] = str.maketrans({
    "ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d",
    "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "ـ": None,
})  # fmt: skip
_ARTICLE = "ال"
#: Characters that join words, part them or turn their direction, and are not seen.
_HIDDEN = frozenset(map(chr, (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF)))


def searchable(*texts: str) -> str:
    """The words of each text on a line of its own, each word between two spaces; "" where there is none."""
    lines = [" ".join(list(dict.fromkeys(_words(text)))[:MOST_WORDS]) for text in texts]
    return "\n".join(f" {line} " for line in lines) if any(lines) else ""


def with_title(before: str, title: str) -> str:
    """What `searchable` gave, where the first text, the title, is another one now."""
    return "\n".join([searchable(title) or "  ", *before.split("\n")[1:]])


def terms(asked: str) -> list[tuple[str, bool]]:
    """What a search asks for: (word, whether longer words that begin with it count too). All of them must occur."""
    found = dict.fromkeys(_words(asked, alone=False))
    return [(word, len(word) >= SHORT or not word.isascii()) for word in found][:MOST_TERMS]


def _words(text: str, *, alone: bool = True) -> list[str]:
    """Of a run without spaces each pair of neighbours, and the last character `alone`: so each one begins something."""
    text = text.casefold()
    if text.isascii():
        return _ASCII_WORD.findall(text)
    words: list[str] = []
    for word in _WORD.findall(_folded(text)):
        for part in _UNSPACED.split(word):
            if _UNSPACED.match(part):
                words += [part[at:at + 2] for at in range(max(1, len(part) - (not alone)))]
            elif part:
                words.append(_stem(part))
    return words


def _folded(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text).casefold()
    marks: dict[int, str | None] = {ord(one): None for one in set(apart) if _is_mark(one)}
    return unicodedata.normalize("NFC", apart.translate(_PLAIN | marks))


def _is_mark(one: str) -> bool:
    return one in _HIDDEN or unicodedata.category(one)[0] == "M"


def _stem(word: str) -> str:
    return word[len(_ARTICLE):] if word.startswith(_ARTICLE) and len(word) > len(_ARTICLE) + 2 else word
