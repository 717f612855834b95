"""Any open_clip model -> an encoder of sentences and videos (this folder owns open_clip).

Here stands what is known of a model without loading one: the files of its folder, and its words.
"""

import re

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"  # the name open_clip itself looks for first
WORDS = "words.txt"  # words of the training captions, one a line
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a sentence as `unknown_words` compares them, in lower case."""
    return [_plain(word) for word in _WORD.findall(text)]


def unknown_words(text: str, known: frozenset[str]) -> list[str]:
    """Words of a sentence, as they stand there and each once, that are not among the known."""
    words = _WORD.findall(text) or text.split()  # signs alone are not known either
    return [word for word in dict.fromkeys(words) if _plain(word) not in known]


def _plain(word: str) -> str:
    return word.lower().replace("’", "'")
