"""Builds the frame that all pages share.

The frame consists of the bar with its links, the heading and, on pages that show figures over
time, the buttons to choose a time span.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from nestling_cloud.console.auth.login import LOGOUT
from nestling_cloud.console.data.time_spans import SPANS, Span, span_named
from nestling_cloud.console.http.paths import ICON, LOGIN
from nestling_cloud.console.pages.banner import WATCH_LIVENESS, Banner, ReadFindings
from nestling_cloud.console.pages.markup import Text, block, link
from nestling_cloud.palette import css_variables

STYLE_PATH = "/assets/console.css"
SESSION_PATH = "/api/v1/session"
_PAGES = (
    ("Fleet", "/"),
    ("Models", "/models"),
    ("Operating point", "/operating-point"),
    ("Rounds", "/rounds"),
    ("API", "/api"),
)
_THEME_COOKIE = "nestling_theme"
_THEMES: dict[str, bool | None] = {"auto": None, "light": False, "dark": True}
# The socket of an ended session is refused. Without this script, a page would try forever to
# reconnect.
_LEAVE_WITH_SESSION = f"""
<script>
(function watch() {{
  if (!window.socket) return void setTimeout(watch, 100);
  window.socket.on("connect_error", async () => {{
    const response = await fetch({json.dumps(SESSION_PATH)}).catch(() => null);
    if (response && response.status === 401)
      location.assign({json.dumps(LOGIN)} + "?next=" + encodeURIComponent(location.pathname));
  }});
}})();
</script>
"""


def style_sheet() -> str:
    """Return the console's style sheet, with the colors of the palette filled in."""
    text = (resources.files("nestling_cloud.console") / "assets" / "console.css").read_text("utf-8")
    return text.replace("LIGHT_COLOURS", css_variables(dark=False)).replace(
        "DARK_COLOURS", css_variables(dark=True)
    )


@contextmanager
def frame(request: Request, current: str, findings: ReadFindings) -> Iterator[Banner]:
    """Lay out a page.

    Elements created inside the `with` block become the main part of the page.

    Args:
        request: the request for the page.
        current: the path of the link in the bar to mark as the current page.
        findings: a function that returns the problems to show in the banner.

    Yields:
        The banner at the top of the page. The caller must call its `keep_fresh`.
    """
    ui.add_head_html(f'<link rel="stylesheet" href="{STYLE_PATH}">')
    ui.add_body_html(_LEAVE_WITH_SESSION)
    ui.add_body_html(WATCH_LIVENESS)
    link("Skip to content", "#main", "skip")
    with block("header", "bar"):
        with block("a", "brand", href="/", aria_label="Nestling, fleet"):
            block("img", src=ICON, alt="", width="24", height="24")
            Text("span", "Nestling")
        with block("nav", aria_label="Pages"):
            for name, path in _PAGES:
                entry = link(name, path)
                if path == current:
                    entry.props["aria-current"] = "page"
        with block("div", "actions"):
            _theme_button(request)
            with block("form", method="post", action=LOGOUT):
                Text("button", "Log out", "plain")
    with block("div", "main", id="main", tabindex="-1"):  # NiceGUI made the <main> around it
        yield Banner(findings)


@contextmanager
def heading(title: str) -> Iterator[Text]:
    """Add the heading of a page.

    Elements created inside the `with` block appear beside the title.

    Args:
        title: the title of the page.

    Yields:
        The line of text below the title.
    """
    with block("div", "head"):
        with block("div"):
            Text("h1", title)
            sub = Text("p", "", "sub")
        yield sub


class SpanChoice:
    """Buttons to choose a time span.

    The choice is kept in the URL of the page.

    Attributes:
        span: the chosen span.

    Args:
        request: the request for the page; its URL may contain a choice.
        age_ms: the age of the first answer, or None if there is no answer. If the URL contains no
            choice, the span depends on this age (see `span_named`).
        changed: a function that is called when the choice has changed.
    """

    def __init__(
        self, request: Request, age_ms: int | None, changed: Callable[[], Awaitable[None]]
    ) -> None:
        self.span: Span = span_named(request.query_params.get("span", ""), age_ms)
        self._path = request.url.path
        others = [pair for pair in request.query_params.multi_items() if pair[0] != "span"]
        self._others = f"{urlencode(others)}&" if others else ""
        self._changed = changed
        self._buttons: dict[str, Text] = {}
        with block("div", "spans", role="group", aria_label="Time"):
            for span in SPANS.values():
                button = Text("button", span.label)
                button.props["type"] = "button"
                button.on("click", lambda _, span=span: self._choose(span))
                self._buttons[span.name] = button
        self._mark()

    def query(self) -> str:
        """Return the choice as a URL query string, such as "span=1h"."""
        return f"span={self.span.name}"

    async def _choose(self, span: Span) -> None:
        self.span = span
        self._mark()
        ui.navigate.history.replace(f"{self._path}?{self._others}{self.query()}")
        await self._changed()

    def _mark(self) -> None:
        for name, button in self._buttons.items():
            button.props["aria-pressed"] = str(name == self.span.name).lower()


def _theme_button(request: Request) -> None:
    name = request.cookies.get(_THEME_COOKIE, "auto")
    name = name if name in _THEMES else "auto"
    mode = ui.dark_mode(_THEMES[name])
    button = Text("button", f"Theme: {name}", "plain")
    button.props["type"] = "button"

    def turn() -> None:
        nonlocal name
        names = list(_THEMES)
        name = names[(names.index(name) + 1) % len(names)]
        mode.value = _THEMES[name]
        button.show(f"Theme: {name}")
        cookie = f"{_THEME_COOKIE}={name}; path=/; max-age=31536000; samesite=lax"
        ui.run_javascript(f"document.cookie = {json.dumps(cookie)}")

    button.on("click", turn)
