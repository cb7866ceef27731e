"""Connects the store to SQLite or PostgreSQL.

Only one transaction at a time may write.
"""

import contextlib
import operator
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nestling_core.private_file import keep_private

# Key of the PostgreSQL advisory lock; any number that nobody else uses in the same database.
_WRITER_LOCK = 0x6E6573746C696E67
_WRITING = "nestling_writing"
# One writer and two readers; the pool holds up to five.
_KEPT_OPEN = 3

# The default store, in the state folder.
RECEIPTS_FILE = "receipts.sqlite"

Upsert = sqlite.Insert | postgresql.Insert


def store_url(text: str) -> str:
    """Return the database URL for a URL or a path that a user gave.

    A URL is returned unchanged. Any other string is taken as the path of an SQLite file.
    """
    return text if "://" in text else f"sqlite:///{Path(text).absolute()}"


def state_store_url(state: Path, store: str | None) -> str:
    """Return the database URL of a cloud's store.

    Args:
        state: the cloud's state folder; created if `store` is None.
        store: the URL or file given by the user; None for `RECEIPTS_FILE` in the state folder.
    """
    if store is not None:
        return store_url(store)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return store_url(str(state / RECEIPTS_FILE))


class Database:
    """Opens transactions of a database for several threads.

    Only one transaction at a time can write: a lock excludes other threads, and the database's own
    lock excludes other processes. So whatever a writing transaction reads still holds when it
    commits. An SQLite file is made accessible to its owner only, and is created if it does not
    exist.

    Args:
        url: the SQLAlchemy URL of an SQLite or PostgreSQL database.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the URL is invalid or names another kind of database.
        ImportError: the database's driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._lock = threading.Lock()
        # Keep receipts out of error messages. Test a pooled connection before use, so that a
        # restart of the server does not fail the next query.
        self.engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True)
        if self.engine.dialect.name == "sqlite":
            _leave_to_owner(self.engine.url.database)
        self._writer = self.engine.execution_options(**{_WRITING: True})
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        elif self.engine.dialect.name != "postgresql":
            raise sa.exc.ArgumentError(f"{self.engine.dialect.name} is not sqlite or postgresql")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction for writing, which is committed at the end of the block.

        If the block raises an exception, the transaction is rolled back instead. Other writers wait
        until the block ends.
        """
        with self._lock, _schema_damage_wrapped(), self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction for reading.

        Any number of these transactions may run at once.
        """
        with _schema_damage_wrapped(), self.engine.connect() as connection:
            yield connection

    def keep_open(self) -> None:
        """Open the connections of the pool before they are needed.

        Later, the process may have no file descriptors left for them.
        """
        with contextlib.ExitStack() as stack:
            for _ in range(_KEPT_OPEN):
                stack.enter_context(self.engine.connect())

    def rewrite(self, names: Sequence[str]) -> None:
        """Rewrite tables, so that the database's files hold no remains of deleted rows.

        A database only marks the place of a deleted row as free. SQLite's file is rewritten as a
        whole, which needs up to twice as much free space as the file is large, and its write-ahead
        log is emptied. PostgreSQL rewrites the given tables (VACUUM FULL), each of which is locked
        meanwhile. Other writers wait.

        Args:
            names: the names of the tables; those that do not exist are skipped.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database is in use for too long, or the disk is
                full. Nothing is lost.
        """
        if self.engine.dialect.name == "postgresql":
            self._rewrite_tables(names)
            return
        with self._lock, self._outside_transactions() as driver:
            driver.execute("VACUUM")
            (busy, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise sa.exc.OperationalError(
                    None, None, OSError("other programs read the database; the log is not empty")
                )

    def _rewrite_tables(self, names: Sequence[str]) -> None:
        known = set(sa.inspect(self.engine).get_table_names())
        outside = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with self._lock, outside.connect() as connection:
            for name in sorted(known & set(names)):
                connection.exec_driver_sql(f'VACUUM (FULL) "{name}"')

    @contextlib.contextmanager
    def _outside_transactions(self) -> Iterator[Any]:
        connection = self.engine.raw_connection()
        try:
            yield connection.driver_connection
        except sqlite3.Error as err:
            raise sa.exc.OperationalError(None, None, err) from err
        finally:
            connection.close()

    def close(self) -> None:
        """Wait for a commit in progress, then close every connection."""
        with self._lock:
            self.engine.dispose()


@contextlib.contextmanager
def _schema_damage_wrapped() -> Iterator[None]:
    """Raise DatabaseError if the block finds that the schema of an SQLite database is damaged.

    sqlite3 itself raises UnicodeDecodeError for that.
    """
    try:
        yield
    except UnicodeDecodeError as err:
        raise sa.exc.DatabaseError(None, None, err) from err


def _leave_to_owner(file: str | None) -> None:
    """Make an SQLite file accessible to its owner only, and create it if it does not exist.

    SQLite gives the same mode to the files that it creates beside this one.
    """
    if not file or file == ":memory:" or file.startswith("file:"):
        return
    with contextlib.suppress(OSError):  # connecting fails next, with a better message
        keep_private(Path(file))


def cause_of(err: BaseException) -> BaseException:
    """Return the database driver's error behind an error, or the error itself if there is none.

    The driver's error lacks the SQL statement, which may be pages long.
    """
    return (err.orig or err) if isinstance(err, sa.exc.DBAPIError) else err


def upsert(connection: sa.Connection, table: sa.Table) -> Upsert:
    """Return an INSERT of the connection's dialect that supports `on_conflict_do_update`.

    Args:
        connection: the connection whose dialect is used.
        table: the table to insert into.
    """
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def write_all(
    connection: sa.Connection,
    statement: sa.Insert | Upsert,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Execute a statement once for each row.

    The driver gets the values unconverted, because SQLAlchemy would take longer to prepare each row
    than SQLite takes to store it.

    Args:
        connection: a connection within a writing transaction.
        statement: the INSERT to execute.
        rows: the values of each row by column name; all rows have the same keys.
    """
    if not rows:
        return
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(rows[0]))
    if compiled.positional:
        values = operator.itemgetter(*(compiled.positiontup or ()))
        connection.exec_driver_sql(str(compiled), [values(row) for row in rows])
    else:
        connection.exec_driver_sql(str(compiled), list(rows))


def replace_all(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows, replacing stored rows with the same primary key.

    Args:
        connection: a connection within a writing transaction.
        table: the table to write to.
        rows: the values of each row by column name; all rows have the same keys.
    """
    insert = upsert(connection, table)
    key = [column.name for column in table.primary_key]
    names = [column.name for column in table.columns if not column.primary_key]
    new = {name: insert.excluded[name] for name in names}
    write_all(connection, insert.on_conflict_do_update(index_elements=key, set_=new), rows)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else the driver begins transactions on its own
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # A device deletes an acknowledged receipt, so it must survive a power cut here.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A deferred transaction that reads before it writes fails if another one wrote in between.
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
