"""What the tabs with charts share: a plot with its data behind a disclosure, and clicks on bars."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import gradio as gr
from gradio.components.plot import PlotData

from retrieval.figures import Figure
from retrieval.normalisers import NORMALISERS

# Gradio's plot has no click event; this one survives its re-drawing (the plot's script loads late).
_CLICKS = """
const hook = () => {
  const plot = document.querySelector('#%s .js-plotly-plot');
  if (plot && plot.on && !plot.hublensHooked) {
    plot.hublensHooked = true;
    plot.on('plotly_click', (event) => {
      const point = event.points[0];
      trigger('select', { index: point.pointIndex, value: String(point.x) });
    });
  }
};
new MutationObserver(hook).observe(document.body, { childList: true, subtree: true });
hook();
"""


def plot(elem_id: str, clickable: bool = False) -> tuple[gr.Plot, gr.HTML | None]:
    """A plot without label, and the component whose `select` event tells of clicks on bars."""
    shown = gr.Plot(show_label=False, elem_id=elem_id, container=False)
    clicks = None
    if clickable:
        clicks = gr.HTML(
            "",
            html_template="<span hidden></span>",
            js_on_load=_CLICKS % elem_id,
            apply_default_css=False,
            elem_id=f"{elem_id}-clicks",
        )
    return shown, clicks


def drawn(figure: Figure) -> PlotData:
    """A figure for gr.Plot, without plotly's tool bar."""
    figure_json = json.loads(figure.to_json())
    figure_json["config"] = {"displayModeBar": False, "responsive": True}
    return PlotData(type="plotly", plot=json.dumps(figure_json))


def data_table(
    summary: str, headers: Sequence[str], rows: Sequence[Sequence[object]], caption: str
) -> str:
    """A sentence that sums the chart up, and its numbers behind a disclosure."""
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<p class="hl-summary">{escape(summary)}</p><details class="hl-data">'
        f"<summary>Numbers of this chart</summary><table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
    )


def ranking_names(left: str, right: str) -> tuple[str, str]:
    """What charts call the left and the right ranking, from the normalisers' titles."""
    return tuple(
        NORMALISERS[name].title if name == "none" else f"With {NORMALISERS[name].title}"
        for name in (left, right)
    )
