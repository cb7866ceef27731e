"""Implements `nestling-cloud console`, which manages the console's password and API tokens."""

import argparse
import getpass
import json
import sys
from pathlib import Path

from nestling_cloud.commands.state_flag import add_state
from nestling_cloud.console.auth.password import (
    CONSOLE_FOLDER,
    PasswordError,
    PasswordFile,
    generate,
)
from nestling_cloud.console.auth.tokens import TokenFile
from nestling_cloud.console.data.units import time_utc
from nestling_core.clock import unix_ms
from nestling_core.parsing.text import EncodingError, decode_text


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `console` with its own sub-commands."""
    parser = subparsers.add_parser("console", help="manage the console's password and API tokens")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    password = commands.add_parser(
        "password",
        help="set a new password",
        description="Generate a new password and print it, or set one of your own. Everybody who "
        "is logged in has to log in again. A running cloud uses the new password at once.",
        epilog="examples:\n  nestling-cloud console password\n"
        "  nestling-cloud console password --set\n",
    )
    add_state(password)
    password.add_argument(
        "--set", action="store_true", help="ask for the password instead of generating one"
    )
    password.set_defaults(run=_password)
    _add_token(commands)


def _add_token(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("token", help="add, list and remove API tokens")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser(
        "add",
        help="create a token and print it; it is shown only once",
        epilog="example:\n  nestling-cloud console token add my-script\n",
    )
    add.add_argument("name", metavar="NAME", help="name of the new token, such as its user's")
    add.set_defaults(run=_token_add)
    listing = commands.add_parser("list", help="list the names of the tokens")
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")
    listing.set_defaults(run=_token_list)
    remove = commands.add_parser("remove", help="remove a token, which stops working at once")
    remove.add_argument("name", metavar="NAME", help="name of the token")
    remove.set_defaults(run=_token_remove)
    for command in (add, listing, remove):
        add_state(command)


def _password(options: argparse.Namespace) -> None:
    password = _ask_password() if options.set else generate()
    PasswordFile(_folder(options)).set(password)
    if not options.set:
        print(password)


def _ask_password() -> str:
    """Return the password that the user enters, or the first line of a piped standard input.

    At a terminal, the user has to enter the password twice. Raises PasswordError if the two entries
    differ, or if standard input cannot be decoded.
    """
    if not sys.stdin.isatty():
        try:
            return decode_text(sys.stdin.buffer.readline()).rstrip("\r\n")
        except EncodingError as err:
            raise PasswordError(f"cannot read the password on standard input: {err}") from err
    first = getpass.getpass("new password: ")
    if getpass.getpass("again: ") != first:
        raise PasswordError("the two passwords differ; nothing was changed")
    return first


def _token_add(options: argparse.Namespace) -> None:
    print(_tokens(options).add(options.name, now_ms=unix_ms()))


def _token_list(options: argparse.Namespace) -> None:
    tokens = _tokens(options).all()
    if options.json:
        print(json.dumps([{"name": t.name, "added_at_ms": t.added_at_ms} for t in tokens]))
        return
    for token in tokens:
        print(f"{token.name}  added {time_utc(token.added_at_ms)} UTC")


def _token_remove(options: argparse.Namespace) -> None:
    _tokens(options).remove(options.name)


def _tokens(options: argparse.Namespace) -> TokenFile:
    return TokenFile(_folder(options))


def _folder(options: argparse.Namespace) -> Path:
    """Return the folder of the console's password and tokens.

    Raises PasswordError if there is no state folder, because a mistyped --state must not create
    one.
    """
    if not options.state.is_dir():
        raise PasswordError(
            f"{options.state} is not the state folder of a cloud; name that with --state"
        )
    folder: Path = options.state / CONSOLE_FOLDER
    return folder
