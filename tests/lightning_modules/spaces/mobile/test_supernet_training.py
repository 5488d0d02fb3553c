"""Short trainings of a small mobile supernet on real digits, by several relaxations."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet import SupernetModule
from lightning_modules.supernet.relaxations import Batch
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import RELAXATIONS
from lightning_modules.supernet.relaxations import Step
from lightning_modules.training.trainer import make_trainer
from optuna_nas import MobileSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import MobileStage


SPACE = MobileSpace.small(input_size=8, n_stages=2, max_depth=2)

DECISIVE = MobileSpace(
    [
        MobileStage(
            depths=(1, 2),
            widths=(8, 12),
            strides=(1, 2),
            se_ratios=(0, 0.25),
            activations=("relu", "hswish"),
            skip=True,
        )
    ],
    styles=("mobilenet_v3", "fbnet"),
    stem_widths=(8, 12),
    head_widths=(8, 16),
    resolutions=(6, 8),
)


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.values.append(float(trainer.callback_metrics["supernet_loss"]))


@pytest.mark.parametrize("name", sorted(set(RELAXATIONS) - {"pcdarts"}))
def test_every_relaxation_makes_steps(name: str) -> None:
    torch.manual_seed(0)
    kind = RELAXATIONS[name]
    supernet = build_supernet(
        DECISIVE, input_shape=(1, 8, 8), num_classes=3, **kind.supernet_arguments
    )
    relaxation = kind(supernet)
    batches = [Batch(torch.randn(6, 1, 8, 8), torch.randint(3, (6,))) for _ in range(2)]
    for number in range(3):
        step = Step(number, 0.4 * number, 0.1)
        if relaxation.learns:
            relaxation.architecture_step(supernet, *batches, step, Tensor.backward)
        loss = relaxation.weight_step(supernet, batches[1], step, Tensor.backward)
        assert loss.isfinite()
        supernet(batches[0].images, relaxation.validation_gates(supernet, step))
    gradients = [p.grad for p in (*supernet.parameters(), *relaxation.parameters())]
    assert all(g is None or g.isfinite().all() for g in gradients)
    if isinstance(relaxation, Darts):  # Every choice of every decision is weighed.
        for gate, logits in relaxation.logits.items():
            if len(logits) > 1:
                assert logits.grad is not None, gate
                assert logits.grad.abs().max() > 0, gate


@pytest.mark.parametrize("name", ["gdas", "fbnet"])
def test_a_latency_pushes_towards_cheaper_choices(name: str) -> None:
    sizes = {"input_shape": (1, 8, 8), "num_classes": 3}
    supernet = build_supernet(DECISIVE, **sizes, affine=False)
    table = LatencyTable("mobile", DECISIVE.distributions, sizes, {})
    for _, operation in table.operations:  # As if blocks took 1 ms, and all else no time.
        table.record(operation, Latency(1.0 if "mbconv" in operation else 0.0, 0.0))
    relaxation = RELAXATIONS[name](supernet, costs=(table.expected_ms,))
    optimizer = torch.optim.Adam(relaxation.parameters(), lr=0.3)
    batch = Batch(torch.randn(6, 1, 8, 8), torch.randint(3, (6,)))
    for number in range(30):
        optimizer.zero_grad()
        relaxation.architecture_step(
            supernet, batch, batch, Step(number, number / 30, 0.1), Tensor.backward
        )
        optimizer.step()
    assert one_block(relaxation.probabilities()) > 0.8


def one_block(probabilities: dict[str, Tensor]) -> float:
    """Return the probability of a stage of one block, the cheapest."""
    depth, skip = probabilities["stage_1_depth"], probabilities["stage_1_block_2_type"]
    return float((depth[0] + depth[1] * skip[1]).detach())


def test_partial_channels_are_refused() -> None:
    kind = RELAXATIONS["pcdarts"]
    with pytest.raises(ValueError, match="supernet of search space `mobile`"):
        build_supernet(SPACE, input_shape=(1, 8, 8), num_classes=3, **kind.supernet_arguments)
    supernet = build_supernet(SPACE, input_shape=(1, 8, 8), num_classes=3)
    with pytest.raises(ValueError, match="`mobile` without cells"):
        kind(supernet)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "epochs"), [("gdas", 8), ("fbnet", 4), ("spos", 4), ("ofa", 2)])
def test_the_loss_falls_and_paths_beat_chance(name: str, epochs: int) -> None:
    torch.manual_seed(0)
    kind = RELAXATIONS[name]
    supernet = build_supernet(
        SPACE, input_shape=(1, 8, 8), num_classes=10, **kind.supernet_arguments
    )
    relaxation = kind(supernet)
    before = {gate: p.detach().clone() for gate, p in relaxation.probabilities().items()}
    module, losses = SupernetModule(supernet, relaxation), Losses()
    fraction = 0.5 if relaxation.learns else 0.0
    data = SupernetDataModule(DigitsDataModule(batch_size=32), architecture_fraction=fraction)
    trainer = make_trainer(max_epochs=epochs, accelerator="cpu", callbacks=[losses])
    trainer.fit(module, datamodule=data)

    assert losses.values[-1] < 0.8 * losses.values[0]
    evaluator = SupernetEvaluator.from_data(supernet, data.datamodule)
    rng, prior = np.random.default_rng(0), Prior(SPACE, {})
    accuracies = [evaluator(prior.sample(rng)).metrics["val_accuracy"] for _ in range(5)]
    assert min(accuracies) > 0.2  # Chance is 0.1.
    if relaxation.learns:
        after = relaxation.probabilities()
        assert SPACE.contains(module.best_architecture())
        for gate, probabilities in before.items():
            if len(probabilities) > 1:
                assert not torch.equal(probabilities, after[gate]), gate
