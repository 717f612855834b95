"""Tab Queries: which stored queries the normaliser helped, hurt or left alone."""

from __future__ import annotations

import gradio as gr

from retrieval.tabs.context import Context


def build(context: Context) -> None:
    """Build the view inside the container that is open."""
    gr.HTML("<p>Not built yet.</p>")
