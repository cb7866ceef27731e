"""The documentation matches the repository: every name in it exists, and every flag is in it."""

import argparse
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from nestling_cloud import cli as cloud_cli
from nestling_device import cli as device_cli
from nestling_sim import cli as sim_cli
from nestling_sim.scenario import scenario

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MAINS: dict[str, Callable[[list[str]], int]] = {
    "nestling-cloud": cloud_cli.main,
    "nestling-device": device_cli.main,
    "nestling-sim": sim_cli.main,
}
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "nestling-cloud": cloud_cli.parser,
    "nestling-device": device_cli._parser,
    "nestling-sim": sim_cli._parser,
}
COMMANDS = {
    ("nestling-cloud", "serve"),
    ("nestling-cloud", "console", "password"),
    ("nestling-cloud", "console", "token", "add"),
    ("nestling-cloud", "console", "token", "list"),
    ("nestling-cloud", "console", "token", "remove"),
    ("nestling-cloud", "task", "new"),
    ("nestling-cloud", "task", "check"),
    ("nestling-cloud", "bundle", "train"),
    ("nestling-cloud", "bundle", "adapt"),
    ("nestling-cloud", "bundle", "show"),
    ("nestling-cloud", "bundle", "export"),
    ("nestling-cloud", "capacities"),
    ("nestling-cloud", "latency", "probes"),
    ("nestling-cloud", "latency", "fit"),
    ("nestling-cloud", "latency", "predict"),
    ("nestling-cloud", "device", "add"),
    ("nestling-cloud", "device", "list"),
    ("nestling-cloud", "device", "remove"),
    ("nestling-cloud", "broker-config"),
    ("nestling-cloud", "federated", "link"),
    ("nestling-cloud", "federated", "run"),
    ("nestling-cloud", "federated", "rounds"),
    ("nestling-device", "run"),
    ("nestling-device", "status"),
    ("nestling-device", "doctor"),
    ("nestling-device", "profile"),
    ("nestling-device", "enrol"),
    ("nestling-device", "federated", "join"),
    ("nestling-sim", "run"),
}
# The document and heading under which a table lists a command's flags.
FLAG_TABLES: dict[tuple[str, ...], tuple[str, str]] = {
    ("nestling-sim", "run"): ("simulate.md", "Options"),
    ("nestling-cloud", "serve"): ("operate.md", "`nestling-cloud serve`"),
    ("nestling-device", "run"): ("operate.md", "`nestling-device run`"),
    ("nestling-device", "status"): ("deploy.md", "`nestling-device status`"),
    ("nestling-device", "doctor"): ("deploy.md", "`nestling-device doctor`"),
    ("nestling-device", "profile"): ("deploy.md", "`nestling-device profile`"),
    ("nestling-cloud", "capacities"): ("learning.md", "Which capacities"),
    ("nestling-cloud", "device", "add"): ("deploy-cloud.md", "`nestling-cloud device add`"),
    ("nestling-cloud", "broker-config"): ("deploy-cloud.md", "A broker by itself"),
    ("nestling-device", "enrol"): ("deploy-cloud.md", "`nestling-device enrol`"),
    **{
        ("nestling-cloud", "federated", name): (
            "federate.md",
            f"`nestling-cloud federated {name}`",
        )
        for name in ("link", "run", "rounds")
    },
    ("nestling-device", "federated", "join"): (
        "federate.md",
        "`nestling-device federated join`",
    ),
}

_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    text = _FENCE.sub("", document.read_text("utf-8"))
    broken = [link for link in _LINK.findall(text) if not _leads_somewhere(document, link)]

    assert broken == []


