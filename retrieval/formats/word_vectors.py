"""A file of word vectors -> a table that is looked into; vectors stay in the file until asked for.

Three layouts, told by content: word2vec binary (a header "N D", then word, space, D little-endian
float32), word2vec text (the same header, a word and its numbers a line) and GloVe text (no header).
The text may lie in a zip file, as GrOVLE is released.
"""

import heapq
import mmap
import re
from array import array
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import LIMITS, Limits, check_memory, check_shape
from retrieval.formats.source import ZIP, Source, foreign, shown

Buffer = bytes | mmap.mmap
_HEADER = re.compile(rb"(\d{1,12}) (\d{1,9})[ \r]*\n")
_WORD_BYTES = 2000  # of one word; those of published files stay below 600
_NUMBER_BYTES = 40  # of one number in a text file
_EXPECTED = "a file of word vectors: word2vec, binary or text, or GloVe"


class WordTable:
    """Words in the order of their file, which is by frequency in most releases, and vectors.

    A word takes 24 bytes of memory here: a hash, and where it stands. What a hash finds is compared
    with the file, so an answer is never that of another word.
    """

    def __init__(
        self,
        name: str,
        buffer: Buffer,
        dim: int,
        binary: bool,
        starts: np.ndarray,
        hashes: np.ndarray,
    ) -> None:
        """Made by `open_word_vectors`.

        Args:
            name: of the file, for messages.
            buffer: the file's bytes, mapped or unpacked.
            dim: length of a vector.
            binary: float32 follow a word; else decimal numbers up to the end of the line.
            starts: [n] int64, where each entry begins.
            hashes: [n] int64, of the words as this process hashes bytes.
        """
        self.name, self.dim, self.binary = name, dim, binary
        self._buffer, self._starts = buffer, starts
        self._order = np.argsort(hashes, kind="stable")  # of a word that is there twice, the first
        self._hashes = hashes[self._order]

    def __len__(self) -> int:
        return len(self._starts)

    def __contains__(self, word: str) -> bool:
        return bool(self.places([word])[0] >= 0)

    def words(self) -> Iterator[str]:
        """Every word in file order."""
        return (word.decode("utf-8", "replace") for word in self._entries())

    def places(self, words: Sequence[str]) -> np.ndarray:
        """[n] int64: where words stand in file order, -1 for those that are not there."""
        spelled = [word.encode("utf-8", "replace") for word in words]
        hashes = np.fromiter(map(hash, spelled), np.int64, len(spelled))
        at = np.searchsorted(self._hashes, hashes)
        found = np.full(len(words), -1)
        hits = self._hashes[np.minimum(at, len(self) - 1)] == hashes
        for i in np.flatnonzero(hits):
            for place in self._order[at[i] :]:
                start = int(self._starts[place])
                if self._buffer[start : start + len(spelled[i]) + 1] == spelled[i] + b" ":
                    found[i] = place
                    break
                if hash(self._word(start)) != hashes[i]:
                    break
        return found

    def vectors(self, words: Sequence[str]) -> np.ndarray:
        """[n, dim] float32 of words that are all there."""
        out = np.empty((len(words), self.dim), np.float32)
        for row, word, place in zip(out, words, self.places(words), strict=True):
            if place < 0:
                raise KeyError(word)
            row[:] = self._vector(int(self._starts[place]))
        return out

    def mean_of_first(self, n: int) -> np.ndarray:
        """[dim] mean of the vectors of the first `n` words in the order of the alphabet."""
        # UTF-8 sorts as the characters do.
        first = heapq.nsmallest(n, zip(self._entries(), self._starts.tolist(), strict=True))
        total = np.zeros(self.dim)
        for _, start in first:
            total += self._vector(start)
        return (total / len(first)).astype(np.float32)

    def _entries(self) -> Iterator[bytes]:
        return map(self._word, self._starts.tolist())

    def _word(self, start: int) -> bytes:
        if self.binary:
            return bytes(self._buffer[start : self._buffer.find(b" ", start)])
        return bytes(_split(self._line(start), self.dim)[0])

    def _line(self, start: int) -> bytes:
        end = self._buffer.find(b"\n", start)
        return self._buffer[start : end if end >= 0 else len(self._buffer)].rstrip(b" \r")

    def _vector(self, start: int) -> np.ndarray:
        if self.binary:
            at = self._buffer.find(b" ", start) + 1
            vector = np.frombuffer(self._buffer, "<f4", self.dim, at)
        else:
            word, numbers = _split(self._line(start), self.dim)
            try:
                vector = np.array([float(number) for number in numbers], np.float32)
            except ValueError:
                vector = np.full(self.dim, np.nan)
        if not np.isfinite(vector).all():
            raise FileError(
                f"{self.name}: the vector of {shown(self._word(start).decode('utf-8', 'replace'))} "
                "is not made of finite numbers; copy or make the file again"
            )
        return vector


