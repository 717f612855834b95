"""Tokenised captions -> one vector for each word, by counting which words stand together."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

_REACH = 4  # words to either side that count as company; nearer ones count more
_SMOOTH = 0.75  # exponent of the company's frequency: rare company proves less


def word_vectors(captions: Sequence[Sequence[str]], dim: int) -> tuple[list[str], np.ndarray]:
    """Learn word vectors.

        count(w, c) = sum over occurrences of w and c at most 4 words apart of 1 / distance
        ppmi(w, c)  = max(0, log(count(w, c) * total_s / (count(w) * count(c)^s))), s = 0.75

    with total_s the sum of count(c)^s, factored by a truncated SVD U S V'; the vectors are the rows
    of U sqrt(S), scaled to a mean length of one.

    Args:
        captions: the words of each caption.
        dim: length of a vector; zeros follow where there are fewer words.

    Returns:
        the words in alphabetical order; [n_words, dim] float32, the same on every run: of each
        column the largest number is positive.

    Source: Levy, Goldberg and Dagan, "Improving Distributional Similarity with Lessons Learned from
    Word Embeddings", TACL 2015, sections 2 and 3.
    """
    frequency = Counter(word for caption in captions for word in caption)
    words = sorted(frequency)
    if not words:
        raise ValueError("no caption has a word; give captions to learn from")
    place = {word: i for i, word in enumerate(words)}
    longest = max(map(len, captions))
    table = np.full((len(captions), longest + _REACH), -1)
    for row, caption in zip(table, captions, strict=True):
        row[: len(caption)] = [place[word] for word in caption]
    n = len(words)
    count = np.zeros(n * n)
    for distance in range(1, _REACH + 1):
        left, right = table[:, :longest], table[:, distance : longest + distance]
        both = (left >= 0) & (right >= 0)
        count += np.bincount(left[both] * n + right[both], minlength=n * n) / distance
    count = count.reshape(n, n)
    count += count.T
    of_word, smoothed = count.sum(axis=1), count.sum(axis=0) ** _SMOOTH
    expected = np.maximum(np.outer(of_word, smoothed) / smoothed.sum(), 1e-12)
    ppmi = np.log(np.maximum(count / expected, 1.0))
    left, strength, _ = np.linalg.svd(ppmi, full_matrices=False)
    vectors = np.zeros((n, dim), np.float32)
    kept = (left * np.sqrt(strength))[:, :dim]
    largest = np.abs(kept).argmax(axis=0)
    vectors[:, : kept.shape[1]] = kept * np.sign(kept[largest, np.arange(kept.shape[1])])
    lengths = np.linalg.norm(vectors, axis=1)
    return words, vectors / max(float(lengths.mean()), 1e-12)
