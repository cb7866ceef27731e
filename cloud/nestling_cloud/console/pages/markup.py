"""Defines the plain HTML elements that the pages are built from.

The elements are updated in place, so that nothing on a page jumps or loses focus.
"""

from collections.abc import Callable

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from nestling_cloud.console.charts.plot import Options
from nestling_cloud.console.data.table import Cell, Column, Table, is_empty
from nestling_cloud.console.data.units import NOTHING, number

# Vue's name for the attribute that holds the initial value of a field. If it were a property, every
# change of the page would set it again and overwrite what somebody is typing.
INITIAL_VALUE = "^value"


class Text(TextElement):
    """An HTML element that contains text.

    Args:
        tag: the name of the HTML tag.
        text: the text of the element.
        classes: the CSS classes of the element, separated by spaces.
    """

    def __init__(self, tag: str, text: str = "", classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)

    def show(self, text: str) -> None:
        """Change the text.

        If the text is the same as before, nothing is sent to the browser.
        """
        if text != self.text:
            self.set_text(text)


def block(tag: str, classes: str = "", **props: str) -> ui.element:
    """Build an element that can contain other elements.

    Args:
        tag: the name of the HTML tag.
        classes: the CSS classes of the element, separated by spaces.
        props: the HTML attributes by name. Underscores within a name become dashes, and underscores
            at its end are removed.
    """
    element = ui.element(tag).classes(classes)
    for name, value in props.items():
        element.props[name.rstrip("_").replace("_", "-")] = value
    return element


def link(text: str, href: str, classes: str = "") -> Text:
    """Build a link.

    Args:
        text: the text of the link.
        href: the address that the link leads to.
        classes: the CSS classes of the link, separated by spaces.
    """
    element = Text("a", text, classes)
    element.props["href"] = href
    return element


class Tile:
    """A figure with its name above and a remark below.

    A tile must be placed in a block with the CSS class `tiles`.

    Args:
        name: the name of the figure.
        key: the value of `data-figure`, for tests.
        small: whether the figure is long and needs a smaller font.
    """

    def __init__(self, name: str, key: str, *, small: bool = False) -> None:
        with block("div", "tile", data_figure=key) as self._tile:
            Text("div", name, "name")
            self._value = Text("div", NOTHING, "value small" if small else "value")
            self._beside = Text("div", "", "beside")

    def show(self, value: str, beside: str = "", *, broken: bool = False) -> None:
        """Change the figure and its remark.

        Args:
            value: the figure.
            beside: the remark.
            broken: whether to highlight the figure as a problem.
        """
        self._value.show(value)
        self._beside.show(beside)
        self._tile.classes(add="broken" if broken else "", remove="" if broken else "broken")


class Grid:
    """Table on a page, which is updated row by row.

    Args:
        label: the name of the table for screen readers.
        figures: whether the strings in the table are figures with units, which are aligned to the
            right. Other strings are aligned to the left.
    """

    def __init__(self, label: str, *, figures: bool = False) -> None:
        self._figures = figures
        self._kept: tuple[int, ...] = ()
        self._rows: list[tuple[ui.element, list[Text]]] = []
        with block("table", aria_label=label):
            self._head = block("thead")
            self._body = block("tbody")
        self._columns: tuple[Column, ...] = ()
        self._is_text: tuple[bool, ...] = ()

    def show(self, table: Table) -> None:
        """Show a table in place of the previous one.

        Columns without a label are left out.
        """
        is_text = self._text_columns(table)
        if table.columns != self._columns or is_text != self._is_text:
            self._columns, self._is_text = table.columns, is_text
            self._show_head(table.columns)
        while len(self._rows) > len(table.rows):
            self._rows.pop()[0].delete()
        for number_of_row, row in enumerate(table.rows):
            if number_of_row == len(self._rows):
                self._rows.append(self._new_row())
            for text, index in zip(self._rows[number_of_row][1], self._kept, strict=True):
                text.show(cell_text(row[index]))

    def _text_columns(self, table: Table) -> tuple[bool, ...]:
        first = table.rows[0] if table.rows else ()
        return tuple(isinstance(cell, str) and not self._figures for cell in first)

    def _class(self, index: int) -> str:
        return "text" if self._is_text and self._is_text[index] else ""

    def _show_head(self, columns: tuple[Column, ...]) -> None:
        self._kept = tuple(index for index, column in enumerate(columns) if column.label)
        self._head.clear()
        self._body.clear()
        self._rows = []
        with self._head, block("tr"):
            for index in self._kept:
                Text("th", columns[index].label, self._class(index)).props["scope"] = "col"

    def _new_row(self) -> tuple[ui.element, list[Text]]:
        with self._body, block("tr") as row:
            return row, [Text("td", "", self._class(index)) for index in self._kept]


def cell_text(cell: Cell) -> str:
    """Format the value of a table cell for display."""
    if cell is None:
        return NOTHING
    return cell if isinstance(cell, str) else number(cell)


class ChartPanel:
    """Chart with a data table below it, and a link to the same figures as CSV.

    Args:
        title: the title, which says what the chart shows.
        note: the note on how to read the chart.
        key: the value of `data-panel`, for tests and style sheets.
        href: the address of the CSV.
        wide: whether the panel takes up the full width.
    """

    def __init__(self, title: str, note: str, *, key: str, href: str, wide: bool = False) -> None:
        self._table: Table | None = None
        self._open = False
        self._href = href
        classes = "panel wide" if wide else "panel"
        with block("section", classes, data_panel=key, aria_label=title):
            Text("h2", title)
            self._note = Text("p", note, "note")
            with block("div", "chart", role="img", aria_label=f"{title}; data table below"):
                self._chart = ui.echart({}, renderer="svg")
                self._none = Text("div", "No answers in this time range.", "none")
            with block("div", "under"):
                with block("details") as details:
                    Text("summary", "Data table")
                    with block("div", "scroll", tabindex="0", role="region", aria_label=title):
                        self._grid = Grid(title)
                self._link = link("CSV", href)
                self._link.props["aria-label"] = f"{title} as CSV"
        details.on(
            "toggle", lambda event: self._toggle(opened=bool(event.args)), js_handler=_IS_OPEN
        )

    def show(self, table: Table, draw: Callable[[Table], Options], *, query: str = "") -> None:
        """Draw the chart of a table if the table has changed.

        Args:
            table: the figures.
            draw: a function that makes the chart options of a table.
            query: the query string to append to the CSV link, so that the link returns the same
                figures.
        """
        href = f"{self._href}?{query}" if query else self._href
        if self._link.props["href"] != href:
            self._link.props["href"] = href
        if table != self._table:
            self.draw(table, draw(table))

    def draw(self, table: Table, options: Options) -> None:
        """Draw a chart with the given options, for a chart that shows more than its table.

        Args:
            table: the figures for the data table below the chart.
            options: the chart options.
        """
        self._none.set_visibility(is_empty(table))
        if options != self._chart.options:
            self._chart.props["options"] = options
        if self._open and table != self._table:
            self._grid.show(table)
        self._table = table

    def _toggle(self, *, opened: bool) -> None:
        self._open = opened
        if opened and self._table is not None:
            self._grid.show(self._table)


_IS_OPEN = "(event) => emit(event.target.open)"
