"""The query box, the settings and the tab Compare: one query, two rankings, and why they differ.

Three events reach the server: a typed search, a change of a setting, and a link (opened, stepped
back to, or clicked). Each ends in `_shown`, so a view looks the same whichever way it was reached.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from html import escape

import gradio as gr

from retrieval.cards import Media, columns_html, explanation_html, status_html, unknown_words_html
from retrieval.engine import SearchResult
from retrieval.errors import QueryError, RetrievalError
from retrieval.normalisers import NORMALISERS
from retrieval.tabs import links
from retrieval.tabs.context import (
    Context,
    Library,
    check_query,
    guarded,
    log_unexpected,
    scene_of,
    settings_of,
)
from retrieval.tabs.links import View
from retrieval.tabs.media import media_url

POLL_S = 0.5  # seconds between two lines of the "loading" status
WAIT_S = 120.0  # seconds a visitor waits for the text encoder before being told
BRIDGE_JS = """
const send = { apply: (data) => trigger('apply', data), why: (data) => trigger('why', data) };
watch('value', () => window.hublens.follow(props.value));
window.hublens.connect(send);
"""
