"""Shows the table of devices one page at a time, so that a fleet of any size fits."""

from collections.abc import Callable
from dataclasses import replace

from nicegui.events import GenericEventArguments

from nestling_cloud.console.data.guarantee import table_guarantee
from nestling_cloud.console.data.live_figures import DeviceQuery, LiveFigures
from nestling_cloud.console.data.units import NOTHING, age, number, percent
from nestling_cloud.console.pages.markup import Text, block, link
from nestling_cloud.metrics.views import DeviceRow
from nestling_core.clock import unix_ms

PAGE_ROWS = 25
_LONGEST_SEARCH = 100

# Columns of text, which are aligned to the left.
_TEXT_COLUMNS = {"device", "profile", "bundle_version", "drifting", "guaranteed_since_ms"}
# What a device reports about its inputs: whether they drift; None if it does not know.
_INPUTS = {True: "drifting", False: "none", None: NOTHING}
# Field to sort by, heading, text of a cell, whether the column is left out on a phone.
_Cell = Callable[[DeviceRow, int], str]
_COLUMNS: tuple[tuple[str, str, _Cell, bool], ...] = (
    ("profile", "board", lambda row, _: row.profile or NOTHING, True),
    ("bundle_version", "bundle", lambda row, _: row.bundle_version or NOTHING, True),
    ("capacity", "capacity", lambda row, _: str(row.capacity) if row.capacity else NOTHING, False),
    ("offload_share", "active share", lambda row, _: _share(row.offload_share), True),
    ("target_share", "console target", lambda row, _: _share(row.target_share), True),
    ("drifting", "input drift", lambda row, _: _INPUTS[row.drifting], True),
    ("guaranteed_since_ms", "tolerated risk", lambda row, _: table_guarantee(row), True),
    ("battery", "battery", lambda row, _: percent(row.battery), True),
    ("outbox_depth", "outbox", lambda row, _: number(row.outbox_depth), True),
    ("pending", "to ask", lambda row, _: number(row.pending), True),
    ("answers", "answers", lambda row, _: number(row.answers), False),
    ("last_seen_ms", "last seen", lambda row, now_ms: age(row.last_seen_ms, now_ms), False),
)


class DeviceTable:
    """Table of devices that is searched, sorted and paged on the server.

    Args:
        live: the source of the rows.
    """

    def __init__(self, live: LiveFigures) -> None:
        self._live = live
        self._query = DeviceQuery(limit=PAGE_ROWS)
        self._heads: dict[str, Text] = {}
        with block("section", "panel device-table", aria_label="Devices", data_panel="devices"):
            with block("div", "tools"):
                Text("h2", "Devices")
                self._search = block(
                    "input",
                    "field",
                    type="search",
                    placeholder="id, board or bundle",
                    aria_label="Search devices",
                ).on("input", self._searched, js_handler=_VALUE, throttle=0.3)
            with (
                block("div", "scroll tall", tabindex="0", role="region", aria_label="Devices"),
                block("table", aria_label="Devices"),
            ):
                self._add_heads()
                with block("tbody"):
                    self._rows = [_Row() for _ in range(PAGE_ROWS)]
            with block("div", "tools"):
                self._place = Text("p", "", "note")
                with block("div", "actions"):
                    self._back = self._button("Previous", -PAGE_ROWS)
                    self._on = self._button("Next", PAGE_ROWS)

    async def refresh(self) -> None:
        """Read the current page again and show it."""
        rows, total = await self._live.devices(self._query)
        if not rows and self._query.offset:  # the search or the fleet shrank
            self._query = replace(self._query, offset=0)
            rows, total = await self._live.devices(self._query)
        now_ms = unix_ms()
        # With several pages, the last one keeps its height, so that the buttons do not jump.
        kept = PAGE_ROWS if total > PAGE_ROWS else len(rows)
        for index, line in enumerate(self._rows):
            line.show(rows[index] if index < len(rows) else None, now_ms, keep=index < kept)
        first = self._query.offset + 1
        last = self._query.offset + len(rows)
        self._place.show(
            f"{number(first)} to {number(last)} of {number(total)}" if rows else "no devices found"
        )
        _enable(self._back, enabled=self._query.offset > 0)
        _enable(self._on, enabled=last < total)

    def _add_heads(self) -> None:
        with block("thead"), block("tr"):
            for field, label, narrow in (
                ("device", "device", False),
                *((field, label, left_out) for field, label, _, left_out in _COLUMNS),
            ):
                with block("th", _classes(field, narrow=narrow), scope="col") as head:
                    button = Text("button", label, "order")
                    button.props["type"] = "button"
                    button.on("click", lambda _, field=field: self._order(field))
                self._heads[field] = button
                head.props["aria-sort"] = "none"
        self._mark_order()

    def _button(self, label: str, step: int) -> Text:
        button = Text("button", label, "plain")
        button.props["type"] = "button"

        async def go() -> None:
            self._query = replace(self._query, offset=max(0, self._query.offset + step))
            await self.refresh()

        button.on("click", go)
        return button

    async def _searched(self, event: GenericEventArguments) -> None:
        self._query = replace(self._query, search=str(event.args)[:_LONGEST_SEARCH], offset=0)
        await self.refresh()

    async def _order(self, field: str) -> None:
        turned = field == self._query.order_by and not self._query.descending
        self._query = replace(self._query, order_by=field, descending=turned, offset=0)
        self._mark_order()
        await self.refresh()

    def _mark_order(self) -> None:
        for field, button in self._heads.items():
            chosen = field == self._query.order_by
            way = "descending" if self._query.descending else "ascending"
            button.classes(remove="ascending descending", add=way if chosen else "")


class _Row:
    """One line of the table, empty at first."""

    def __init__(self) -> None:
        self._device = ""
        with block("tr") as self._line:
            with block("th", "text", scope="row") as self._state:
                self._link = link("", "")
            self._cells = [
                Text("td", "", _classes(field, narrow=narrow)) for field, _, _, narrow in _COLUMNS
            ]

    def show(self, row: DeviceRow | None, now_ms: int, *, keep: bool) -> None:
        """Show a device, or hide this line if there is no device.

        A hidden line keeps its height if `keep` is set.
        """
        self._line.set_visibility(row is not None or keep)
        self._line.classes(add="gone" if row is None else "", remove="" if row is None else "gone")
        if row is None:
            return
        if row.device != self._device:
            self._device = row.device
            self._link.props["href"] = f"/devices/{row.device}"
            self._link.show(row.device)
        self._state.classes(
            replace=f"text dot {'on' if row.online else 'off'}",
        )
        self._state.props["title"] = "connected" if row.online else "not connected"
        for text, (_, _, cell, _) in zip(self._cells, _COLUMNS, strict=True):
            text.show(cell(row, now_ms))


def _classes(field: str, *, narrow: bool) -> str:
    return f"{'text' if field in _TEXT_COLUMNS else ''} {'wide-only' if narrow else ''}"


def _share(share: float | None) -> str:
    return NOTHING if share is None else percent(share)


def _enable(button: Text, *, enabled: bool) -> None:
    if button.props.get("disabled", False) == (not enabled):
        return
    button.props["disabled"] = not enabled
    button.update()


_VALUE = "(event) => emit(event.target.value)"
