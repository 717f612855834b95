"""Frames -> the words and numbers that stand in them, read by matching glyphs.

Dark and light spots are cut out against their surroundings, grouped into lines of even height, and
each spot is compared with every letter and digit of Pillow's own font, in which the film library
writes. A line is read as the word of a given list that fits its spots best, or as a number; what
fits nothing well is no writing. Nothing is known of the film but its pixels.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
_SIDE = 14  # pixels of a spot made square, for comparing
_FONT = 64  # size in which patterns are drawn
_STROKES = (0, 3)  # thin and bold
_AROUND = 12  # pixels: half the side of the surroundings that tell dark from light
_LONG = 5  # letters of a word that is believed from one frame
_HEIGHTS = (6, 120)  # pixels a spot of writing may be tall
_WORD_FIT = 0.80  # mean likeness that makes a word
_LETTER_FIT = 0.55  # likeness that each of its letters has at least
_ALONE = 18  # pixels a digit alone on its line is tall at least
_MANY = 30  # spots of a line
_STRIP = (40, 10)  # width and height of a word made of one picture
_SHORT = 8  # pixels a word read as one picture is tall at least
_SQUEEZE = 1.28  # factor by which it may be wider or narrower than the font has it
_WHOLE_FIT = 0.72  # likeness that makes it a word
_LEAD = 0.08  # and by how much it is more alike than any other
_NUMBER_FIT = 0.88  # mean likeness that makes a number of up to three digits
_DIGIT_FIT = 0.75  # likeness that each of its digits has at least


class Reader:
    """Reads words of one list; the list is that of words which have a vector."""

    def __init__(self, words: Iterable[str]) -> None:
        """`words` in lower case; those of fewer than 3 letters are never read."""
        self._by_length: dict[int, tuple[list[str], np.ndarray]] = {}
        spelled = sorted(
            word for word in set(words) if len(word) > 2 and all(c in LETTERS for c in word)
        )
        for word in spelled:
            self._by_length.setdefault(len(word), ([], []))[0].append(word)
        for length, (known, _) in self._by_length.items():
            places = np.array([[LETTERS.index(c) for c in word] for word in known])
            self._by_length[length] = known, places
        self._words = [word for word in spelled if len(word) > 3]
        drawn = [
            (owner, _drawn(sign, stroke, size=32))
            for owner, word in enumerate(self._words)
            for sign in (word, word.upper())
            for stroke in (0, 2)
        ]
        drawn.sort(key=lambda pair: pair[1].width / pair[1].height)
        self._owners = np.array([owner for owner, _ in drawn])
        self._stretches = np.array([page.width / page.height for _, page in drawn])
        pictures = [_strip(page).ravel() for _, page in drawn]
        self._pictures = _standard(np.stack(pictures)) if pictures else np.zeros((0, 0))

    def read(self, frames: np.ndarray) -> list[str]:
        """Read a film.

        Args:
            frames: [n_frames, height, width, 3] uint8.

        Returns:
            each word or number once, in the order in which it is first read, line by line.
        """
        found: dict[str, int] = {}
        for frame in frames:
            for word in dict.fromkeys(self._read_frame(frame)):
                found[word] = found.get(word, 0) + 1
        # Little ink proves little: in one frame alone a ring is a nought, half a word another one.
        return [word for word, n in found.items() if n > 1 or len(word) >= _LONG]

    def _read_frame(self, frame: np.ndarray) -> Iterable[str]:
        grey = frame @ np.array([0.3, 0.59, 0.11], np.float32)
        # Small letters touch unless only their darkest is taken; thick ones, and those made of
        # dots, are whole at half the size.
        for picture, contrast in ((grey, 45), (_halved(grey), 22)):
            around = _mean_around(picture)
            for ink in (picture < around - contrast, picture > around + contrast):
                for line in _lines(_spots(ink)):
                    yield from self._read_line(ink, line)

    def _read_line(self, ink: np.ndarray, line: np.ndarray) -> Iterable[str]:
        likeness = _compare(np.stack([_square(ink, box) for box in line]))
        letters, digits = likeness[:, : len(LETTERS)], likeness[:, len(LETTERS) :]
        found = []
        for start, stop in _words(line):
            word = self._as_word(letters[start:stop]) or self._as_whole(ink, line[start:stop])
            if word is not None:
                found.append(word)
            elif stop - start <= 3 and _is_number(digits[start:stop].max(axis=1)):
                found.append("".join(DIGITS[i] for i in digits[start:stop].argmax(axis=1)))
        return found if set(found) - {"1", "11"} else []  # posts

    def _as_word(self, letters: np.ndarray) -> str | None:
        known, places = self._by_length.get(len(letters), ([], None))
        if not known:
            return None
        fit = letters[np.arange(len(letters)), places]  # [n_words, n_letters]
        best = int(fit.mean(axis=1).argmax())
        good = fit[best].mean() > _WORD_FIT and fit[best].min() > _LETTER_FIT
        shaped = sum(letter not in "iljt" for letter in known[best])  # the others are mere bars
        return known[best] if good and shaped > 1 else None

    def _as_whole(self, ink: np.ndarray, spots: np.ndarray) -> str | None:
        """Letters that touch: the word whose picture is most alike, if no other is nearly so."""
        left, top = spots[:, :2].min(axis=0)
        right, bottom = spots[:, 2:].max(axis=0)
        stretch = (right - left) / (bottom - top)
        if not self._words or stretch < 1.3 or bottom - top < _SHORT:
            return None
        about = np.array([stretch / _SQUEEZE, stretch * _SQUEEZE])
        near = slice(*np.searchsorted(self._stretches, about))
        if near.start == near.stop:
            return None
        picture = Image.fromarray(ink[top:bottom, left:right].astype(np.uint8) * 255)
        alike = self._pictures[near] @ _standard(_strip(picture).reshape(1, -1))[0]
        owners = self._owners[near]
        best = int(alike.argmax())
        others = alike[owners != owners[best]]
        lead = alike[best] - (others.max() if len(others) else 0.0)
        return self._words[owners[best]] if alike[best] > _WHOLE_FIT and lead > _LEAD else None


def _is_number(fit: np.ndarray) -> bool:
    return fit.mean() > _NUMBER_FIT and fit.min() > _DIGIT_FIT


def _halved(grey: np.ndarray) -> np.ndarray:
    """Means of two by two pixels."""
    return grey.reshape(grey.shape[0] // 2, 2, grey.shape[1] // 2, 2).mean(axis=(1, 3))


def _mean_around(grey: np.ndarray) -> np.ndarray:
    size = 2 * _AROUND + 1
    padded = np.pad(grey, _AROUND + 1, mode="edge")[:-1, :-1]
    total = padded.astype(np.float64).cumsum(axis=0).cumsum(axis=1)
    square = total[size:, size:] - total[:-size, size:] - total[size:, :-size]
    return (square + total[:-size, :-size]) / size**2


def _spots(ink: np.ndarray) -> np.ndarray:
    """Boxes of connected ink, diagonal neighbours too: [n, 4] left, top, right, bottom."""
    height, width = ink.shape
    edges = np.diff(np.pad(ink, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    stop = np.nonzero(edges == -1)[1]  # of runs, in the same order
    n = len(row)
    if not n:
        return np.zeros((0, 4), int)
    # Runs of neighbouring rows touch where each starts before the other ends; in the order of
    # places those of one row are sorted by start and by stop alike.
    wide = width + 2
    first = np.searchsorted(row * wide + stop, (row - 1) * wide + start)
    last = np.searchsorted(row * wide + start, (row - 1) * wide + stop, side="right")
    n_touched = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(n), n_touched)
    upper = np.arange(len(lower)) + np.repeat(first - (n_touched.cumsum() - n_touched), n_touched)
    label = np.arange(n)
    while True:  # each round gives both ends the lower label, then follows it to its end
        before = label.copy()
        least = np.minimum(label[lower], label[upper])
        np.minimum.at(label, label[lower], least)
        np.minimum.at(label, label[upper], least)
        while True:
            further = label[label]
            if np.array_equal(further, label):
                break
            label = further
        if np.array_equal(before, label):
            break
    _, spot = np.unique(label, return_inverse=True)
    n_spots = spot.max() + 1
    boxes = np.empty((n_spots, 4), int)
    boxes[:, :2], boxes[:, 2:] = width + height, 0
    np.minimum.at(boxes[:, 0], spot, start)
    np.minimum.at(boxes[:, 1], spot, row)
    np.maximum.at(boxes[:, 2], spot, stop)
    np.maximum.at(boxes[:, 3], spot, row + 1)
    return boxes


def _lines(boxes: np.ndarray) -> list[np.ndarray]:
    """Spots that may be letters, grouped by line, each from left to right."""
    tall, wide = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    fits = (tall >= _HEIGHTS[0]) & (tall <= _HEIGHTS[1]) & (wide <= 9 * tall) & (wide >= 2)
    left = boxes[fits]
    lines = []
    while len(left):
        tallest = left[(left[:, 3] - left[:, 1]).argmax()]
        low, tall = tallest[3], tallest[3] - tallest[1]
        middle = (left[:, 1] + left[:, 3]) / 2
        mates = (middle > tallest[1]) & (middle < low + 0.3 * tall)
        mates &= left[:, 3] - left[:, 1] > 0.4 * tall
        line = left[mates]
        left = left[~mates]
        # A small spot alone is no writing, and a row of very many is a texture.
        if tall >= _ALONE or 2 <= len(line) <= _MANY or np.ptp(tallest[::2]) > 1.3 * tall:
            lines.append(line[line[:, 0].argsort(kind="stable")])
    return lines


def _words(line: np.ndarray) -> list[tuple[int, int]]:
    """First and last place of each word: a gap of a third of the height parts two."""
    gap = line[1:, 0] - np.maximum.accumulate(line[:, 2])[:-1]
    tall = np.median(line[:, 3] - line[:, 1])
    cuts = [0, *(np.flatnonzero(gap > 0.33 * tall) + 1), len(line)]
    return list(zip(cuts, cuts[1:], strict=False))


def _square(ink: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A spot's ink as a square picture with its shape in it: [_SIDE, _SIDE] of 0..1."""
    left, top, right, bottom = box
    return _fitted(Image.fromarray(ink[top:bottom, left:right].astype(np.uint8) * 255))


