"""Pieces of HTML: tables, tiles, pictures and sections; text is escaped here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from nestling_sim.report.tables import Table


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One figure of the page's first row, with what it has to be seen against."""

    name: str
    value: str
    beside: str

    def html(self) -> str:
        """The tile."""
        return (
            f'<div class="tile"><span class="name">{escape(self.name)}</span>'
            f'<span class="value">{escape(self.value)}</span>'
            f'<span class="beside">{escape(self.beside)}</span></div>'
        )


def section(title: str, words: str, body: Iterable[str]) -> str:
    """A headed part of the page; `body` is HTML, title and words are text."""
    inside = "\n".join(body)
    return f"<section><h2>{escape(title)}</h2>\n<p>{escape(words)}</p>\n{inside}\n</section>"


def picture(svg: str) -> str:
    """A picture in a box that scrolls sideways on a narrow screen."""
    return f'<div class="wide"><div class="picture">{svg}</div></div>'


def table(given: Table) -> str:
    """A table, in a box that scrolls sideways on a narrow screen."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in given.head)
    rows = "\n".join(f"<tr>{_cells(row)}</tr>" for row in given.rows)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def folded(given: Table, title: str = "The figures") -> str:
    """A picture's figures, for who opens them."""
    return f"<details><summary>{escape(title)}</summary>{table(given)}</details>"


def _cells(row: Sequence[str]) -> str:
    name, *figures = row
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in figures)
    return f'<th scope="row">{escape(name)}</th>{rest}'
