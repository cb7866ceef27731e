"""Opens the store that a command works on."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from nestling_cloud.commands.state_flag import add_state
from nestling_cloud.store.database import cause_of
from nestling_cloud.store.store import RECEIPTS_FILE, Store, StoreError, store_url


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the flags `--state` and `--store`."""
    add_state(parser)
    parser.add_argument(
        "--store",
        metavar="URL|PATH",
        help="database of the receipts (default: receipts.sqlite in the state folder)",
    )


@contextmanager
def open_store(options: argparse.Namespace) -> Iterator[Store]:
    """Open the store that the flags name. The cloud may run meanwhile.

    Raises:
        StoreError: there is no such file, because a mistyped name must not create one, or it cannot
            be opened or used.
    """
    named = options.store or str(options.state / RECEIPTS_FILE)
    if "://" not in named and not Path(named).is_file():
        raise StoreError(f"there is no store {named}; name the cloud's with --state or --store")
    with Store(store_url(named)) as store:
        try:
            yield store
        except sa.exc.SQLAlchemyError as err:
            raise StoreError(
                f"the receipt store cannot be used: {cause_of(err)}; try again when nothing else "
                "locks it"
            ) from err
