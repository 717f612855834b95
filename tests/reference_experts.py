"""Slow versions of the film library's features, written straight from their definitions."""

import math
from collections import defaultdict

import numpy as np


def lucas_kanade_by_definition(before, after, radius, noise):
    """One round on one size from no shift: least squares in every window, ridge `noise`."""
    height, width = before.shape
    gy, gx = np.gradient(before)
    shift = np.zeros((height, width, 2))
    for y in range(height):
        for x in range(width):
            rows, differences = [], []
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    at = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                    rows.append([gx[at], gy[at]])
                    differences.append(before[at] - after[at])
            a, b = np.array(rows), np.array(differences)
            n = len(rows)
            solved = np.linalg.solve(a.T @ a / n + noise * np.eye(2), a.T @ b / n)
            shift[y, x] = np.clip(solved, -1.5, 1.5)
    return shift


def layout_by_definition(frames):
    """Colours of a grid, boxes of colour and edges, pixel by pixel."""
    n, height, width, _ = frames.shape
    colours, boxes, edges = np.zeros((6, 8, 3)), np.zeros(64), np.zeros((3, 8))
    for frame in frames:
        grey = frame.mean(axis=2) / 255
        for y in range(height):
            for x in range(width):
                r, g, b = (int(v) for v in frame[y, x])
                cell = height // 6 * (width // 8) * n
                colours[y * 6 // height, x * 8 // width] += np.array([r, g, b]) / cell
                boxes[r // 64 * 16 + g // 64 * 4 + b // 64] += 1 / (n * height * width)
                up, down = max(y - 1, 0), min(y + 1, height - 1)
                left, right = max(x - 1, 0), min(x + 1, width - 1)
                dy = (grey[down, x] - grey[up, x]) / (down - up)
                dx = (grey[y, right] - grey[y, left]) / (right - left)
                sector = round(math.atan2(dy, dx) / math.pi * 8) % 8
                part = math.hypot(dx, dy) / (n * height * width / 3)
                edges[y * 3 // height, sector] += part
    return np.concatenate([(colours / 127.5 - 1).ravel(), np.sqrt(boxes), np.sqrt(edges).ravel()])


def mel_by_definition(track, rate, frame):
    """log(mel + 0.01) of one frame: sums over samples, triangles band by band."""
    window, hop, n_fft = round(0.025 * rate), round(0.010 * rate), 1024
    piece = track[frame * hop : frame * hop + window]
    i = np.arange(window)
    piece = piece * (0.5 - 0.5 * np.cos(2 * np.pi * i / window))
    magnitudes = [abs(np.sum(piece * np.exp(-2j * np.pi * k * i / n_fft))) for k in range(513)]

    def mel(hz):
        return 1127 * math.log(1 + hz / 700)

    edges = [mel(125) + (mel(7500) - mel(125)) * j / 65 for j in range(66)]
    bands = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        total = 0.0
        for k, magnitude in enumerate(magnitudes):
            at = mel(k * rate / n_fft)
            if low < at <= middle:
                total += magnitude * (at - low) / (middle - low)
            elif middle < at < high:
                total += magnitude * (high - at) / (high - middle)
        bands.append(math.log(total + 0.01))
    return np.array(bands)


def ppmi_by_definition(captions):
    """The words in order and their matrix [n_words, n_words]."""
    words = sorted({word for caption in captions for word in caption})
    count = defaultdict(float)
    for caption in captions:
        for i, word in enumerate(caption):
            for j, other in enumerate(caption):
                if i != j and abs(i - j) <= 4:
                    count[word, other] += 1 / abs(i - j)
    of_word = {w: sum(count[w, c] for c in words) for w in words}
    smoothed = {c: of_word[c] ** 0.75 for c in words}
    total = sum(smoothed.values())
    ppmi = np.zeros((len(words), len(words)))
    for i, w in enumerate(words):
        for j, c in enumerate(words):
            if count[w, c]:
                share = count[w, c] * total / (of_word[w] * smoothed[c])
                ppmi[i, j] = max(0.0, math.log(share))
    return words, ppmi


def spots_by_definition(ink):
    """Boxes of connected ink by flooding: a set of (left, top, right, bottom)."""
    left_over = {(y, x) for y, x in zip(*np.nonzero(ink), strict=True)}
    boxes = []
    while left_over:
        spot, edge = set(), {left_over.pop()}
        while edge:
            y, x = edge.pop()
            spot.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left_over
            left_over -= near
            edge |= near
        ys, xs = zip(*spot, strict=True)
        boxes.append((min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    return sorted(boxes)
