"""Creates the store's tables in an empty database.

Tables of another version are rejected, because there is no migration before the first release.
"""

import sqlalchemy as sa

from nestling_cloud.errors import CloudError
from nestling_cloud.store import tables

VERSION = 10


class SchemaError(CloudError):
    """Raised when the store's tables are damaged or have an unsupported version."""


def is_current(connection: sa.Connection) -> bool:
    """Return whether the tables exist in the version that this program supports.

    Raises:
        SchemaError: the row with the version is damaged.
    """
    return _version(connection) == VERSION


def prepare(connection: sa.Connection) -> None:
    """Create the tables in an empty database.

    Tables that exist already stay as they are.

    Args:
        connection: a connection within a writing transaction.

    Raises:
        SchemaError: another version of the program created the tables, or they are damaged.
    """
    version = _version(connection)
    if version == VERSION:
        return
    if version is not None:
        raise SchemaError(
            f"its tables have version {version} and this nestling-cloud works with {VERSION}: "
            "start with an empty store, or use the nestling-cloud that wrote this one"
        )
    tables.METADATA.create_all(connection)
    connection.execute(sa.insert(tables.SCHEMA_VERSION).values(version=VERSION))


def _version(connection: sa.Connection) -> int | None:
    names = sa.inspect(connection).get_table_names()
    if tables.SCHEMA_VERSION.name in names:
        found = connection.execute(sa.select(tables.SCHEMA_VERSION.c.version)).scalar()
        if found is not None and not isinstance(found, int):
            raise SchemaError(f"its version is {found!r}: it is damaged; restore a copy of it")
        return found
    return 1 if tables.RECEIPTS.name in names else None
