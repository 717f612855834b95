"""A waveform -> the signals in it, by name: bells, birds, beeps, ticks, whistles, quacks, music.

Notes are found as peaks of the spectrum that stand out and hold, and told apart by pitch, length,
slope, decay and overtones. Nobody talks in the film library; these are what is said there.
"""

from dataclasses import dataclass

import numpy as np

from retrieval.experts.hearing import is_silent, spectrogram

# What a signal is called, in words of captions; those that have no vector are left out.
WORDS = {
    "bell": ("bell",),
    "birds": ("birds",),
    "beep": ("digital", "clock"),
    "tick": ("ticking",),
    "whistle": ("steam",),
    "quack": ("ducks",),
    "music": ("music",),
    "crickets": ("summer", "night"),
}
_WINDOW, _HOP = 512, 110  # samples at 22,050 a second: 23 ms every 5 ms
_N_FFT = 1024
_LOW_HZ, _HIGH_HZ = 240.0, 5200.0
_PURE = 0.5  # part of a frame's energy that its strongest pitch and two overtones hold
_LOUD = 0.02  # of the loudest frame's energy


@dataclass(frozen=True)
class Note:
    """A pitch that holds for a while."""

    start_s: float
    length_s: float
    hz: float  # median
    slope: float  # octaves a second
    decay: float  # energy at its end over that at its start
    overtones: tuple[float, ...]  # energy at 2, 3, 4 and 5 times the pitch, over its own


def signals(track: np.ndarray | None, rate: int) -> list[str]:
    """Name the signals of a film.

    Args:
        track: mono samples in -1..1, or None.
        rate: samples a second.

    Returns:
        a name of `WORDS` for each signal heard, in order of time, a row of the same within half a
        second once; at most eight.
    """
    if is_silent(track):
        return []
    found = notes(track, rate)
    pitches = {round(12 * np.log2(note.hz / 261.6)) for note in found if _is_played(note)}
    named = [(note.start_s, _name(note, found, len(pitches))) for note in found]
    heard: list[tuple[float, str]] = []
    for start_s, name in named:
        last = next((s for s, other in reversed(heard) if other == name), -1.0)
        if name is not None and start_s - last >= 0.5:
            heard.append((start_s, name))
    return [name for _, name in heard[:8]]


def notes(track: np.ndarray, rate: int) -> list[Note]:
    """Pitches that stand out of their surroundings and hold for 15 ms or more, in order of time."""
    energy = spectrogram(track, _WINDOW, _HOP, _N_FFT) ** 2
    hz_per_bin = rate / _N_FFT
    low, high = int(_LOW_HZ / hz_per_bin), int(_HIGH_HZ / hz_per_bin)
    total = energy[:, 4:].sum(axis=1)
    peak = low + energy[:, low:high].argmax(axis=1)
    near = peak[:, None] + np.arange(-3, 4)
    own = np.take_along_axis(energy, near, axis=1)
    level = own.sum(axis=1)
    # Between bins: the centre of the peak's energy.
    pitch = (own * near).sum(axis=1) / np.maximum(level, 1e-12) * hz_per_bin
    last = energy.shape[1] - 1
    with_overtones = level + sum(
        np.take_along_axis(energy, np.minimum(near + step * peak[:, None], last), axis=1).sum(
            axis=1
        )
        for step in (1, 2)
    )
    stands_out = (with_overtones > _PURE * total) & (level > _LOUD * level.max())
    octave = np.log2(np.maximum(pitch, 1.0))
    goes_on = np.abs(np.diff(octave)) < 0.08
    goes_on &= level[1:] < 2.5 * level[:-1]  # a new stroke begins a new note
    found, start = [], None
    for i in range(len(pitch) + 1):
        if start is not None and (i == len(pitch) or not stands_out[i] or not goes_on[i - 1]):
            if i - start >= 3:
                found.append(_note(energy, octave[start:i], level[start:i], start, rate))
            start = None
        if start is None and i < len(pitch) and stands_out[i]:
            start = i
    return found


def _note(energy: np.ndarray, octave: np.ndarray, level: np.ndarray, start: int, rate: int) -> Note:
    n, frame_s = len(octave), _HOP / rate
    hz = float(2 ** np.median(octave))
    slope = float(np.polyfit(np.arange(n) * frame_s, octave, 1)[0])
    loudest = int(level.argmax())
    row = energy[start + loudest]
    overtones = []
    for times in (2, 3, 4, 5):
        at = round(2 ** octave[loudest] * times * _N_FFT / rate)
        overtones.append(float(row[at - 3 : at + 4].sum() / level[loudest]))
    decay = float(level[-3:].mean() / level[loudest])
    return Note(start * frame_s, n * frame_s, hz, slope, decay, tuple(overtones))


def _is_played(note: Note) -> bool:
    """A held pitch of the middle register with few weak overtones, as an instrument has."""
    return 240 < note.hz < 800 and note.length_s > 0.12 and abs(note.slope) < 0.4


def _name(note: Note, found: list[Note], n_pitches: int) -> str | None:
    second, third, fourth, fifth = note.overtones
    flat = abs(note.slope) < 0.5
    if note.hz > 2300 and note.slope > 2 and note.length_s < 0.13:
        return "birds"
    if note.hz > 4000 and flat and note.length_s < 0.1:
        return "crickets"
    if flat and note.length_s > 0.2 and third > 0.08 and third > 4 * second:
        return "bell"
    if flat and note.length_s > 0.45 and note.hz > 600 and note.decay > 0.3:
        return "whistle"
    if flat and second > 0.4 and third > 0.3 and fourth > 0.2 and 350 < note.hz < 500:
        return "quack"
    if 1600 < note.hz < 2600 and note.length_s < 0.07 and flat and second < 0.1:
        return "tick" if _is_regular([n.start_s for n in found]) else None
    if n_pitches >= 3 and _is_played(note):
        return "music"
    alike = [n for n in found if abs(n.hz / note.hz - 1) < 0.02 and 0.1 < n.length_s < 0.25]
    if flat and 0.1 < note.length_s < 0.25 and note.hz > 500 and max(second, third) < 0.03:
        return "beep" if len(alike) >= 3 else None
    return None


def _is_regular(starts_s: list[float]) -> bool:
    """Whether four strokes or more follow each other evenly."""
    gaps = np.diff(starts_s)
    return len(gaps) > 2 and float(gaps.std()) < 0.1 * float(gaps.mean())