def _fitted(spot: Image.Image) -> np.ndarray:
    """Scaled to the full height, in the middle of the square; wider ones are squeezed."""
    wide = min(_SIDE, max(1, round(spot.width * _SIDE / spot.height)))
    square = Image.new("L", (_SIDE, _SIDE))
    square.paste(spot.resize((wide, _SIDE), Image.Resampling.BILINEAR), ((_SIDE - wide) // 2, 0))
    return np.asarray(square, np.float32) / 255


def _compare(squares: np.ndarray) -> np.ndarray:
    """Likeness -1..1 to each letter, small or capital, and digit: [n, 36]."""
    patterns, first = _patterns()
    alike = _standard(squares.reshape(len(squares), -1)) @ patterns.T
    return np.maximum.reduceat(alike, first, axis=1)


@lru_cache(maxsize=1)
def _patterns() -> tuple[np.ndarray, Sequence[int]]:
    """Letters and digits drawn in the font: [n_patterns, _SIDE**2], and the first of each."""
    drawn, first = [], []
    for small in LETTERS + DIGITS:
        first.append(len(drawn))
        for sign in sorted({small, small.upper()}):
            for stroke in _STROKES:
                page = _drawn(sign, stroke, _FONT)
                if sign in "ij":  # the dot is a spot of its own, too small to be a letter
                    blank = np.flatnonzero(np.asarray(page).max(axis=1) == 0)
                    if len(blank):  # where a bold dot does not touch
                        page = page.crop((0, int(blank.max()) + 1, page.width, page.height))
                        page = page.crop(page.getbbox())
                drawn.append(_fitted(page).ravel())
    return _standard(np.stack(drawn)), first


def _drawn(text: str, stroke: int, size: int) -> Image.Image:
    """Text in Pillow's own font, cut to its edges."""
    font = ImageFont.load_default(size)
    page = Image.new("L", (round(font.getlength(text)) + size, 2 * size))
    place = (size // 2, size // 2)
    ImageDraw.Draw(page).text(place, text, fill=255, font=font, stroke_width=stroke)
    return page.crop(page.getbbox())


def _strip(picture: Image.Image) -> np.ndarray:
    """A word's picture stretched to one size."""
    return np.asarray(picture.resize(_STRIP, Image.Resampling.BOX), np.float32)


def _standard(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
