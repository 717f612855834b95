"""Files of a model on the Hugging Face hub -> a folder here (owner of huggingface_hub)."""

import contextlib
import logging
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from retrieval.errors import ModelError


def fetch_folder(repository: str, files: Sequence[str], option: str) -> Path:
    """Bring some files of a repository, or find them where they were brought before.

    Args:
        repository: OWNER/NAME.
        files: their names, or patterns of names.
        option: what to type for a folder that is here, for the message.

    Raises:
        ModelError: no network and not there, or no such repository.
    """
    import huggingface_hub

    try:
        with without_vain_retries() as reachable:
            return Path(
                huggingface_hub.snapshot_download(
                    repository, allow_patterns=list(files), local_files_only=not reachable
                )
            )
    except Exception as error:  # every layer below has its own kind of network error
        raise ModelError(
            f"could not fetch {repository[:60]}: no network or not there; fetch it elsewhere and "
            f"give {option}"
        ) from error


@contextlib.contextmanager
def without_vain_retries() -> Iterator[bool]:
    """Without network look into the cache only: the hub's client would try again for a minute.

    Yields:
        whether the hub can be reached.
    """
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE and _reachable(constants.ENDPOINT):
        yield True
        return
    log = logging.getLogger("huggingface_hub")
    before = constants.HF_HUB_OFFLINE, log.level
    constants.HF_HUB_OFFLINE = True
    log.setLevel(logging.ERROR)
    try:
        yield False
    finally:
        constants.HF_HUB_OFFLINE = before[0]
        log.setLevel(before[1])


def _reachable(url: str) -> bool:
    if urllib.request.getproxies():  # the proxy knows
        return True
    parts = urllib.parse.urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname, port), timeout=3).close()
    except OSError:
        return False
    return True
