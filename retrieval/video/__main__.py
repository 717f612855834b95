"""The process that opens videos, from inside: `python -m retrieval.video`; see `child`."""

import contextlib
import json
import logging
import os
import sys

import numpy as np

from retrieval.errors import VideoError
from retrieval.video import films
from retrieval.video.copies import playable_copy
from retrieval.video.decoding import probe, sample_frames, thumbnail
from retrieval.video.opening import unreadable

logger = logging.getLogger(__name__)

_WORK = {
    "probe": probe,
    "sample_frames": sample_frames,
    "thumbnail": thumbnail,
    "playable_copy": playable_copy,
    **films.WORK,
}


def _serve(memory_bytes: int) -> None:
    """The child's loop: one question, one answer, until the pipe closes."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decoders that print must not disturb the answers
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            value = _WORK[question.pop("call")](**question)
            if isinstance(value, np.ndarray):
                answers.write(json.dumps({"shape": value.shape}).encode() + b"\n" + value.tobytes())
            else:
                answers.write(json.dumps({"value": value}).encode() + b"\n")
        except VideoError as error:
            answers.write(json.dumps({"error": str(error)}).encode() + b"\n")
        except Exception:  # whatever a decoder throws at us is a file that cannot be read
            logger.exception("decoding failed")
            text = unreadable(question["path"], "decoding failed")
            answers.write(json.dumps({"error": text}).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
