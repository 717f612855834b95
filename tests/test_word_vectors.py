"""Files of word vectors: three layouts, looked into without being read, and damaged ones."""

import struct
import zipfile

import numpy as np
import pytest

from retrieval.errors import FileError
from retrieval.formats import Limits
from retrieval.formats.word_vectors import open_word_vectors

WORDS = ["the", "Straße", "new", "new_york", "dog", "a.b", "日本", "dogs", "zoo"]
DIM = 5


@pytest.fixture
def vectors(rng):
    return rng.standard_normal((len(WORDS), DIM)).astype(np.float32)


def binary(path, words, vectors, newlines=True, promised=None):
    rows = b"".join(
        word.encode() + b" " + row.astype("<f4").tobytes() + b"\n" * newlines
        for word, row in zip(words, vectors, strict=True)
    )
    path.write_bytes(f"{promised or len(words)} {vectors.shape[1]}\n".encode() + rows)
    return path


def text(path, words, vectors, header=True, end=""):
    rows = [
        " ".join([w, *(repr(float(x)) for x in v)]) + end
        for w, v in zip(words, vectors, strict=True)
    ]
    first = [f"{len(words)} {vectors.shape[1]}"] if header else []
    path.write_text("\n".join([*first, *rows]) + "\n", encoding="utf-8")
    return path


def zipped(path, words, vectors):
    inside = text(path.with_suffix(".txt"), words, vectors, header=False)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inside, "grovle.txt")
    return path


