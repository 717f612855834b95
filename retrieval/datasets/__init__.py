"""Data sets, one file or folder each, in their official on-disk layouts."""
