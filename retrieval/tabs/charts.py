"""What the tabs with charts share: plots, the data behind them, clicks on bars, and numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import gradio as gr
from gradio.components.plot import PlotData

from retrieval.figures import Figure
from retrieval.normalisers import title_of

# Gradio's plot has no click event; this one survives its re-drawing (the plot's script loads late).
# The buttons in the chart's table do the same for those who use no pointer.
_CLICKS = """
const name = '%s';
const choose = (series, bar) => trigger('select', { index: [series, bar], value: '' });
const hook = () => {
  if (!element.isConnected) return watcher.disconnect();
  const plot = document.querySelector(`#${name} .js-plotly-plot`);
  if (plot && plot.on && !plot.hublensHooked) {
    plot.hublensHooked = true;
    plot.on('plotly_click', ({ points }) => choose(points[0].curveNumber, points[0].pointIndex));
  }
};
const watcher = new MutationObserver(hook);
watcher.observe(document.body, { childList: true, subtree: true });
document.addEventListener('click', ({ target }) => {
  const button = element.isConnected && target.closest(`[data-chart=${name}]`);
  if (button) choose(Number(button.dataset.series), Number(button.dataset.bar));
});
hook();
"""


def html(value: str = "", elem_id: str | None = None) -> gr.HTML:
    """A piece of the page without Gradio's padding; takes no room while it is empty."""
    return gr.HTML(value, elem_id=elem_id, elem_classes="hl-flat", apply_default_css=False)


def heading(text: str) -> gr.HTML:
    """A heading above a chart or a table."""
    return html(f'<h2 class="hl-heading">{escape(text)}</h2>')


def plot(elem_id: str, clickable: bool = False) -> tuple[gr.Plot, gr.HTML | None]:
    """A plot without label, and the component whose `select` event tells of clicks on bars."""
    # Out of sight, so that no visitor loads what draws plots before there is one to be drawn.
    shown = gr.Plot(show_label=False, elem_id=elem_id, container=False, visible=False)
    clicks = None
    if clickable:
        clicks = gr.HTML(
            "",
            html_template="<span hidden></span>",
            js_on_load=_CLICKS % elem_id,
            apply_default_css=False,
            elem_id=f"{elem_id}-clicks",
            elem_classes="hl-flat",
        )
    return shown, clicks


def clicked(event: gr.SelectData) -> tuple[int, int]:
    """(series, bar) of a click on a clickable plot; (-1, -1) for what no plot can have sent."""
    index = event.index
    if isinstance(index, list) and len(index) == 2 and all(type(each) is int for each in index):
        return index[0], index[1]
    return -1, -1


def drawn(figure: Figure | None) -> dict:
    """The update of a plot: a figure without plotly's tool bar, or none."""
    if figure is None:
        return gr.update(value=None, visible=False)
    figure_json = json.loads(figure.to_json())
    figure_json["config"] = {"displayModeBar": False, "responsive": True}
    return gr.update(value=PlotData(type="plotly", plot=json.dumps(figure_json)), visible=True)


def data_table(
    summary: str,
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    caption: str,
    chart: str = "",
    clickable: Sequence[int] = (),
) -> str:
    """A sentence that sums the chart up, and its numbers behind a disclosure.

    Args:
        summary: the sentence.
        headers: of the columns.
        rows: one per bar or point, in the chart's order.
        caption: of the table.
        chart: elem_id of a clickable plot whose bars the table's cells choose, too.
        clickable: columns whose cells are such buttons; the first stands for the first series.
    """
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in headers)
    body = ""
    for bar, row in enumerate(rows):
        cells = [escape(str(cell)) for cell in row]
        for series, column in enumerate(clickable):
            name = escape(f"{row[column]} {headers[column]}, {headers[0]} {row[0]}")
            cells[column] = (
                f'<button type="button" data-chart="{chart}" data-series="{series}" '
                f'data-bar="{bar}" aria-label="{name}: show them">{cells[column]}</button>'
            )
        body += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    return (
        f'<p class="hl-summary">{escape(summary)}</p><details class="hl-data">'
        f"<summary>Numbers of this chart</summary><table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
    )


@dataclass(frozen=True)
class Number:
    """One number before and after, as a tile of the page."""

    name: str
    before: str
    after: str
    below: str  # a line in small print
    exact: str = ""  # on hover


def tiles(numbers: Sequence[Number]) -> str:
    """A row of numbers, each before -> after."""
    shown = "".join(
        f'<div class="hl-tile" title="{escape(each.exact)}"><dt>{escape(each.name)}</dt>'
        f"<dd><b>{escape(each.before)} → {escape(each.after)}</b>"
        f"<span>{escape(each.below)}</span></dd></div>"
        for each in numbers
    )
    return f'<dl class="hl-tiles">{shown}</dl>'


def ranking_names(left: str, right: str) -> tuple[str, str]:
    """What charts call the left and the right ranking, from the normalisers' words."""
    return tuple(
        title_of(name) if name == "none" else f"With {title_of(name)}" for name in (left, right)
    )
