"""The supernet of mobile networks: its paths are single networks with parts of its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules import build_mobile_backbone
from lightning_modules import Classification
from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules import RELAXATIONS
from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Gate
from lightning_modules.supernet import inherit_weights
from lightning_modules.supernet import load_supernet
from lightning_modules.supernet import save_supernet
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet import SupernetModule
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.training.trainer import make_trainer
from optuna_nas import Architecture
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import MobileStage
from tests.lightning_modules.spaces.mobile.supernets import build
from tests.lightning_modules.spaces.mobile.supernets import EVERYTHING
from tests.lightning_modules.spaces.mobile.supernets import images
from tests.lightning_modules.spaces.mobile.supernets import make
from tests.lightning_modules.spaces.mobile.supernets import sample
from tests.lightning_modules.spaces.mobile.supernets import single
from tests.lightning_modules.spaces.mobile.supernets import SIZES
from tests.lightning_modules.spaces.mobile.supernets import TASK


SPACES: dict[str, SearchSpace] = {
    "default": MobileSpace(),
    "everything": EVERYTHING,
    "frozen": EVERYTHING.freeze(
        {"stage_1_depth": 1, "style": "efficientnet", "stage_2_block_1_kernel": 1}
    ),
    "late head alone": EVERYTHING.freeze({"style": "mobilenet_v3", "stage_2_width": 8}),
}


def middle(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Return the first channels and the middle of the kernel."""
    if tensor.ndim == 4:
        margin = (tensor.shape[3] - shape[3]) // 2
        end = tensor.shape[3] - margin
        return tensor[: shape[0], : shape[1], margin:end, margin:end]
    return tensor[tuple(slice(n) for n in shape)]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_a_path_is_the_single_network(name: str, training: bool, affine: bool) -> None:
    space, rng = SPACES[name], np.random.default_rng(0)
    supernet = make(space, affine=affine)
    for architecture in [sample(space, rng) for _ in range(5 if name == "default" else 15)]:
        supernet.train(training)
        network, batch = single(supernet, architecture), images()
        path = supernet.path(architecture)
        torch.testing.assert_close(supernet(batch, path), network(batch), atol=1e-6, rtol=0)
        if training:  # Both have met the same batch, also in their statistics.
            supernet.eval()
            network.eval()
            torch.testing.assert_close(supernet(batch, path), network(batch), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", SPACES)
def test_inherited_names_and_shapes_are_those_of_the_single_network(name: str) -> None:
    space, rng = SPACES[name], np.random.default_rng(1)
    supernet = make(space)
    for architecture in [sample(space, rng) for _ in range(10)]:
        with torch.device("meta"):
            own = build(architecture).state_dict()
        found = supernet.inherited_state(architecture)
        assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in own.items()}
        for name, tensor in found.items():
            held = supernet.network.state_dict()[name]
            assert torch.equal(tensor, middle(held, tensor.shape))
            assert tensor.untyped_storage().data_ptr() == held.untyped_storage().data_ptr()


PRESETS = {
    "small": MobileSpace.small(input_size=8, n_stages=2, max_depth=2),
    "fbnet": MobileSpace.fbnet(),
    "mobilenet_v3": MobileSpace.mobilenet_v3(),
    "efficientnet": MobileSpace.efficientnet(),
    "efficientnet scaled": MobileSpace.efficientnet(scaling=True),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_every_weight(name: str) -> None:
    space, rng = PRESETS[name], np.random.default_rng(2)
    with torch.device("meta"):
        supernet = build_supernet(space, TASK, **SIZES)
    architectures = [sample(space, rng) for _ in range(3)]
    if not name.startswith(("small", "efficientnet scaled")):
        architectures.append(space.reference())
    for architecture in architectures:
        with torch.device("meta"):
            own = build(architecture).state_dict()
        found = supernet.inherited_state(architecture)
        assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in own.items()}


def test_the_largest_weights_are_all_used() -> None:
    """Nothing is held that no architecture takes: the sizes are maxima, not bounds."""
    space = MobileSpace(
        [MobileStage(depths=(1, 2), widths=(8, 12), expansions=(1, 2), se_ratios=(0, 0.5))],
        stem_widths=(4, 8),
        head_widths=(5, 9),
    )
    supernet = make(space)
    largest = {"stem_width": 8, "stage_1_depth": 2, "stage_1_width": 12, "head_width": 9}
    for block in (1, 2):
        largest |= {f"stage_1_block_{block}_kernel": 5, f"stage_1_block_{block}_expansion": 2}
        largest |= {f"stage_1_block_{block}_se": 0.5}
    found = supernet.inherited_state(space.complete(largest))
    held = supernet.network.state_dict()
    assert {n: t.shape for n, t in held.items()} == {n: t.shape for n, t in found.items()}


def test_gradients_flow_into_the_shared_weights() -> None:
    supernet, rng = make(EVERYTHING), np.random.default_rng(3)
    for architecture in [sample(EVERYTHING, rng) for _ in range(10)]:
        supernet.zero_grad()
        network, batch = single(supernet, architecture), images()
        supernet(batch, supernet.path(architecture)).square().sum().backward()
        network(batch).square().sum().backward()
        own = dict(network.named_parameters())
        for name, held in supernet.network.named_parameters():
            if name not in own:
                assert held.grad is None, name
                continue
            assert held.grad is not None, name
            assert own[name].grad is not None, name
            part = middle(held.grad, own[name].shape)
            torch.testing.assert_close(part, own[name].grad, atol=1e-6, rtol=1e-6)
            outside = held.grad.abs().sum() - part.abs().sum()
            assert float(outside) == pytest.approx(0, abs=1e-9), name


