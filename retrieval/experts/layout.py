"""Small colour frames -> colour and layout of a film's scene."""

import numpy as np

_GRID = (6, 8)  # rows and columns of mean colours
_LEVELS = 4  # of each of red, green and blue in the histogram
_BANDS = 3  # upper, middle and lower third, for edges
_DIRECTIONS = 8  # of edges, over half a turn
DIM = _GRID[0] * _GRID[1] * 3 + _LEVELS**3 + _BANDS * _DIRECTIONS


def statistics(frames: np.ndarray) -> np.ndarray:
    """Describe what a film's scene looks like, whatever moves in it.

    Args:
        frames: [n_frames, height, width, 3] uint8; height divides by 6, width by 8.

    Returns:
        [DIM] float32, means over the frames: colours of a grid of 6 x 8 in -1..1; the square root
        of the part of pixels in each of 4 x 4 x 4 boxes of colour; for each third of the height
        the square root of the mean strength of edges in eight directions, 0 for upright ones.
    """
    n, height, width, _ = frames.shape
    rows, columns = _GRID
    if height % rows or width % columns:
        raise ValueError(f"frames are {height} x {width}, expected multiples of {rows} x {columns}")
    cells = frames.reshape(n, rows, height // rows, columns, width // columns, 3)
    colours = cells.mean(axis=(0, 2, 4)) / 127.5 - 1  # [rows, columns, 3]
    level = frames.astype(int) * _LEVELS // 256
    box = (level[..., 0] * _LEVELS + level[..., 1]) * _LEVELS + level[..., 2]
    boxes = np.bincount(box.ravel(), minlength=_LEVELS**3) / box.size
    grey = frames.astype(np.float32).mean(axis=3) / 255
    down, right = np.gradient(grey, axis=(1, 2))
    sector = np.rint(np.arctan2(down, right) / np.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
    band = (np.arange(height) * _BANDS // height)[:, None] * _DIRECTIONS
    strength = np.hypot(down, right)
    edges = np.bincount((band + sector).ravel(), strength.ravel(), _BANDS * _DIRECTIONS)
    edges /= strength.size / _BANDS
    together = [colours.ravel(), np.sqrt(boxes), np.sqrt(edges)]
    return np.concatenate(together).astype(np.float32)
