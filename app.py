"""Front door: serve the page with both rankings.

    python app.py                                 the film library that comes with the project
    python app.py --gallery G [G2 ...] --bank B   galleries made by `python -m retrieval index`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import gradio as gr

from retrieval.errors import RetrievalError
from retrieval.tabs import about, compare, hubness, queries
from retrieval.tabs.context import Context, Library
from retrieval.tabs.media import media_route

ROOT = Path(__file__).resolve().parent
FILM_LIBRARY = ROOT / "precomputed" / "animations"
FILM_BANK = ROOT / "precomputed" / "animations-bank"
TITLE = "Text-video retrieval, with and without QB-Norm"


def build_page(library: Library) -> gr.Blocks:
    """The whole page: query box and settings, the tabs, the About page."""
    with gr.Blocks(
        title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(300, 3600)
    ) as page:
        context: Context = compare.build_top(library, TITLE)
        with gr.Tabs(elem_id="tabs") as context.tabs:
            with gr.Tab("Compare", id="compare", elem_id="tab-compare"):
                compare.build(context)
            with gr.Tab("Queries", id="queries", elem_id="tab-queries"):
                queries.build(context)
            with gr.Tab("Hubness", id="hubness", elem_id="tab-hubness"):
                hubness.build(context)
        compare.wire(context, page)
    with page.route("About", "about"):
        about.build(context)
    return page