LAYOUTS = {
    "binary": lambda path, w, v: binary(path, w, v),
    "binary without newlines": lambda path, w, v: binary(path, w, v, newlines=False),
    "text": lambda path, w, v: text(path, w, v),
    "text with a space behind": lambda path, w, v: text(path, w, v, end=" "),
    "text of another system": lambda path, w, v: text(path, w, v, end="\r"),
    "glove": lambda path, w, v: text(path, w, v, header=False),
    "zip": zipped,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_each_words_own_vector(tmp_path, vectors, layout):
    table = open_word_vectors(LAYOUTS[layout](tmp_path / "v.bin", WORDS, vectors))
    assert (len(table), table.dim, list(table.words())) == (len(WORDS), DIM, WORDS)
    for place, word in enumerate(WORDS):
        np.testing.assert_array_equal(table.vectors([word])[0], vectors[place])
    asked = ["dog", "cat", "the", "", "new york", "do", "dog "]
    np.testing.assert_array_equal(table.places(asked), [4, -1, 0, -1, -1, -1, -1])
    assert "日本" in table and "日" not in table
    with pytest.raises(KeyError, match="cat"):
        table.vectors(["dog", "cat"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_mean_is_of_the_first_words_by_the_alphabet(tmp_path, vectors, layout):
    table = open_word_vectors(LAYOUTS[layout](tmp_path / "v.bin", WORDS, vectors))
    for n in (1, 3, 100):
        first = [WORDS.index(word) for word in sorted(WORDS)[:n]]
        np.testing.assert_allclose(table.mean_of_first(n), vectors[first].mean(axis=0), atol=1e-6)


def test_of_a_word_that_is_there_twice_the_first_counts(tmp_path, vectors):
    words = ["dog", "cat", "dog"]
    for path in (
        binary(tmp_path / "b", words, vectors[:3]),
        text(tmp_path / "t", words, vectors[:3]),
    ):
        np.testing.assert_array_equal(open_word_vectors(path).vectors(["dog"])[0], vectors[0])


def test_words_of_two_words_are_told_from_their_numbers(tmp_path, vectors):
    words = ["the", ". . .", "at name@domain.com", "dog"]  # as in glove.840B
    table = open_word_vectors(text(tmp_path / "g.txt", words, vectors[:4], header=False))
    assert list(table.words()) == words
    np.testing.assert_array_equal(table.vectors([". . ."])[0], vectors[1])
    assert "." not in table


def test_words_with_some_characters_are_left_out(tmp_path, vectors):
    words = ["dog", "what?", '"', "(cat)"]
    table = open_word_vectors(text(tmp_path / "g.txt", words, vectors[:4]), without='"?)(')
    assert list(table.words()) == ["dog"]


def test_vectors_whose_bytes_look_like_text_are_read(tmp_path):
    looks = np.frombuffer(b"\n   0 1 2 3 4 5 6 \n", "<f4", 4)
    vectors = np.stack([looks, looks[::-1]])
    for newlines in (True, False):
        table = open_word_vectors(binary(tmp_path / "b", ["a", "b"], vectors, newlines))
        np.testing.assert_array_equal(table.vectors(["b", "a"]), vectors[::-1])


def test_only_what_is_asked_for_comes_into_memory(tmp_path):
    n, dim, row = 20_000, 300, b"\0" * 1200
    path = tmp_path / "large.bin"
    with open(path, "wb") as file:
        file.write(f"{n} {dim}\n".encode())
        for i in range(n):
            file.write(b"word%d " % i + row)
    import tracemalloc

    tracemalloc.start()
    table = open_word_vectors(path)
    assert "word19999" in table and "word20000" not in table
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * n < path.stat().st_size / 10


# ---- damaged -------------------------------------------------------------------------------------


def refused(path, match, **settings):
    with pytest.raises(FileError, match=match) as caught:
        table = open_word_vectors(path, **settings)
        table.vectors(list(table.words()))
    message = str(caught.value)
    assert len(message) <= 200 and "\n" not in message and str(path.parent) not in message


@pytest.mark.parametrize("cut", [1, 3, DIM * 4 + 2, 60])
def test_a_truncated_binary_file_is_refused(tmp_path, vectors, cut):
    path = binary(tmp_path / "v.bin", WORDS, vectors, newlines=False)
    path.write_bytes(path.read_bytes()[:-cut])
    refused(path, "v.bin (promises|ends or is damaged)")


def test_a_file_that_goes_on_or_promises_too_much_is_refused(tmp_path, vectors):
    refused(binary(tmp_path / "v.bin", WORDS, vectors, promised=8), "goes on after its 8 words")
    refused(binary(tmp_path / "v.bin", WORDS, vectors, promised=90), "promises 90 words of 5")
    for promised in (8, 10):
        path = text(tmp_path / "v.txt", WORDS, vectors)
        path.write_text(path.read_text().replace("9 5", f"{promised} 5", 1))
        refused(path, f"promises {promised} words and has 9")


def test_sizes_are_checked_before_anything_is_allocated(tmp_path):
    path = tmp_path / "v.bin"
    path.write_bytes(b"999999999999 999999999\nword \0\0\0\0")
    refused(path, "the limit is|promises")
    path.write_bytes(b"3 999999999\nword \0\0\0\0")
    refused(path, "promises 3 words of 999,999,999 numbers")
    path.write_bytes(b"0 300\n")
    refused(path, "no vectors")
    path.write_bytes(b"3 0\na \nb \nc \n")
    refused(path, "no vectors")


def test_lines_of_other_lengths_and_no_numbers_are_refused(tmp_path, vectors):
    path = text(tmp_path / "v.txt", WORDS, vectors)
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:4], "short 1 2", *lines[5:]]))
    refused(path, "line 5 has 2 numbers, expected 5")
    for bad in ("nan", "1e999", "x"):
        path.write_text("\n".join([*lines[:4], f"odd 1 2 3 4 {bad}", *lines[5:]]))
        refused(path, "the vector of odd is not made of finite numbers")
    path = binary(tmp_path / "v.bin", WORDS, np.full((9, DIM), np.inf, np.float32))
    refused(path, "the vector of the is not made of finite numbers")


def test_other_files_are_told_by_what_they_are(tmp_path):
    path = tmp_path / "v.bin"
    for content, match in (
        (b"\x1f\x8b" + b"\0" * 50, "gzip archive; unpack it first"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs pointer"),
        (b"just some words\nand more\n", "is not a file of word vectors"),
        (b"\0" * 100, "is not a file of word vectors"),
        (struct.pack("<I", 7) * 100, "is not a file of word vectors"),
        (b"9" * 100_000, "is not a file of word vectors"),
    ):
        path.write_bytes(content)
        refused(path, match)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a 1 2")
        archive.writestr("b.txt", "a 1 2")
    refused(path, "holds 2 text files")
    path.write_bytes(b"a 1 2 3\n" * 100)
    refused(path, "the limit is 50", limits=Limits(file_bytes=50))
    refused(path, "expected", limits=Limits(line_bytes=4))
