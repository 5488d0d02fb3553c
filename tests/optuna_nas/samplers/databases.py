"""SQLite storages for tests."""

from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import event


def sqlite(url: str) -> RDBStorage:
    """Return a storage that does not wait for the disk at each write; it need not survive."""
    storage = RDBStorage(url)
    storage.engine.dispose()

    @event.listens_for(storage.engine, "connect")
    def no_waiting(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    return storage
