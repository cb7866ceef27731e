"""The database under the store: SQLite or PostgreSQL, one writer at a time."""

import contextlib
import operator
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nestling_core.private_file import keep_private

# Any number, as long as nobody else takes an advisory lock of it in the same database.
_WRITER_LOCK = 0x6E6573746C696E67
_WRITING = "nestling_writing"
# A writer, and readers beside it; the pool keeps up to five.
_KEPT_OPEN = 3

# In the state folder, unless another store is named.
RECEIPTS_FILE = "receipts.sqlite"

Upsert = sqlite.Insert | postgresql.Insert


def store_url(text: str) -> str:
    """Make a database URL of what a user gives: a URL as it is, anything else is an SQLite file."""
    return text if "://" in text else f"sqlite:///{Path(text).absolute()}"


def state_store_url(state: Path, store: str | None) -> str:
    """Make the database URL of a cloud's store.

    Args:
        state: the cloud's folder; made, unless the store lies elsewhere.
        store: URL or file that a user named; None for `RECEIPTS_FILE` in the state folder.
    """
    if store is not None:
        return store_url(store)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return store_url(str(state / RECEIPTS_FILE))


class Database:
    """Connections to a database. May be used from several threads.

    Whoever writes is alone, across threads by a lock and across processes by the database's own:
    what is read in a writing transaction still holds when it commits.

    Args:
        url: SQLAlchemy's, of SQLite or PostgreSQL.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the URL is none, or of another database.
        ImportError: there is no driver for it.
    """

    def __init__(self, url: str) -> None:
        self._lock = threading.Lock()
        # Receipts have no place in error messages. A server that was restarted is not the reader's
        # fault: a connection is tried before it is used.
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
        """One transaction that changes something, alone; it commits at the end of the block."""
        with self._lock, _damage_in_words(), self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that only reads, beside others."""
        with _damage_in_words(), self.engine.connect() as connection:
            yield connection

    def keep_open(self) -> None:
        """Open some connections, for the pool to keep: later there may be no file left for one."""
        with contextlib.ExitStack() as stack:
            for _ in range(_KEPT_OPEN):
                stack.enter_context(self.engine.connect())

    def close(self) -> None:
        """Close every connection, after the commit that may be under way."""
        with self._lock:
            self.engine.dispose()


@contextlib.contextmanager
def _damage_in_words() -> Iterator[None]:
    """Make an error of the database's of what sqlite3 raises where a damaged schema is no text."""
    try:
        yield
    except UnicodeDecodeError as err:
        raise sa.exc.DatabaseError(None, None, err) from err


def _leave_to_owner(file: str | None) -> None:
    """Let nobody else read an SQLite file; SQLite makes those beside it with the same mode."""
    if not file or file == ":memory:" or file.startswith("file:"):
        return
    with contextlib.suppress(OSError):  # connecting says what is wrong, with what to do
        keep_private(Path(file))


def cause_of(err: BaseException) -> BaseException:
    """What the database said, without the statement, which may be pages long."""
    return (err.orig or err) if isinstance(err, sa.exc.DBAPIError) else err


def upsert(connection: sa.Connection, table: sa.Table) -> Upsert:
    """Begin an INSERT that may go on with `on_conflict_do_update`."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def write_all(
    connection: sa.Connection,
    statement: sa.Insert | Upsert,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Execute a statement for each of some rows, which have the same keys.

    By the driver, with values that it takes as they are: SQLAlchemy would spend more time on
    preparing each row than SQLite does on storing it.
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
    """Write rows, over those that have the same primary key."""
    insert = upsert(connection, table)
    key = [column.name for column in table.primary_key]
    names = [column.name for column in table.columns if not column.primary_key]
    new = {name: insert.excluded[name] for name in names}
    write_all(connection, insert.on_conflict_do_update(index_elements=key, set_=new), rows)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin transactions when it sees fit
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # An acknowledged receipt leaves the device: it has to survive a power cut here.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes then would fail if another wrote in between.
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
