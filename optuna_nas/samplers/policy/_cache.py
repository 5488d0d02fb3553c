"""A cache of learned weights in an artifact store; what it holds can always be learned again."""

from __future__ import annotations

from collections.abc import Sequence
import io
import json
from pathlib import Path
import tempfile
from typing import BinaryIO
from typing import Protocol
import warnings

import numpy as np
from optuna.artifacts import get_all_artifact_meta
from optuna.artifacts import upload_artifact
from optuna.distributions import distribution_to_json
from optuna.distributions import json_to_distribution
from optuna.study import Study
import torch

from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import State


class ArtifactStore(Protocol):
    """Any artifact store of ``optuna.artifacts``, e.g. ``FileSystemArtifactStore``."""

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open an artifact."""
        ...

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write an artifact."""
        ...

    def remove(self, artifact_id: str) -> None:
        """Remove an artifact."""
        ...


class WeightCache:
    """Keeps states of a controller as artifacts of the study.

    An entry is named by a key, the hash of the controller's settings and of all that it has
    learned. So an entry of another history is never used. Whatever goes wrong is a warning.

    Args:
        store: Where the artifacts are.
        every: A state is written after every so many blocks.
    """

    def __init__(self, store: ArtifactStore, *, every: int = 10) -> None:
        self._store = store
        self.every = every

    def load(self, study: Study, keys: Sequence[str]) -> tuple[int, State] | None:
        """Return the last of ``keys`` that has an entry, as its index, and the state.

        Args:
            study: The study.
            keys: Keys in the order of learning.
        """
        try:
            metas = {meta.filename: meta.artifact_id for meta in get_all_artifact_meta(study)}
            for i in reversed(range(len(keys))):
                if _filename(keys[i]) in metas:
                    with self._store.open_reader(metas[_filename(keys[i])]) as reader:
                        return i, from_bytes(reader.read(), keys[i])
        except Exception as error:
            warnings.warn(f"The cached weights cannot be read: {error!r}", stacklevel=2)
        return None

    def save(self, study: Study, key: str, state: State) -> None:
        """Write a state unless there is an entry with its key."""
        try:
            if any(meta.filename == _filename(key) for meta in get_all_artifact_meta(study)):
                return
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / _filename(key)
                path.write_bytes(to_bytes(state, key))
                upload_artifact(
                    artifact_store=self._store, file_path=str(path), study_or_trial=study
                )
        except Exception as error:
            warnings.warn(f"The weights cannot be cached: {error!r}", stacklevel=2)


def _filename(key: str) -> str:
    return f"controller-{key}.npz"


def to_bytes(state: State, key: str) -> bytes:
    """Return a state as the bytes of an ``.npz`` file; it survives the way back bit by bit."""
    description = {
        "key": key,
        "baseline": state.baseline,
        "n_updates": state.n_updates,
        "decisions": [(d.name, distribution_to_json(d.distribution)) for d in state.decisions],
    }
    buffer = io.BytesIO()
    arrays = {f"/{name}": tensor.float().numpy() for name, tensor in state.tensors.items()}
    np.savez(buffer, allow_pickle=False, description=np.array(json.dumps(description)), **arrays)
    return buffer.getvalue()


def from_bytes(data: bytes, key: str) -> State:
    """Read what :func:`to_bytes` wrote.

    Raises:
        ValueError: If the file belongs to another key.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    description = json.loads(str(arrays.pop("description")))
    if description["key"] != key:
        raise ValueError(f"Expected cached weights of {key} but got {description['key']}.")
    tensors = {
        name.removeprefix("/"): torch.from_numpy(array).to(DTYPE) for name, array in arrays.items()
    }
    decisions = tuple(
        Decision(name, json_to_distribution(text)) for name, text in description["decisions"]
    )
    return State(decisions, tensors, description["baseline"], description["n_updates"])
