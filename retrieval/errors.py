"""The problems a person can put right; every message says what was expected, came, and to do."""


class RetrievalError(Exception):
    """A problem whose text is fit to be shown to a visitor: no path of ours, no traceback."""


class QueryError(RetrievalError):
    """The query cannot be answered: empty, too long, or not among the stored ones."""


class VideoError(RetrievalError):
    """A file holds no video that can be read."""


class GalleryError(RetrievalError):
    """A gallery, querybank or bias is missing, damaged, unfinished, or of another encoder."""


class FileError(GalleryError):
    """A file is not what it should be: foreign, damaged, too large, or a program in disguise."""


class ModelError(RetrievalError):
    """An encoder cannot be built or its weights cannot be found."""


class SettingsError(RetrievalError, ValueError):
    """A setting is out of range or unknown."""


class FetchError(RetrievalError):
    """A file cannot be had from where it should be, or is not the one that was published."""
