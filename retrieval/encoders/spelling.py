"""A caption -> its words, and other forms of a word that a table of vectors may know."""

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Nearly every word of three letters is one edit from another, and of five letters two edits.
MIN_LETTERS, MIN_LETTERS_TWICE = 4, 6

# Numbers with points in them; "do" and "n't"; "dog" and "'s"; words; each other character alone.
_TOKEN = re.compile(
    r"\d+(?:[.,:]\d+)+|\w+?(?=n['’]t\b)|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b|\w+|[^\w\s]",
    re.IGNORECASE,
)
_IRREGULAR = {
    **dict.fromkeys(("am", "are", "is", "was", "were", "been", "being", "'m", "'re"), "be"),
    **dict.fromkeys(("has", "had", "having", "'ve"), "have"),
    **dict.fromkeys(("does", "did", "done"), "do"),
    **dict.fromkeys(("goes", "went", "gone"), "go"),
    **{"men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth"},
    **{"mice": "mouse", "geese": "goose", "ran": "run", "sat": "sit", "ate": "eat", "n't": "not"},
    **{"'ll": "will", "threw": "throw", "drove": "drive", "wrote": "write", "rode": "ride"},
}
_ENDINGS = (  # ending -> what may stand in its place
    ("ies", ("y", "ie")),
    ("ves", ("f", "fe", "ve")),
    ("es", ("e", "")),
    ("s", ("",)),
    ("ied", ("y", "ie")),
    ("ed", ("e", "")),
    ("ing", ("e", "")),
)


def split_words(caption: str) -> list[str]:
    """Words as they are spelled, contractions and punctuation apart.

    >>> split_words("A dog's owner doesn't run, 3.5 km!")
    ['A', 'dog', "'s", 'owner', 'does', "n't", 'run', ',', '3.5', 'km', '!']
    """
    return _TOKEN.findall(caption.replace("’", "'"))


def lemmas(word: str) -> Iterator[str]:
    """Dictionary forms that a word may have, the likeliest first, by English endings alone.

    >>> list(lemmas("Running"))
    ['running', 'runne', 'runn', 'run']
    """
    lower = word.lower()
    if lower != word:
        yield lower
    if lower in _IRREGULAR:
        yield _IRREGULAR[lower]
    for ending, others in _ENDINGS:
        stem = lower.removesuffix(ending)
        if stem == lower or len(stem) < 2 or lower.endswith("ss"):
            continue
        yield from (stem + other for other in others)
        if ending in ("ed", "ing") and stem[-1] == stem[-2]:
            yield stem[:-1]
        return


def nearest(word: str, places: Callable[[Sequence[str]], np.ndarray]) -> str | None:
    """The known word that takes the fewest edits, of two at most.

    An edit removes, changes or adds a letter, or swaps two neighbours. Of several words, the one
    that stands first in the table.

    Args:
        word: letters only, four or more for one edit and six or more for two; for others it is
            None.
        places: words -> where they stand in the table, -1 where they do not.
    """
    lower = word.lower()
    if len(lower) < MIN_LETTERS or not (lower.isascii() and lower.isalpha()):
        return None
    once = _edited(lower)
    best = _first(once, places)
    if best is None and len(lower) >= MIN_LETTERS_TWICE:
        best = _first({twice for one in once for twice in _edited(one)}, places)
    return best


def _first(words: set[str], places: Callable[[Sequence[str]], np.ndarray]) -> str | None:
    spelled = list(words)
    found = places(spelled)
    known = np.flatnonzero(found >= 0)
    return spelled[known[found[known].argmin()]] if len(known) else None


def _edited(word: str) -> set[str]:
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    edited = {left + right[1:] for left, right in cuts if right}
    edited |= {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    edited |= {left + c + right[1:] for left, right in cuts if right for c in LETTERS}
    edited |= {left + c + right for left, right in cuts for c in LETTERS}
    return edited - {"", word}
