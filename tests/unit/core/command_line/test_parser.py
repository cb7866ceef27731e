"""Every flag of the three commands that must not repeat is rejected when it is given twice."""

import argparse
import io
import sys
from collections.abc import Callable, Iterator

import pytest

from nestling_cloud import cli as cloud
from nestling_core.command_line.parser import Parser, escape_unencodable
from nestling_device import cli as device
from nestling_sim import cli as simulation

PARSERS = {
    "nestling-device": device._parser,
    "nestling-cloud": cloud.parser,
    "nestling-sim": simulation._parser,
}


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and the parsers of all its sub-commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


@pytest.mark.parametrize("make", PARSERS.values(), ids=PARSERS)
def test_every_flag_is_rejected_when_it_is_given_twice(
    make: Callable[[], argparse.ArgumentParser], capsys: pytest.CaptureFixture[str]
) -> None:
    tried = 0
    for parser in parsers(make()):
        for action in parser._actions:
            repeatable = isinstance(action, argparse._AppendAction)
            if not action.option_strings or isinstance(action, argparse._HelpAction) or repeatable:
                continue
            flag = action.option_strings[0]
            value = [] if action.nargs == 0 else [valid(action)]
            with pytest.raises(SystemExit) as ended:
                parser.parse_args([flag, *value, flag, *value])
            assert ended.value.code == 2
            assert "given more than once" in capsys.readouterr().err, f"{parser.prog} {flag}"
            tried += 1
    assert tried > 10


_VALUES = (
    *("1", "127.0.0.1:1", "golden", "profile", "grpc", "wifi", "pi-4b", "int8", "true"),
    *("32x32", "2026-01-01"),
)


def valid(action: argparse.Action) -> str:
    """Return a value that a flag accepts."""
    if action.choices:
        return str(next(iter(action.choices)))
    for value in _VALUES:
        try:
            assert action.type is None or callable(action.type)
            if action.type is not None:
                action.type(value)
        except (argparse.ArgumentTypeError, ValueError, TypeError):
            continue
        return value
    raise AssertionError(f"no value for {action.option_strings}")


def test_second_repository_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cloud.main(["bundle", "show", "--repository", "A", "--repository=B"])

    assert "argument --repository: given more than once" in capsys.readouterr().err


def test_flag_may_be_given_again_on_another_command_line() -> None:
    parser = Parser()
    parser.add_argument("--name")

    assert [parser.parse_args(["--name", name]).name for name in ("a", "b")] == ["a", "b"]


def test_append_flag_may_repeat() -> None:
    parser = Parser()
    parser.add_argument("--name", action="append")

    assert parser.parse_args(["--name", "a", "--name", "b"]).name == ["a", "b"]


def test_abbreviated_flag_counts_as_the_same_flag(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser()
    parser.add_argument_group("more").add_argument("--repository")

    with pytest.raises(SystemExit):
        parser.parse_args(["--repo", "a", "--repository", "b"])
    assert "given more than once" in capsys.readouterr().err


def test_characters_that_the_encoding_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    escape_unencodable()

    sys.stdout.write("naïve \udcff\n")
    sys.stdout.flush()

    assert written.getvalue() == b"na\\xefve \\udcff\n"
