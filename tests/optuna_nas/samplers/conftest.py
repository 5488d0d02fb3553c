"""For all tests of samplers: each sampler, and one storage of each kind."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import socket

from optuna.storages import BaseStorage
from optuna.storages import GrpcStorageProxy
from optuna.storages import InMemoryStorage
from optuna.storages import JournalStorage
from optuna.storages._grpc.server import make_server
from optuna.storages.journal import JournalFileBackend
import pytest

from optuna_nas.samplers import ArchitectureSampler
from tests.optuna_nas.samplers.databases import sqlite
from tests.optuna_nas.samplers.sampler_table import SAMPLERS


@pytest.fixture(scope="session")
def grpc_proxy() -> Iterator[GrpcStorageProxy]:
    """A proxy of a server in this process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = make_server(InMemoryStorage(), "127.0.0.1", port)
    server.start()
    proxy = GrpcStorageProxy(host="127.0.0.1", port=port)
    proxy.wait_server_ready(timeout=30)
    yield proxy
    proxy.close()
    server.stop(5).wait()


@pytest.fixture(scope="session")
def storages(
    tmp_path_factory: pytest.TempPathFactory, grpc_proxy: GrpcStorageProxy
) -> dict[str, BaseStorage]:
    """Shared, as it takes a second to make a database."""
    folder = tmp_path_factory.mktemp("storages")
    return {
        "memory": InMemoryStorage(),
        "sqlite": sqlite(f"sqlite:///{folder}/a.db"),
        "journal": JournalStorage(JournalFileBackend(str(folder / "a.log"))),
        "grpc": grpc_proxy,
    }


@pytest.fixture(params=list(SAMPLERS))
def make(request: pytest.FixtureRequest) -> Callable[..., ArchitectureSampler]:
    """One sampler after the other."""
    return SAMPLERS[request.param]
