"""Streamed similarities against the definition, entry by entry."""

import numpy as np
import pytest

from retrieval.formats import open_matrix
from retrieval.normalisers import get_normaliser
from retrieval.streaming.expert_tiles import ExpertTiles
from retrieval.streaming.tiles import for_each_tile

N, N_VIDEOS, DIMS = 23, 7, (3, 5, 2)


def case(rng: np.random.Generator) -> tuple[list, np.ndarray, list, np.ndarray]:
    """Unit rows, weights that sum to one, gaps; missing rows hold NaN."""
    text = [unit(rng.standard_normal((N, dim))) for dim in DIMS]
    video = [unit(rng.standard_normal((N_VIDEOS, dim))) for dim in DIMS]
    weights = rng.dirichlet(np.ones(len(DIMS)), N).astype(np.float32)
    available = (rng.random((N_VIDEOS, len(DIMS))) < 0.5).astype(float)
    available[:, 1] = 1
    available[2] = 1
    for m, v in enumerate(video):
        v[available[:, m] == 0] = np.nan
    return text, weights, video, available


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def by_definition(text, weights, video, available) -> np.ndarray:
    out = np.zeros((N, N_VIDEOS))
    for i, j in np.ndindex(out.shape):
        there = [m for m in range(len(DIMS)) if available[j, m]]
        mass = sum(float(weights[i, m]) for m in there)
        products = {m: float(text[m][i].astype(float) @ video[m][j]) for m in there}
        out[i, j] = sum(float(weights[i, m]) / mass * products[m] for m in there)
    return out


@pytest.mark.parametrize("tile", [(512, 4096), (4, 3), (1, 1), (23, 7)])
def test_tiles_match_the_definition(rng, tile):
    given = case(rng)
    expected = by_definition(*given)
    tiles = ExpertTiles(*given, *tile)
    assert tiles.shape == (N, N_VIDEOS)
    np.testing.assert_allclose(tiles.matrix(), expected, atol=1e-6)
    seen = np.zeros(tiles.shape, dtype=int)
    for rows, columns, block in tiles.blocks(scale=-2.0, within=slice(5, 20)):
        seen[rows, columns] += 1
        np.testing.assert_allclose(block, -2 * expected[rows, columns], atol=1e-5)
    assert (seen[5:20] == 1).all() and seen.sum() == 15 * N_VIDEOS


def test_tiny_weights_of_the_only_expert_do_not_matter(rng):
    text, weights, video, available = case(rng)
    weights[:, 1] = 1e-30
    np.testing.assert_allclose(
        ExpertTiles(text, weights, video, available).matrix(),
        by_definition(text, weights, video, available),
        atol=1e-6,
    )


def test_captions_may_stay_in_their_files(rng, tmp_path):
    text, weights, video, available = case(rng)
    for m, t in enumerate(text):
        np.save(tmp_path / f"{m}.npy", t)
    stored = [open_matrix(tmp_path / f"{m}.npy") for m in range(len(text))]
    out = np.lib.format.open_memmap(tmp_path / "sims.npy", "w+", np.float32, (N, N_VIDEOS))
    ExpertTiles(stored, weights, video, available, 4, 3).matrix(out)
    expected = ExpertTiles(text, weights, video, available).matrix()
    np.testing.assert_allclose(np.load(tmp_path / "sims.npy"), expected, atol=1e-7)


def test_inputs_are_not_changed(rng):
    text, weights, video, available = case(rng)
    given = [*text, weights, *video, available]
    before = [x.copy() for x in given]
    ExpertTiles(text, weights, video, available).matrix()
    for x, y in zip(given, before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_normaliser_takes_them_as_it_takes_a_matrix(rng):
    tiles = ExpertTiles(*case(rng), 4, 3)
    fitted = get_normaliser("qbnorm", beta=5.0, k=1)
    np.testing.assert_allclose(
        fitted.fit(tiles).values, fitted.fit(tiles.matrix()).values, atol=1e-5
    )


def test_every_tile_is_visited_once_by_threads(rng):
    tiles = ExpertTiles(*case(rng), 3, 2)
    seen = np.zeros(tiles.shape, dtype=int)

    def count(rows: slice, columns: slice, block: np.ndarray) -> None:
        seen[rows, columns] += 1

    for_each_tile(tiles, count)
    assert (seen == 1).all()


def test_torch_and_tiles_agree(rng):
    torch = pytest.importorskip("torch")
    from retrieval.models.similarity import expert_similarity

    text, weights, video, available = case(rng)
    video = [np.nan_to_num(v) for v in video]
    theirs = expert_similarity(
        [torch.tensor(t) for t in text],
        torch.tensor(weights),
        [torch.tensor(v) for v in video],
        torch.tensor(available),
    )
    np.testing.assert_allclose(
        ExpertTiles(text, weights, video, available).matrix(), theirs.numpy(), atol=1e-6
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t, w, v, a: (t, w[:, :2], v, a), r"weights is \(23, 2\), expected \(23, 3\)"),
        (lambda t, w, v, a: (t, w, v, a[:, :2]), r"available is \(7, 2\), expected \(7, 3\)"),
        (lambda t, w, v, a: (t, w, v[:2], a), "video is .*embed all with one model"),
        (lambda t, w, v, a: ([x[:5] for x in t], w, v, a), "text is"),
        (lambda t, w, v, a: (t, w, v, a * 0), "video 0 has no expert at all"),
        (lambda t, w, v, a: (t, w, v, -a), "available must be 0 or 1, or a weight"),
    ],
)
def test_what_does_not_fit_is_refused(rng, spoil, message):
    with pytest.raises(ValueError, match=message):
        ExpertTiles(*spoil(*case(rng)))
