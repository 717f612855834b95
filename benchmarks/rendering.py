"""How fast the film library is drawn: clips a second, and what one clip costs a processor.

    python benchmarks/rendering.py --n-clips 96

Draws the same clips, one of each scene family in turn, with one process and with one a core; the
ratio of the two is what the parallel drawing gains. Processor seconds are split into drawing, sound
and encoding, and hold on a busy machine too: at 0.5 a clip, two quiet cores draw 4 clips a second.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import parser_of
from retrieval.datasets.animations import split
from retrieval.datasets.animations.library import Clip
from retrieval.datasets.animations.render import FPS, all_times, draw_frames, render, sound
from retrieval.datasets.animations.sounds import RATE
from retrieval.video import write_mp4

TO_REACH = 4.0  # clips a second on two cores


def by_family(name: str, n: int) -> list[Clip]:
    """n clips of a split, families in turn, so that a few slow ones do not decide."""
    clips = split(name)
    turn: dict[str, int] = {}
    order = []
    for clip in clips:
        turn[clip.scene_name] = turn.get(clip.scene_name, -1) + 1
        order.append((turn[clip.scene_name], len(order)))
    return [clips[place] for _, place in sorted(order)[:n]]


def rendered(clips: Sequence[Clip], n_workers: int) -> tuple[float, float]:
    """Clips a second, and processor seconds a clip, of drawing them into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        render(clips, Path(folder), n_workers)
        wall = time.perf_counter() - begun
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return len(clips) / wall, cpu / len(clips)


def parts(clips: Sequence[Clip]) -> dict[str, float]:
    """Processor seconds a clip of drawing, sound and encoding, in this process."""
    spent = dict.fromkeys(("drawing", "sound", "encoding"), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            marks = [time.process_time()]
            frames = draw_frames(clip, all_times())
            marks.append(time.process_time())
            track = sound(clip)
            marks.append(time.process_time())
            write_mp4(Path(folder) / "clip.mp4", frames, FPS, track, RATE)
            marks.append(time.process_time())
            for name, start, end in zip(spent, marks, marks[1:], strict=False):
                spent[name] += (end - start) / len(clips)
    return spent


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--split", default="train", help="train, val or test (default: train)")
    parser.add_argument("--n-clips", type=int, default=96, help="clips to draw (default: 96)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="default: a core each")
    args = parser.parse_args()

    clips = by_family(args.split, args.n_clips)
    families = len({clip.scene_name for clip in clips})
    spent = parts(clips)
    alone, cpu_alone = rendered(clips, 1)
    together, cpu = rendered(clips, args.workers)
    print(f"{len(clips)} clips of {families} scene families")
    print(f"one process     {alone:6.2f} clips/s   {cpu_alone:.3f} processor seconds a clip")
    print(
        f"{args.workers} processes     {together:6.2f} clips/s   {cpu:.3f} processor seconds a clip"
    )
    print(f"ratio           {together / alone:6.2f}")
    print("in one clip     " + ", ".join(f"{name} {s:.3f} s" for name, s in spent.items()))
    verdict = "reached" if together >= TO_REACH else "NOT REACHED"
    print(f"to reach        {TO_REACH:6.2f} clips/s on two cores: {verdict}")


if __name__ == "__main__":
    main()
