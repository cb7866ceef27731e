"""The first lines of a page: what is wrong, and whether the page is live at all."""

import logging
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from nicegui import ui

from nestling_cloud.console.data.health import Finding, Severity, store_finding
from nestling_cloud.console.pages.markup import Text, block

_LOG = logging.getLogger(__name__)
_NAMES = {
    Severity.FAULT: "Not working",
    Severity.WARNING: "Warning",
    Severity.NOTE: "Note",
}
# A page that was not refreshed for so long says that it is not live.
_STALE_MS = 20_000
_NOT_LIVE = "not-live"
_BEAT = "beat"

Findings = tuple[Finding, ...]
ReadFindings = Callable[[], Awaitable[Findings]]

# Run in the browser, which alone can tell that it hears nothing any more.
WATCH_LIVENESS = f"""
<script>
(function watch() {{
  const line = document.getElementById("{_NOT_LIVE}");
  const beat = document.getElementById("{_BEAT}");
  if (!window.socket || !line || !beat) return void setTimeout(watch, 100);
  let since = Date.now(), lost = false;
  const show = () => {{
    const stale = lost || Date.now() - since > {_STALE_MS};
    line.hidden = !stale;
    document.body.classList.toggle("stale", stale);
    if (stale) line.textContent = "This page is not live: it has heard nothing from the cloud " +
      "since " + new Date(since).toISOString().slice(11, 19) + " UTC and shows what was then.";
  }};
  new MutationObserver(() => {{ since = Date.now(); show(); }})
    .observe(beat, {{attributes: true, attributeFilter: ["data-beat"]}});
  window.socket.on("disconnect", () => {{ lost = true; show(); }});
  window.socket.on("connect", () => {{ lost = false; show(); }});
  setInterval(show, 1000);
}})();
</script>
"""


class Banner:
    """What is wrong, above everything else on a page.

    Args:
        read: tells what is wrong now, the worst first.
    """

    def __init__(self, read: ReadFindings) -> None:
        self._read = read
        self._beats = 0
        self._shown: Findings = ()
        self._logged = ""
        block("div", "finding fault", id=_NOT_LIVE, role="alert").props["hidden"] = True
        self._beat = block("span", id=_BEAT, hidden="")
        self._lines = block("div", "findings", role="status", data_panel="findings")

    async def keep_fresh(
        self, refresh: Callable[[], Awaitable[None]] | None, *, every_s: float
    ) -> None:
        """Refresh the page and this banner now and from now on.

        Figures that cannot be read are said to be old; the page goes on trying.

        Args:
            refresh: shows new figures; None for a page without any.
            every_s: how long to wait between two times.
        """

        async def tick() -> None:
            failed = await self._try(refresh)
            self._show((*failed, *await self._read_rest(failed)))
            self._beats += 1
            self._beat.props["data-beat"] = str(self._beats)

        await tick()
        ui.timer(every_s, tick, immediate=False)

    async def _try(self, refresh: Callable[[], Awaitable[None]] | None) -> Findings:
        if refresh is None:
            return ()
        try:
            await refresh()
        except sa.exc.SQLAlchemyError as err:
            return (self._told(store_finding(err), err),)
        except Exception as err:  # noqa: BLE001  whatever it was, the figures are old now
            text = "This page could not be refreshed; what the cloud logged tells why."
            return (self._told(Finding(severity=Severity.FAULT, text=text), err),)
        self._logged = ""
        return ()

    async def _read_rest(self, failed: Findings) -> Findings:
        return tuple(finding for finding in await self._read() if finding not in failed)

    def _told(self, finding: Finding, err: Exception) -> Finding:
        """Log a failure once, and not every second that it lasts."""
        if repr(err) != self._logged:
            self._logged = repr(err)
            _LOG.error("console: a page could not be refreshed", exc_info=err)
        return finding

    def _show(self, findings: Findings) -> None:
        if findings == self._shown:
            return
        self._shown = findings
        self._lines.clear()
        with self._lines:
            for finding in findings:
                with block("p", f"finding {finding.severity.value}"):
                    Text("strong", f"{_NAMES[finding.severity]}: ")
                    Text("span", finding.text)