@each_document
def test_every_make_target_exists(document: Path) -> None:
    targets = set(
        re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    named = {
        target
        for code in _code(document)
        for target in re.findall(r"(?:^|&& )make ([a-z0-9-]+)", code)
    }

    assert named <= targets


@each_document
def test_every_flag_of_a_command_exists(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = [
        (command, flag)
        for code in _code(document)
        for command in COMMANDS
        if f"{' '.join(command)} " in code
        for flag in _FLAG.findall(code.split(" ".join(command), 1)[1])
        if flag not in _flags(command, capsys)
    ]

    assert unknown == []


@each_document
def test_every_command_in_a_shell_block_parses(document: Path) -> None:
    for line in _shell_lines(document):
        words = shlex.split(line, comments=True)
        if words and words[0] in PARSERS:
            PARSERS[words[0]]().parse_args(words[1:])  # fails the test if it does not parse


@each_document
def test_every_test_and_file_named_exists(document: Path) -> None:
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    spans = _SPAN.findall(document.read_text("utf-8"))
    missing_tests = [
        span for span in spans if re.fullmatch(r"test_\w+", span) and f"def {span}(" not in tests
    ]
    missing_files = [
        span
        for span in spans
        if re.fullmatch(r"[\w.-]+/[\w./-]+\.(py|toml|proto|sh|md)", span)
        and (ROOT / span.split("/")[0]).is_dir()
        and not (ROOT / span).is_file()
    ]

    assert (missing_tests, missing_files) == ([], [])


@pytest.mark.parametrize("command", FLAG_TABLES)
def test_every_flag_is_in_its_table(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    name, heading = FLAG_TABLES[command]
    documented = {flag for cell in _first_cells(name, heading) for flag in _FLAG.findall(cell)}

    assert documented == _flags(command, capsys) - {"--help"}


@pytest.mark.parametrize(
    ("heading", "tables"),
    [
        ("`[[devices]]`", [scenario.DeviceTable]),
        (
            "`[[conditions]]`",
            [
                scenario.MemoryCondition,
                scenario.BatteryCondition,
                scenario.LinkCondition,
                scenario.OutageCondition,
            ],
        ),
    ],
)
def test_every_scenario_key_is_in_its_table(heading: str, tables: list[type[BaseModel]]) -> None:
    keys = {key for table in tables for key in _keys(table)}

    assert _documented_keys(heading) == keys


def test_every_top_level_scenario_key_is_in_its_table() -> None:
    offload = {f"offload.{key}" for key in _keys(scenario.OffloadTable)}

    assert _documented_keys("Top level and `[offload]`") == _keys(scenario.Scenario) | offload


def test_every_key_of_the_federated_table_is_in_its_table() -> None:
    assert _documented_keys("`[federated]`") == _keys(scenario.FederatedTable)


def test_scenario_in_the_documentation_is_valid() -> None:
    text = (ROOT / "docs" / "simulate.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert scenario.Scenario.model_validate(tomllib.loads(example)).fleet()


def _leads_somewhere(document: Path, link: str) -> bool:
    if link.startswith(("https://", "http://")):
        return True
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return False
    return not anchor or anchor in _anchors(target)


def _anchors(document: Path) -> set[str]:
    """Return the fragments that GitHub makes of a document's headings."""
    text = _FENCE.sub("", document.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def _code(document: Path) -> Iterator[str]:
    """Yield every line of a fenced block and every span of code."""
    text = document.read_text("utf-8")
    for block in _FENCE.finditer(text):
        yield from (line.strip() for line in block.group().splitlines()[1:-1])
    yield from _SPAN.findall(_FENCE.sub("", text))


def _shell_lines(document: Path) -> Iterator[str]:
    """Yield every line of the shell blocks; lines that end in a backslash are joined."""
    text = document.read_text("utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield _without_shell_syntax(line)


def _without_shell_syntax(line: str) -> str:
    """Return a shell line without redirections, substitutions and sudo."""
    line = re.sub(r'"\$\([^)]*\)"', "SUBSTITUTED", line)
    line = re.sub(r"^sudo (-u \w+ )?|^\w+=\$\(|\)$", "", line)
    return re.split(r" (?:[<>|]|&&)", line)[0]


def _flags(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> set[str]:
    with pytest.raises(SystemExit):
        MAINS[command[0]]([*command[1:], "--help"])
    usage = re.split(r"^examples?:", capsys.readouterr().out, flags=re.MULTILINE)[0]
    return set(_FLAG.findall(usage))


def _first_cells(name: str, heading: str) -> list[str]:
    """Return the first column of the first table under a heading of a document in docs."""
    text = (ROOT / "docs" / name).read_text("utf-8")
    section = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| ((?:[^|\\]|\\.)+) \|", section, re.MULTILINE)
    return cells[1:]


def _documented_keys(heading: str) -> set[str]:
    cells = _first_cells("simulate.md", heading)
    return {key for cell in cells for key in _SPAN.findall(cell)}


def _keys(table: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in table.model_fields.items()}
