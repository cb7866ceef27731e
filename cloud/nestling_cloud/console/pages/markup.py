"""Plain HTML elements for NiceGUI pages, changed in place so that nothing jumps or loses focus."""

from collections.abc import Callable

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from nestling_cloud.console.charts.echarts import Options
from nestling_cloud.console.data.table import Cell, Column, Table, is_empty
from nestling_cloud.console.data.units import NOTHING, number

# Vue's name for the attribute: what the field begins with. As a property it would be put back with
# every change of the page, under the fingers of whoever types.
INITIAL_VALUE = "^value"


class Text(TextElement):
    """An element with a text.

    Args:
        tag: of HTML.
        text: its content.
        classes: of the style sheet.
    """

    def __init__(self, tag: str, text: str = "", classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)

    def say(self, text: str) -> None:
        """Change the text, and send nothing where it is the same."""
        if text != self.text:
            self.set_text(text)


def block(tag: str, classes: str = "", **props: str) -> ui.element:
    """Make an element that holds others; underscores in the names of `props` become dashes."""
    made = ui.element(tag).classes(classes)
    for name, value in props.items():
        made.props[name.rstrip("_").replace("_", "-")] = value
    return made


def link(text: str, href: str, classes: str = "") -> Text:
    """Make a link."""
    made = Text("a", text, classes)
    made.props["href"] = href
    return made


class Tile:
    """One figure with a name above and a remark below; use within a block of class `tiles`."""

    def __init__(self, name: str, key: str, *, small: bool = False) -> None:
        with block("div", "tile", data_figure=key) as self._tile:
            Text("div", name, "name")
            self._value = Text("div", NOTHING, "value small" if small else "value")
            self._beside = Text("div", "", "beside")

    def show(self, value: str, beside: str = "", *, broken: bool = False) -> None:
        """Change figure and remark; a broken one stands out."""
        self._value.say(value)
        self._beside.say(beside)
        self._tile.classes(add="broken" if broken else "", remove="" if broken else "broken")


class Grid:
    """A table whose rows come and go.

    Args:
        label: what the table is about, for those who hear it.
        figures: whether every text in it is a figure with a unit, and stands to the right.
    """

    def __init__(self, label: str, *, figures: bool = False) -> None:
        self._figures = figures
        self._kept: tuple[int, ...] = ()
        self._rows: list[tuple[ui.element, list[Text]]] = []
        with block("table", aria_label=label):
            self._head = block("thead")
            self._body = block("tbody")
        self._columns: tuple[Column, ...] = ()
        self._words: tuple[bool, ...] = ()

    def show(self, shown: Table) -> None:
        """Show a table in place of the one before; columns without a label are left out."""
        words = self._columns_of_words(shown)
        if shown.columns != self._columns or words != self._words:
            self._columns, self._words = shown.columns, words
            self._show_head(shown.columns)
        while len(self._rows) > len(shown.rows):
            self._rows.pop()[0].delete()
        for number_of_row, row in enumerate(shown.rows):
            if number_of_row == len(self._rows):
                self._rows.append(self._new_row())
            for text, index in zip(self._rows[number_of_row][1], self._kept, strict=True):
                text.say(cell_text(row[index]))

    def _columns_of_words(self, shown: Table) -> tuple[bool, ...]:
        first = shown.rows[0] if shown.rows else ()
        return tuple(isinstance(cell, str) and not self._figures for cell in first)

    def _class(self, index: int) -> str:
        return "text" if self._words and self._words[index] else ""

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
    """A cell as people read it."""
    if cell is None:
        return NOTHING
    return cell if isinstance(cell, str) else number(cell)


class ChartPanel:
    """A chart, with its data table and a link to the same figures as CSV beneath.

    Args:
        title: what it shows.
        note: how to read it.
        key: for tests and style sheets.
        href: of the CSV.
        wide: whether it takes the whole width.
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
                self._none = Text("div", "No answers in this time.", "none")
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

    def show(self, shown: Table, draw: Callable[[Table], Options], *, query: str = "") -> None:
        """Draw a table; `query` asks for the same figures as CSV."""
        href = f"{self._href}?{query}" if query else self._href
        if self._link.props["href"] != href:
            self._link.props["href"] = href
        if shown != self._table:
            self.draw(shown, draw(shown))

    def draw(self, shown: Table, options: Options) -> None:
        """Draw a table whose picture also depends on something else."""
        self._none.set_visibility(is_empty(shown))
        if options != self._chart.options:
            self._chart.props["options"] = options
        if self._open and shown != self._table:
            self._grid.show(shown)
        self._table = shown

    def _toggle(self, *, opened: bool) -> None:
        self._open = opened
        if opened and self._table is not None:
            self._grid.show(self._table)


_IS_OPEN = "(event) => emit(event.target.open)"
