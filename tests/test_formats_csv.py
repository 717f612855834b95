"""Matrices written as text: read in pieces, and whatever is no number is named by its place."""

import numpy as np
import pandas as pd
import pytest

from retrieval.errors import FileError
from retrieval.formats import VISITORS, Limits, csv, open_matrix


@pytest.fixture
def opened(tmp_path):
    def opened(text, limits=VISITORS):
        data = text if type(text) is bytes else text.encode()
        (tmp_path / "m.csv").write_bytes(data)
        return open_matrix(tmp_path / "m.csv", limits=limits)

    return opened


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\n4,5,-6e-1\n",
        "1,2,3\n4,5,-.6",
        "1;2;3\r\n4;5;-0.6\r\n",
        "1\t2\t3\n4\t5\t-0.6\n",
        "1 2  3\n 4 5 -0.6\n",
        "\ufeff1,2,3\n\n4,5,-0.6\n\n",
        '"1","2","3"\n"4","5","-0.6"\n',
        "one,two,three\n1,2,3\n4,5,-0.6\n",
        "# one two three\n1 2 3\n4 5 -0.6\n",
        ",0,1,2\n0,1,2,3\n1,4,5,-0.6\n",
        "id,one,two,three\nvideo1,1,2,3\nvideo2,4,5,-0.6\n",
        "c1,c2,c3\n1,2,3\n4,5,-0.6\n",
    ],
)
def test_every_way_to_write_a_matrix_is_read(opened, text):
    stored = opened(text)
    assert stored.dtype == np.float64
    np.testing.assert_array_equal(stored.read(), [[1, 2, 3], [4, 5, -0.6]])
    np.testing.assert_array_equal(stored.read_rows(1, 2), [[4, 5, -0.6]])


@pytest.mark.parametrize("chunk", [7, 100, 2**22])
def test_what_numpy_and_pandas_write_is_read(rng, opened, tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(csv, "_CHUNK", chunk)
    array = rng.normal(size=(23, 7))
    np.savetxt(tmp_path / "numpy.csv", array, delimiter=",")
    pd.DataFrame(array).to_csv(tmp_path / "pandas.csv")
    np.testing.assert_array_equal(open_matrix(tmp_path / "numpy.csv").read(), array)
    np.testing.assert_array_equal(open_matrix(tmp_path / "pandas.csv").read(), array)
    assert opened("1\n2\n3\n").shape == (3, 1)
    assert opened("1,2,3").shape == (1, 3)
    assert opened("1,2.\n3,4.").shape == (2, 2)


def test_what_is_read_is_the_callers_own(opened):
    stored = opened("1,2\n3,4\n")
    stored.read()[:] = 0
    np.testing.assert_array_equal(stored.read(), [[1, 2], [3, 4]])


def test_nan_in_a_text_is_named_as_in_any_file(opened):
    with pytest.raises(FileError, match="holds nan at row 1, column 0"):
        list(opened("1,2\nnan,4\n").tiles().blocks())


@pytest.mark.parametrize("chunk", [7, 2**22])
@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("1,2\n3,x\n", r"row 2, column 2 \(counted from 1\) holds 'x', expected a number"),
        ("1,2\n3,\n", "row 2, column 2 .* holds ''"),
        ("1,2\n3,4\n5,6\n1,2,3\n", "row 4 has 3 fields, expected 2"),
        ("1,2\n\n3\n", "row 3 has 1 fields, expected 2"),
        ("a,b\n1,2\n3,0x1f\n", "row 3, column 2 .* holds '0x1f'"),
        ("1,2\n3," + "y" * 10_000 + "\n", "row 2, column 2"),
        ("1,x\n2,3\n", "row 1, column 2 .* holds 'x'"),
        ("a,b\n", "no row of numbers"),
        ("\n \n\n", "no row of numbers"),
        ("hello world\n", "no row of numbers"),
        (b"1,2\n" * 200 + b"3,\xff\n", "not UTF-8"),
        ("0,5;0,3\n", "row 1, column 2 .* holds '5;0'"),
    ],
)
def test_what_is_no_matrix_is_named_by_its_place(opened, monkeypatch, text, match, chunk):
    monkeypatch.setattr(csv, "_CHUNK", chunk)
    with pytest.raises(FileError, match=match) as caught:
        opened(text)
    assert len(str(caught.value)) <= 200 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        (Limits(text_bytes=1000), "8,000 bytes of text, the limit is 1,000"),
        (Limits(line_bytes=100), "characters in a row, the limit is 100"),
        (Limits(side=100), "400 columns, the limit is 100"),
        (Limits(cells=2000), "4,000 cells, the limit is 2,000"),
    ],
)
def test_more_than_may_be_is_refused(opened, limits, match):
    with pytest.raises(FileError, match=match):
        opened(("1," * 399 + "1\n") * 10, limits)
