"""A supernet for people who write their own training loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import inspect
from typing import Any

from pytorch_lightning.utilities import move_data_to_device
import torch
from torch import Tensor

from lightning_modules._checks import check_at_least
from lightning_modules.registries import RELAXATIONS
from lightning_modules.spaces import Kit
from lightning_modules.supernet._build import build_relaxed
from lightning_modules.supernet._evaluate import measure
from lightning_modules.supernet._evaluate import path_output
from lightning_modules.supernet._evaluate import SupernetEvaluator
from lightning_modules.supernet._optimizers import clip_gradients
from lightning_modules.supernet._optimizers import GRADIENT_CLIP
from lightning_modules.supernet._optimizers import make_optimizers
from lightning_modules.supernet._optimizers import supernet_rate_factor
from lightning_modules.supernet._paths import PathScores
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.supernet.settings import DEFAULT_RELAXATION
from lightning_modules.tasks import Task
from optuna_nas import Architecture
from optuna_nas.prior import Prior
from optuna_nas.spaces import SearchSpace


_KEPT_BATCHES = 6


class SupernetSearch:
    """Trains a supernet step by step, without a trainer.

    ::

        task = Classification(10)
        search = SupernetSearch(space, task, input_shape=(1, 28, 28), n_epochs=5)
        for epoch in range(5):
            for batch, val_batch in zip(train_loader, architecture_loader):
                search.train_step(batch, val_batch)
            search.update_strategy()
        print(search.evaluate(val_loader), search.best_architecture())

    Args:
        space: The search space.
        task: What the supernet is trained for.
        input_shape: Shape of a sample, e.g. (channels, height, width) of an image.
        relaxation: Name of the relaxation, of :data:`~lightning_modules.registries.RELAXATIONS`.
        n_epochs: Number of calls of :meth:`update_strategy` in the whole training, over which the
            learning rate falls along half a cosine and temperatures follow their schedules.
        device: Where to train.
        seed: Seed of weights and random choices, at least 0.
        training: Arguments of :func:`make_optimizers`; by default those of the relaxation.
        kit: The kit of the space; by default the one of its name.
        network: Arguments of the space's supernet, e.g. ``channels=8``.

    Raises:
        ValueError: If an argument is unknown or out of its range.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        *,
        input_shape: tuple[int, ...],
        relaxation: str = DEFAULT_RELAXATION,
        n_epochs: int = 10,
        device: str | torch.device = "cpu",
        seed: int = 0,
        training: Mapping[str, Any] | None = None,
        kit: Kit | None = None,
        **network: Any,
    ) -> None:
        kind = RELAXATIONS.get(relaxation)
        check_at_least("n_epochs", n_epochs, 1)
        check_at_least("seed", seed, 0)
        _check_names(training or {})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            supernet, relaxed = build_relaxed(
                space,
                task,
                relaxation,
                seed=seed,
                kit=kit,
                input_shape=input_shape,
                **network,
            )
        self.supernet, self.relaxation = supernet.to(device), relaxed.to(device)
        self.optimizers = make_optimizers(
            self.supernet, self.relaxation, **{**_of_optimizers(kind), **(training or {})}
        )
        self._rate = self.optimizers[0].param_groups[0]["lr"]
        self._device = torch.device(device)
        self._n_epochs = n_epochs
        self._epoch = 0
        self._n_steps = 0
        self._seen: deque[Samples] = deque(maxlen=_KEPT_BATCHES)
        self._scores: PathScores | None = None
        self._seed = seed

    @property
    def search_space(self) -> SearchSpace:
        """The search space."""
        return self.supernet.space

    def train_step(self, batch: Sequence[Any], val_batch: Sequence[Any] | None = None) -> float:
        """Make an architecture step, if the relaxation learns, and a weight step.

        Args:
            batch: Inputs and targets for the weights.
            val_batch: Those of other samples, for the architecture.

        Returns:
            The loss of the weight step.

        Raises:
            ValueError: If the relaxation learns and there is no ``val_batch``.
        """
        self.supernet.train()
        own = self._moved(batch)
        step = Step(self._n_steps, self._epoch / self._n_epochs, self._learning_rate())
        if self.relaxation.learns:
            if val_batch is None:
                raise ValueError(
                    f"Expected argument `val_batch` to be a batch, as `{self.relaxation.name}` "
                    "learns the architecture from it, but got None."
                )
            self.optimizers[1].zero_grad()
            self.relaxation.architecture_step(
                self.supernet, self._moved(val_batch), own, step, _backward
            )
            self.optimizers[1].step()
        self.optimizers[0].zero_grad()
        loss = self.relaxation.weight_step(self.supernet, own, step, _backward)
        clip_gradients(self.optimizers[0], GRADIENT_CLIP)
        self.optimizers[0].step()
        self._n_steps += 1
        self._seen.append(own)
        self._scores = None
        return float(loss)

    def update_strategy(self) -> None:
        """End an epoch: learning rate and temperatures move on."""
        self._epoch = min(self._epoch + 1, self._n_epochs)
        for group in self.optimizers[0].param_groups:
            group["lr"] = self._learning_rate()

    def evaluate(self, loader: Iterable[Sequence[Any]], *, n_paths: int = 100) -> float:
        """Return the task's first metric of the architecture found by now, with shared weights.

        A relaxation that trains paths alone has found none before: paths are scored on the data,
        and the architecture is the most likely one of the prior that they make. With partial
        channels the path through the supernet is measured, with the statistics of each batch.

        Args:
            loader: Batches of inputs and targets; kept for the time of the call.
            n_paths: Paths to score, if the relaxation learns no probabilities.

        Raises:
            ValueError: Before the first training step, or if there are no batches.
        """
        if not self._seen:
            raise ValueError("Expected a call of `train_step` before `evaluate`.")
        batches = [self._moved(batch) for batch in loader]
        with torch.random.fork_rng(devices=[]):  # Single networks begin with random weights.
            return self._evaluate(batches, n_paths)

    def _evaluate(self, batches: list[Samples], n_paths: int) -> float:
        task = self.supernet.task
        if self.supernet.partial_channels > 1:  # There are no single networks.
            if not batches:
                raise ValueError("Expected argument `loader` to have batches but got none.")
            path = self.supernet.path(self.best_architecture())
            found = measure(task, lambda x: path_output(self.supernet, x, path), batches)
            return found[task.primary()]
        evaluator = SupernetEvaluator(self.supernet, list(self._seen), batches)
        if not self.relaxation.learns:
            self._scores = PathScores(self.search_space)
            self._scores.fill(evaluator, n_paths, seed=self._seed)
        return evaluator(self.best_architecture()).metrics[task.primary()]

    def prior(self) -> Prior:
        """Return the probabilities of the choices found by now.

        Raises:
            ValueError: If the relaxation trains paths alone and :meth:`evaluate` has not scored
                them since the last step.
        """
        if self.relaxation.learns:
            return self.supernet.prior(self.relaxation.probabilities())
        if self._scores is None:
            raise ValueError(
                f"Expected a call of `evaluate` before, as `{self.relaxation.name}` trains paths "
                "that are to be scored."
            )
        return self._scores.prior()

    def best_architecture(self) -> Architecture:
        """Return the architecture found by now.

        Raises:
            ValueError: As :meth:`prior`.
        """
        if self.relaxation.learns:
            return self.supernet.derive(self.relaxation.probabilities())
        return self.prior().most_likely()

    def _moved(self, batch: Sequence[Any]) -> Samples:
        return Samples(*move_data_to_device(list(batch), self._device))

    def _learning_rate(self) -> float:
        return float(self._rate * supernet_rate_factor("cosine", self._epoch / self._n_epochs))


def _check_names(training: Mapping[str, Any]) -> None:
    known = list(inspect.signature(make_optimizers).parameters)[2:]
    for name in training:
        if name not in known:
            raise ValueError(
                f"Expected argument `training` to have names of {known} but got {name!r}."
            )


def _of_optimizers(kind: type[Relaxation]) -> dict[str, Any]:
    known = inspect.signature(make_optimizers).parameters
    return {name: value for name, value in kind.module_arguments.items() if name in known}


def _backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
