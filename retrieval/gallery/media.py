"""Where a gallery's clips and posters lie."""

import re
from pathlib import Path

from retrieval import files
from retrieval.errors import GalleryError

PROJECT = Path(__file__).resolve().parents[2]
FILM_LIBRARY = PROJECT / "precomputed" / "animations"


def media_folder(media_root: str, folder: Path) -> Path:
    """Where a gallery's media paths start."""
    if media_root == ".":
        return folder
    named = re.fullmatch(r"assets:([\w-]+)", str(media_root))
    if not named:
        raise GalleryError(f"media root {media_root!r} is unknown; expected '.' or 'assets:NAME'")
    return PROJECT / "assets" / named[1]


class MediaPaths:
    """Resolves media paths; folders are looked at once, so that thousands of files open fast."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: dict[str, Path] = {}

    def __call__(self, relative: str | None) -> Path | None:
        if relative is None:
            return None
        folder, _, name = str(relative).rpartition("/")
        if folder in self.folders and name not in ("", ".", "..") and not set(name) & set("\\:\0"):
            path = self.folders[folder] / name
            if path.is_file() and not path.is_symlink():
                return path
        path = files.resolve_inside(self.root, relative)
        if path.name == name:
            self.folders[folder] = path.parent
        return path