def test_inactive_gates_are_ignored() -> None:
    supernet, rng, batch = make(EVERYTHING).eval(), np.random.default_rng(4), images()
    found = []
    for architecture in [sample(EVERYTHING, rng) for _ in range(10)]:
        path = supernet.path(architecture)
        every = {name: Gate((0,)) for name in supernet.choices} | path
        found.append(len(every) - len(path))
        assert torch.equal(supernet(batch, every), supernet(batch, path))
    assert max(found) > 4


def test_gates_that_take_one_choice_refuse_several() -> None:
    supernet = make(EVERYTHING)
    single_ones = {n for n in supernet.choices if n not in supernet.mixable}
    assert single_ones == {
        *("style", "resolution", "width_coefficient", "depth_coefficient", "stem_stride"),
        *("stage_1_stride", "stage_2_stride"),
    }
    path = supernet.path(sample(EVERYTHING, np.random.default_rng(0)))
    for name in sorted(single_ones):
        with pytest.raises(ValueError, match=f"`{name}` to have one active choice but got 2"):
            supernet(images(), {**path, name: Gate((0, 1))})
    with pytest.raises(ValueError, match=r"`stage_1_depth` to have an active choice but got"):
        supernet(images(), {**path, "stage_1_depth": Gate(())})


def test_other_members_are_refused() -> None:
    space = SPACES["frozen"]
    supernet = make(space)
    with pytest.raises(ValueError, match="style"):
        supernet.path(
            Architecture("mobile", {**sample(space, np.random.default_rng(0)), "style": "fbnet"})
        )


def test_dropout_is_that_of_the_single_network() -> None:
    arguments = {**SIZES, "dropout": 0.5}
    supernet = make(EVERYTHING, dropout=0.5)
    architecture, batch = sample(EVERYTHING, np.random.default_rng(7)), images()
    network = TASK.network(build_mobile_backbone(architecture, **arguments)).double()
    inherit_weights(network, supernet, architecture)
    logits: list[Tensor] = []
    for run in (network, lambda x: supernet(x, supernet.path(architecture))):
        torch.manual_seed(3)
        logits.append(run(batch))
    torch.testing.assert_close(*logits, atol=1e-6, rtol=0)
    second = supernet(batch, supernet.path(architecture))
    assert (second - logits[1]).abs().max() > 1e-3


def test_a_saved_supernet_is_the_same(tmp_path: Path) -> None:
    supernet = make(EVERYTHING, affine=False).float()
    save_supernet(supernet, tmp_path / "supernet.pt")
    loaded = load_supernet(tmp_path / "supernet.pt", EVERYTHING)
    held = loaded.state_dict()
    assert all(torch.equal(held[name], t) for name, t in supernet.state_dict().items())


# Short trainings on real digits, by several relaxations.


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
    kind = RELAXATIONS.get(name)
    supernet = build_supernet(DECISIVE, TASK, input_shape=(1, 8, 8), **kind.supernet_arguments)
    relaxation = kind(supernet)
    batches = [Samples(torch.randn(6, 1, 8, 8), torch.randint(3, (6,))) for _ in range(2)]
    for number in range(3):
        step = Step(number, 0.4 * number, 0.1)
        if relaxation.learns:
            relaxation.architecture_step(supernet, *batches, step, Tensor.backward)
        loss = relaxation.weight_step(supernet, batches[1], step, Tensor.backward)
        assert loss.isfinite()
        supernet(batches[0].inputs, relaxation.validation_gates(supernet, step))
    gradients = [p.grad for p in (*supernet.parameters(), *relaxation.parameters())]
    assert all(g is None or g.isfinite().all() for g in gradients)
    if isinstance(relaxation, Darts):  # Every choice of every decision is weighed.
        for gate, logits in relaxation.logits.items():
            if len(logits) > 1:
                assert logits.grad is not None, gate
                assert logits.grad.abs().max() > 0, gate


@pytest.mark.parametrize("name", ["gdas", "fbnet"])
def test_a_latency_pushes_towards_cheaper_choices(name: str) -> None:
    supernet = build_supernet(DECISIVE, TASK, input_shape=(1, 8, 8), affine=False)
    network = {"input_shape": (1, 8, 8), "task": TASK}
    table = LatencyTable("mobile", DECISIVE.distributions, network, {})
    for _, operation in table.operations:  # As if blocks took 1 ms, and all else no time.
        table.record(operation, Latency(1.0 if "mbconv" in operation else 0.0, 0.0))
    relaxation = RELAXATIONS.get(name)(supernet, costs=(table.expected_ms,))
    optimizer = torch.optim.Adam(relaxation.parameters(), lr=0.3)
    batch = Samples(torch.randn(6, 1, 8, 8), torch.randint(3, (6,)))
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
    kind = RELAXATIONS.get("pcdarts")
    with pytest.raises(ValueError, match="supernet of search space `mobile`"):
        build_supernet(SPACE, TASK, input_shape=(1, 8, 8), **kind.supernet_arguments)
    supernet = build_supernet(SPACE, TASK, input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match="`mobile` without cells"):
        kind(supernet)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "epochs"), [("gdas", 8), ("fbnet", 4), ("spos", 4), ("ofa", 2)])
def test_the_loss_falls_and_paths_beat_chance(name: str, epochs: int) -> None:
    torch.manual_seed(0)
    kind = RELAXATIONS.get(name)
    supernet = build_supernet(
        SPACE, Classification(10), input_shape=(1, 8, 8), **kind.supernet_arguments
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
