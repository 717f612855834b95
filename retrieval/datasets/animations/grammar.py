"""Caption templates -> sentences: synonyms, optional parts, agreement in number.

{colour}            a phrase for the clip's value of that attribute
{n|boat|boats}      the first where the attribute n is 1, the second otherwise
(drifts|floats)     one of the alternatives; they nest
[over the hills]    kept or left out, by the level of detail
*word               marks the whole alternative or phrase as one that only test captions use
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

OPENINGS = ("in this film", "in this clip", "animation:", "short film:", "animated clip:")

_VOWEL = re.compile(r"\b([Aa]) (?=(?!uni|use|usu|eu|one|once)[aeiou]|hour|honest)")


class _Template:
    """Reads one template from left to right and writes one sentence."""

    def __init__(
        self,
        text: str,
        look: Mapping[str, str | int],
        phrases: Mapping[str, Mapping[str | int, tuple[str, ...]]],
        rng: np.random.Generator,
        detail: float,
        test_words: bool,
    ) -> None:
        self.text, self.look, self.phrases = text, look, phrases
        self.rng, self.detail, self.test_words = rng, detail, test_words
        self.at = 0

    def sequence(self, stop: str = "") -> str:
        out: list[str] = []
        while self.at < len(self.text) and self.text[self.at] not in stop:
            char = self.text[self.at]
            self.at += 1
            if char == "(":
                out.append(self._one_of())
            elif char == "[":
                part = self.sequence("]")
                self.at += 1
                # The draw is made either way, so that a template always uses the same randomness.
                out.append(part if self.rng.random() < self.detail else "")
            elif char == "{":
                end = self.text.index("}", self.at)
                out.append(self._value(self.text[self.at : end]))
                self.at = end + 1
            else:
                out.append(char)
        return "".join(out)

    def _one_of(self) -> str:
        options = []
        while True:
            options.append(self.sequence("|)"))
            self.at += 1
            if self.text[self.at - 1] == ")":
                return self._pick(options)

    def _value(self, name: str) -> str:
        name, *forms = name.split("|")
        value = self.look[name]
        if forms:
            return forms[0] if value == 1 else forms[1]
        return self._pick(self.phrases[name][value])

    def _pick(self, options: list[str] | tuple[str, ...]) -> str:
        allowed = [option for option in options if self.test_words or "*" not in option]
        return allowed[self.rng.integers(len(allowed))].replace("*", "")


def sentence(
    template: str,
    look: Mapping[str, str | int],
    phrases: Mapping[str, Mapping[str | int, tuple[str, ...]]],
    rng: np.random.Generator,
    detail: float = 1.0,
    test_words: bool = False,
) -> str:
    """Write one caption.

    Args:
        template: text in the little language above.
        look: the clip's value for each attribute.
        phrases: attribute -> value -> ways to say it.
        rng: decides synonyms and optional parts.
        detail: chance that an optional part is kept, 0..1.
        test_words: allow the starred words, which no training caption has.

    Returns:
        A lower-case sentence without a full stop.

    Raises:
        ValueError: the template has an unclosed bracket or names an unknown attribute.
    """
    try:
        text = _Template(template, look, phrases, rng, detail, test_words).sequence()
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError(f"template {template!r} cannot be read: {error!r}") from error
    text = re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s+", " ", text)).strip(" ,")
    return _VOWEL.sub(r"\1n ", text)


def captions(
    templates: tuple[str, ...],
    look: Mapping[str, str | int],
    phrases: Mapping[str, Mapping[str | int, tuple[str, ...]]],
    rng: np.random.Generator,
    n: int = 20,
    test_words: bool = False,
) -> tuple[str, ...]:
    """Write n captions of one clip; the first two thirds tell more than the rest.

    Captions may repeat only where the scene has no further way to say it.
    """
    written: list[str] = []
    for i in range(n):
        detail = (0.95, 0.75, 0.35)[min(3 * i // n, 2)]
        for _ in range(8):
            template = templates[rng.integers(len(templates))]
            text = sentence(template, look, phrases, rng, detail, test_words)
            if rng.random() < 0.08:
                text = f"{OPENINGS[rng.integers(len(OPENINGS))]} {text}"
            if text not in written:
                break
        written.append(text)
    return tuple(written)
