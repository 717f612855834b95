"""Neighbouring grey frames -> how every pixel moves -> statistics of a film's motion.

The flow is estimated as Lucas and Kanade do, from coarse to fine: at each pixel the shift that
explains the window around it best in least squares, found by repeated warping.
"""

import numpy as np

LEVELS = 3  # sizes of the picture; each half of the one before
ROUNDS = 2  # of warping at each size
RADIUS = 2  # of the window, pixels
_NOISE = 4.0  # variance of grey levels a shift must stand out from; flat parts do not move
_CELLS = (3, 4)  # rows and columns of the grid that statistics are kept for
_DIRECTIONS = 8
_SPEEDS = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4])  # pixels a frame, between the bins
N_PAIRS = 12  # pairs of neighbouring frames in a film
DIM = _CELLS[0] * _CELLS[1] * (_DIRECTIONS + 2) + N_PAIRS + len(_SPEEDS) + 1 + 4


def flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Estimate how each pixel of `before` moves to its place in `after`.

    In the window around a pixel, with the gradient g of `before` and the difference d to `after`
    warped by v, the shift so far averaged over the window, v grows by
    (mean g g' + noise)^-1 mean g d.

    Args:
        before: [n, height, width] grey levels 0..255.
        after: the same, one frame later.

    Returns:
        [n, height, width, 2] float32 shifts to the right and down, in pixels.

    Source: Lucas and Kanade, "An Iterative Image Registration Technique", IJCAI 1981; pyramid as in
    Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature Tracker", 2001.
    """
    sizes = [(before.astype(np.float32), after.astype(np.float32))]
    for _ in range(LEVELS - 1):
        sizes.append(tuple(_halved(picture) for picture in sizes[-1]))
    shift = np.zeros((*sizes[-1][0].shape, 2), np.float32)
    for one, other in reversed(sizes):
        shift = _doubled(shift, one.shape)
        gy, gx = np.gradient(one, axis=(1, 2))
        n = (2 * RADIUS + 1) ** 2
        xx, xy, yy = (_window(part) / n for part in (gx * gx, gx * gy, gy * gy))
        xx, yy = xx + _NOISE, yy + _NOISE
        determinant = xx * yy - xy * xy
        for _ in range(ROUNDS):
            # Neighbours that are warped each their own way drive each other off; the mean holds.
            shift = np.stack([_window(shift[..., i]) / n for i in (0, 1)], axis=-1)
            difference = one - _warped(other, shift)
            dx, dy = (_window(part) / n for part in (gx * difference, gy * difference))
            step = np.stack([yy * dx - xy * dy, xx * dy - xy * dx], axis=-1)
            shift = shift + np.clip(step / determinant[..., None], -1.5, 1.5)
    return shift


def statistics(grey: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Describe a film's motion.

    Args:
        grey: [N_PAIRS, height, width] grey levels 0..255, evenly spaced over the film.
        later: the frame after each.

    Returns:
        [DIM] float32: for each cell of a grid of 3 x 4 the mean speed in each of eight
        directions, over all directions, and its deviation over time; the mean speed of each pair;
        the part of pixels in each of eight bands of speed; mean shift right and down, spreading
        and turning. Speeds are in pixels a frame, their square roots are kept: speed spans two
        powers of ten.
    """
    if grey.shape[0] != N_PAIRS or grey.shape != later.shape:
        raise ValueError(f"expected {N_PAIRS} pairs, got shapes {grey.shape} and {later.shape}")
    shift = flow(grey, later)
    x, y = shift[..., 0], shift[..., 1]
    speed = np.hypot(x, y)  # [n_pairs, height, width]
    turn = np.arctan2(y, x) / (2 * np.pi) * _DIRECTIONS
    sector = np.rint(turn).astype(int) % _DIRECTIONS
    cell = _cell_of(*speed.shape[1:])  # [height, width]
    n_cells = _CELLS[0] * _CELLS[1]
    n_pixels = np.bincount(cell.ravel(), minlength=n_cells)
    place = cell * _DIRECTIONS + sector
    by_direction = np.bincount(place.ravel(), speed.ravel(), n_cells * _DIRECTIONS)
    by_direction = by_direction.reshape(n_cells, _DIRECTIONS) / (n_pixels[:, None] * N_PAIRS)
    one_hot = np.eye(n_cells)[cell.ravel()] / n_pixels  # [n_pixels, n_cells]
    over_time = speed.reshape(N_PAIRS, -1) @ one_hot  # [n_pairs, n_cells]
    bands = np.bincount(np.searchsorted(_SPEEDS, speed.ravel()), minlength=len(_SPEEDS) + 1)
    spreading = np.gradient(x, axis=2).mean() + np.gradient(y, axis=1).mean()
    turning = np.gradient(y, axis=2).mean() - np.gradient(x, axis=1).mean()
    signed = np.array([x.mean(), y.mean(), 10 * spreading, 10 * turning])  # per ten pixels
    rooted = [
        np.column_stack([by_direction, over_time.mean(axis=0), over_time.std(axis=0)]).ravel(),
        over_time.mean(axis=1),  # cells are of one size
        bands / speed.size,
    ]
    signed = np.sign(signed) * np.sqrt(np.abs(signed))
    return np.concatenate([np.sqrt(np.concatenate(rooted)), signed]).astype(np.float32)


def _cell_of(height: int, width: int) -> np.ndarray:
    rows = np.arange(height) * _CELLS[0] // height
    columns = np.arange(width) * _CELLS[1] // width
    return rows[:, None] * _CELLS[1] + columns


def _halved(picture: np.ndarray) -> np.ndarray:
    """Means of two by two pixels; an odd last row or column is left out."""
    h, w = picture.shape[1] // 2 * 2, picture.shape[2] // 2 * 2
    p = picture[:, :h, :w]
    return (p[:, ::2, ::2] + p[:, 1::2, ::2] + p[:, ::2, 1::2] + p[:, 1::2, 1::2]) / 4


def _doubled(shift: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Shifts of a picture half as large, for one of that shape; itself where it fits already."""
    if shift.shape[:3] == shape:
        return shift
    rows = np.minimum(np.arange(shape[1]) // 2, shift.shape[1] - 1)
    columns = np.minimum(np.arange(shape[2]) // 2, shift.shape[2] - 1)
    return 2 * shift[:, rows[:, None], columns]


def _window(picture: np.ndarray) -> np.ndarray:
    """Sums over the window around each pixel; at the edge the edge goes on."""
    size = 2 * RADIUS + 1
    for axis in (1, 2):
        wide = [(0, 0)] * 3
        wide[axis] = (RADIUS, RADIUS)
        padded = np.pad(picture, wide, mode="edge")
        n = picture.shape[axis]
        parts = (padded.take(range(i, i + n), axis) for i in range(size))
        picture = sum(parts)
    return picture


def _warped(picture: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The picture looked up at each pixel's place plus its shift, between pixels linearly."""
    n, height, width = picture.shape
    x = np.clip(np.arange(width) + shift[..., 0], 0, width - 1)
    y = np.clip(np.arange(height)[:, None] + shift[..., 1], 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    right_share, low_share = x - left, y - top
    corner = (np.arange(n)[:, None, None] * height + top) * width + left
    flat = picture.ravel()
    upper = flat[corner] * (1 - right_share) + flat[corner + 1] * right_share
    corner += width
    lower = flat[corner] * (1 - right_share) + flat[corner + 1] * right_share
    return upper * (1 - low_share) + lower * low_share
