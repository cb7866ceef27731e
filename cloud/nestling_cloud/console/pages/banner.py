"""Shows the banner at the top of a page.

The banner says what is wrong, and warns if the page no longer receives updates from the cloud.
"""

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
# A page that has not been refreshed for this long shows that it is not live.
_STALE_MS = 20_000
_NOT_LIVE = "not-live"
_BEAT = "beat"

Findings = tuple[Finding, ...]
ReadFindings = Callable[[], Awaitable[Findings]]

# Runs in the browser, because only the browser notices that it receives nothing any more.
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
    if (stale) line.textContent = "This page is not live: it has received nothing from the cloud " +
      "since " + new Date(since).toISOString().slice(11, 19) + " UTC. Its figures are from then.";
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
    """Shows what is wrong, above everything else on a page.

    Args:
        read: a function that returns the current problems, worst first.
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
        """Refresh the page and this banner now, and then periodically.

        If the figures cannot be read, the banner says that they are out of date, and the page keeps
        trying.

        Args:
            refresh: a function that shows new figures, or None for a page without figures.
            every_s: the number of seconds between two refreshes.
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
            return (self._logged_once(store_finding(err), err),)
        except Exception as err:  # noqa: BLE001  after any failure the figures are out of date
            text = "This page could not be refreshed; see the cloud's log for the reason."
            return (self._logged_once(Finding(severity=Severity.FAULT, text=text), err),)
        self._logged = ""
        return ()

    async def _read_rest(self, failed: Findings) -> Findings:
        return tuple(finding for finding in await self._read() if finding not in failed)

    def _logged_once(self, finding: Finding, err: Exception) -> Finding:
        """Log a failure, and return its finding.

        A failure that lasts is logged once, not at every refresh.
        """
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
