"""Builds the HTML of tables, tiles, pictures and sections, and escapes their text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from nestling_sim.report.tables import Table


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A tile in the page's first row, which shows one figure.

    Attributes:
        name: the name of the figure.
        value: the value of the figure, with its unit.
        beside: a text that puts the figure into context, for example a second figure.
    """

    name: str
    value: str
    beside: str

    def html(self) -> str:
        """Return the tile as HTML."""
        return (
            f'<div class="tile"><span class="name">{escape(self.name)}</span>'
            f'<span class="value">{escape(self.value)}</span>'
            f'<span class="beside">{escape(self.beside)}</span></div>'
        )


def section(title: str, text: str, body: Iterable[str]) -> str:
    """Return a section of the page as HTML.

    Args:
        title: the heading of the section, not yet escaped.
        text: the first paragraph of the section, not yet escaped.
        body: the rest of the section, as pieces of HTML.
    """
    inside = "\n".join(body)
    return f"<section><h2>{escape(title)}</h2>\n<p>{escape(text)}</p>\n{inside}\n</section>"


def lines_of_text(lines: Iterable[str]) -> str:
    """Return the HTML of a list of short texts.

    Args:
        lines: the texts, not yet escaped.
    """
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="lines">{items}</ul>'


def picture(svg: str) -> str:
    """Return the HTML of a picture in a box that scrolls horizontally on a narrow screen.

    Args:
        svg: the picture as an SVG element.
    """
    return f'<div class="wide"><div class="picture">{svg}</div></div>'


def table(given: Table) -> str:
    """Return the HTML of a table in a box that scrolls horizontally on a narrow screen."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in given.head)
    rows = "\n".join(f"<tr>{_cells(row)}</tr>" for row in given.rows)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def folded(given: Table, title: str = "The figures") -> str:
    """Return the HTML of a table that is collapsed until the reader opens it.

    Args:
        given: the table.
        title: the text that the reader clicks on to open the table, not yet escaped.
    """
    return f"<details><summary>{escape(title)}</summary>{table(given)}</details>"


def _cells(row: Sequence[str]) -> str:
    name, *figures = row
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in figures)
    return f'<th scope="row">{escape(name)}</th>{rest}'
