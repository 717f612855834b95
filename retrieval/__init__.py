"""Text-to-video retrieval with and without hubness normalisation."""
