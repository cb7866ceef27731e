"""The version of the store's tables: made where there are none, refused where it is another.

There is no migration before the first release.
"""

import sqlalchemy as sa

from nestling_cloud.errors import CloudError
from nestling_cloud.store import tables

VERSION = 5


class SchemaError(CloudError):
    """Tables of a version that this program does not know."""


def is_current(connection: sa.Connection) -> bool:
    """Return whether the tables are there, in this program's version."""
    return _version(connection) == VERSION


def prepare(connection: sa.Connection) -> None:
    """Create the tables of an empty database.

    Args:
        connection: within a writing transaction, which is all or nothing.

    Raises:
        SchemaError: another version of the program made the tables, or they are damaged.
    """
    version = _version(connection)
    if version == VERSION:
        return
    if version is not None:
        raise SchemaError(
            f"its tables have version {version} and this nestling-cloud works with {VERSION}: "
            "start with an empty store, or go on with the nestling-cloud that wrote this one"
        )
    tables.METADATA.create_all(connection)
    connection.execute(sa.insert(tables.SCHEMA_VERSION).values(version=VERSION))


def _version(connection: sa.Connection) -> int | None:
    names = sa.inspect(connection).get_table_names()
    if tables.SCHEMA_VERSION.name in names:
        found = connection.execute(sa.select(tables.SCHEMA_VERSION.c.version)).scalar()
        if found is not None and not isinstance(found, int):
            raise SchemaError(f"its version is {found!r}: it is damaged, so put a copy back")
        return found
    return 1 if tables.RECEIPTS.name in names else None