def open_word_vectors(
    path: str | Path, limits: Limits = LIMITS, without: Collection[str] = ()
) -> WordTable:
    """Open word vectors; one pass finds where words stand, and no vector is kept.

    Args:
        path: the file.
        limits: how large it may be.
        without: characters; words with one of them are left out.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: of another kind, truncated, or larger than may be.
    """
    source = Source(path, limits)
    first_bytes = source.read(0, 512)
    buffer = _unzipped(source) if first_bytes.startswith(ZIP) else source.map()
    header = _HEADER.match(buffer)
    n_words, dim = (int(header[1]), int(header[2])) if header else (None, None)
    at = header.end() if header else 0
    in_line = _numbers_in_line(buffer, at, dim)
    if header is None:
        if in_line is None or in_line < 2:
            raise foreign(first_bytes, source.name, _EXPECTED)
        dim = in_line
    binary = header is not None and in_line != dim
    if n_words == 0 or dim == 0:
        raise FileError(f"{source.name} has no vectors in it; copy or make it again")
    least = 4 * dim + 2 if binary else 2 * dim + 1
    if n_words is not None:
        check_shape(source.name, (n_words, dim), limits)
        if n_words * least - (not binary) > len(buffer) - at:
            raise FileError(
                f"{source.name} promises {n_words:,} words of {dim:,} numbers, which take "
                f"{n_words * least:,} bytes or more; it has {len(buffer) - at:,}: copy it again"
            )
    if binary:
        entries = _scan_binary(source.name, buffer, at, n_words, dim)
    else:
        entries = _scan_text(source.name, buffer, at, n_words, dim, limits.line_bytes)
    banned = [character.encode() for character in without]
    starts, hashes = array("q"), array("q")
    for start, word in entries:
        if not any(character in word for character in banned):
            starts.append(start)
            hashes.append(hash(word))
    if not starts:
        raise FileError(f"{source.name} has no word in it; copy or make it again")
    as_int64 = (np.frombuffer(numbers, np.int64) for numbers in (starts, hashes))
    return WordTable(source.name, buffer, dim, binary, *as_int64)


def _unzipped(source: Source) -> bytes:
    from retrieval.formats.zips import read_table, unpack

    members = read_table(source, source.limits.members)
    texts = [member for name, member in members.items() if name.endswith(".txt")]
    if len(texts) != 1:
        raise FileError(
            f"{source.name} holds {len(texts)} text files, expected one of word vectors; unpack it "
            "and give the one"
        )
    check_memory(source.name, 2 * texts[0].size)
    return unpack(source, texts[0]).tobytes()


def _split(line: bytes, dim: int) -> tuple[bytes, list[bytes]]:
    """A line -> its word, which may have spaces in it, and its numbers."""
    word, *numbers = line.rsplit(b" ", dim)
    return word, numbers


def _numbers_in_line(buffer: Buffer, at: int, dim: int | None) -> int | None:
    """How many numbers follow the first word of a line; None where anything else does."""
    most = 2**20 if dim is None else min(_WORD_BYTES + _NUMBER_BYTES * dim, 2**26)
    end = buffer.find(b"\n", at, at + most)
    line = bytes(buffer[at : end if end >= 0 else at + most]).rstrip(b" \r")
    word, *numbers = line.split(b" ") if dim is None else line.rsplit(b" ", dim)
    try:
        for number in numbers:
            float(number)
    except ValueError:
        return None
    return len(numbers) if word else None


def _scan_binary(
    name: str, buffer: Buffer, at: int, n_words: int, dim: int
) -> Iterator[tuple[int, bytes]]:
    """Where each entry begins, and its word."""
    find, n_bytes, size = buffer.find, 4 * dim, len(buffer)
    for n in range(n_words):
        if buffer[at : at + 1] == b"\n":  # the C program ends every vector with one, others do not
            at += 1
        space = find(b" ", at, at + _WORD_BYTES)
        if space <= at or space + 1 + n_bytes > size:
            raise FileError(
                f"{name} ends or is damaged at word {n + 1:,} of {n_words:,}; copy it again"
            )
        yield at, buffer[at:space]
        at = space + 1 + n_bytes
    if bytes(buffer[at : at + 2]).strip():
        raise FileError(f"{name} goes on after its {n_words:,} words; copy or make it again")


def _scan_text(
    name: str, buffer: Buffer, at: int, n_words: int | None, dim: int, line_bytes: int
) -> Iterator[tuple[int, bytes]]:
    """Where each line begins, and its word."""
    size, n_lines = len(buffer), 0
    while at < size:
        end = buffer.find(b"\n", at, at + line_bytes)
        if end < 0:
            end = size
        line = buffer[at:end].rstrip(b" \r")
        n_lines += bool(line)
        if line and (len(line) > line_bytes or line.count(b" ") < dim):
            raise FileError(
                f"{name} line {n_lines + (n_words is not None):,} has {line.count(b' '):,} "
                f"numbers, expected {dim:,}; copy or make the file again"
            )
        if line and not line.startswith(b" "):
            n_spaces = line.count(b" ")
            yield at, line[: line.find(b" ")] if n_spaces == dim else _split(line, dim)[0]
        at = end + 1
    if n_words not in (None, n_lines):
        raise FileError(
            f"{name} promises {n_words:,} words and has {n_lines:,}; copy or make it again"
        )
