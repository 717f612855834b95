"""Captions -> merges of a byte-pair encoding, in the format of open_clip's tokeniser."""

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from retrieval.files import replacing

Pair = tuple[str, str]


def learn_merges(words: Iterable[str], n_merges: int) -> list[Pair]:
    """Join the most frequent neighbours, again and again.

    Args:
        words: the words of all captions in lower case, with repetition.
        n_merges: how many joins at most; fewer where every word is whole already.

    Returns:
        pairs in the order of joining; of equally frequent ones the first in the alphabet.

    Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", ACL
    2016, algorithm 1; the end of a word is marked as in CLIP's tokeniser.
    """
    counted = Counter(word for word in words if word.isascii() and word)
    split = [[*word[:-1], word[-1] + "</w>"] for word in counted]
    counts = list(counted.values())
    frequency: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for i, symbols in enumerate(split):
        for pair in zip(symbols, symbols[1:], strict=False):
            frequency[pair] += counts[i]
            where[pair].add(i)
    merges: list[Pair] = []
    while len(merges) < n_merges and frequency:
        best = min(frequency, key=lambda pair: (-frequency[pair], pair))
        merges.append(best)
        for i in where.pop(best):
            symbols = split[i]
            for pair in zip(symbols, symbols[1:], strict=False):
                frequency[pair] -= counts[i]
                if frequency[pair] <= 0:
                    del frequency[pair]
            split[i] = symbols = _joined(symbols, best)
            for pair in zip(symbols, symbols[1:], strict=False):
                frequency[pair] += counts[i]
                where[pair].add(i)
    return merges


def _joined(symbols: list[str], pair: Pair) -> list[str]:
    out: list[str] = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return out


def write_merges(path: Path, merges: list[Pair]) -> None:
    """Write the gzip file; the same merges give the same bytes."""
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    with replacing(path) as file:
        # No line break at the end: open_clip's reader would take it for one more merge.
        file.write(gzip.compress("\n".join(lines).encode(), mtime=0))
