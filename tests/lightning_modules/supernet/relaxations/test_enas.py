import copy
from functools import partial
from pathlib import Path

from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor

from lightning_modules.data import DigitsDataModule
from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Gate
from lightning_modules.supernet import Supernet
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.supernet import SupernetModule
from lightning_modules.supernet._gates import GateBoard
from lightning_modules.supernet.relaxations import Enas
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.tasks import Classification
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas.spaces import SearchSpace


BATCH = Samples(torch.zeros(20, 1, 2, 2), torch.zeros(20, dtype=torch.int64))


class ScoredSupernet(Supernet):
    """Stands in for a supernet: the accuracy of a path is whatever ``score`` says, in [0, 1]."""

    def __init__(self, space: SearchSpace, score, choices=None) -> None:
        own = {
            name: tuple(range(d.low, d.high + 1)) if isinstance(d, IntDistribution) else d.choices
            for name, d in space.distributions.items()
        }
        network = nn.Linear(1, 2)
        super().__init__(
            space, network, choices or own, GateBoard(), lambda a: network, Classification(2)
        )
        self.score = score
        self.seen: list[dict[str, Gate]] = []

    def forward(self, images: Tensor, gates: dict[str, Gate]) -> Tensor:
        self.seen.append(dict(gates))
        right = torch.arange(len(images)) < round(self.score(gates) * len(images))
        return torch.stack([right.float(), (~right).float()], dim=1)

    def path(self, architecture: Architecture) -> dict[str, Gate]:
        return {
            name: Gate((self.choices[name].index(choice),))
            for name, choice in architecture.items()
        }

    def inherited_state(self, architecture: Architecture) -> dict[str, Tensor]:
        raise NotImplementedError


def share_of(index: int, gates: dict[str, Gate]) -> float:
    return sum(gate.active == (index,) for gate in gates.values()) / len(gates)


def train(relaxation: Enas, supernet: Supernet, optimizer, numbers: range) -> None:
    for number in numbers:
        optimizer.zero_grad()
        step = Step(number, 0.0, 0.1)
        relaxation.architecture_step(supernet, BATCH, BATCH, step, Tensor.backward)
        optimizer.step()


def adam(relaxation: Enas, learning_rate: float = 0.02) -> torch.optim.Adam:
    return torch.optim.Adam(relaxation.parameters(), lr=learning_rate, betas=(0.5, 0.999))


def test_policy_finds_the_better_choice() -> None:
    space = CellSpace(n_nodes=3)
    supernet = ScoredSupernet(space, partial(share_of, 3))
    relaxation = Enas(supernet)
    assert all(p[3] < 0.5 for p in relaxation.probabilities().values())
    train(relaxation, supernet, adam(relaxation), range(200))
    for name, p in relaxation.probabilities().items():
        assert p[3] > 0.8, (name, p)
    assert supernet.derive(relaxation.probabilities()) == space.architecture(
        dict.fromkeys(space.distributions, "nor_conv_3x3")
    )
    gates = relaxation.validation_gates(supernet, Step(0, 0.0, 0.1))
    assert {gate.active for gate in gates.values()} == {(3,)}


def test_policy_sees_that_choices_depend_on_each_other() -> None:
    """The second edge has to differ from the first; the marginals say nothing of it."""
    space = CustomSpace({name: CategoricalDistribution(("x", "y")) for name in ("a", "b")})
    supernet = ScoredSupernet(space, lambda gates: float(gates["a"].active != gates["b"].active))
    relaxation = Enas(supernet, entropy_weight=0.1)
    train(relaxation, supernet, adam(relaxation), range(250))
    rng = relaxation.rng(Step(0, 0.0, 0.1), 9)
    differ = [a["a"] != a["b"] for a, _ in relaxation.sample(100, rng)]
    assert sum(differ) > 80


def test_validation_takes_the_most_probable_path() -> None:
    supernet = ScoredSupernet(CellSpace(n_nodes=3), lambda gates: 0.5)
    relaxation = Enas(supernet)
    with torch.no_grad():
        for k in range(len(supernet.choices)):
            relaxation.weights["head_bias"][5 * k + k + 1] += 2.0
    logs = dict(relaxation.sample(2000, relaxation.rng(Step(0, 0.0, 0.1), 9)))
    best = max(logs, key=logs.__getitem__)
    assert len(logs) > 50
    found = relaxation.validation_gates(supernet, Step(0, 0.0, 0.1))
    assert found == supernet.path(best)
    assert [gate.active for gate in found.values()] == [(1,), (2,), (3,)]


def test_gradient_is_that_of_reinforce() -> None:
    """With one decision: -(R - b) (onehot(a) - p) for the biases of the softmax."""
    space = CellSpace(n_nodes=2)
    supernet = ScoredSupernet(space, lambda gates: gates["edge_0_1"].active[0] / 5)
    relaxation = Enas(supernet, n_paths=1, entropy_weight=0.0, baseline_decay=0.6)
    rewards, gradients, taken = [], [], []
    for number in range(3):
        relaxation.zero_grad()
        step = Step(number, 0.0, 0.1)
        minus_score = relaxation.architecture_step(supernet, BATCH, BATCH, step, Tensor.backward)
        taken.append(supernet.seen[-1]["edge_0_1"].active[0])
        rewards.append(-float(minus_score))
        gradients.append(relaxation.weights["head_bias"].grad.clone())
    assert len(set(taken)) > 1
    choices = space.distributions["edge_0_1"].choices
    logs = {a["edge_0_1"]: log for a, log in relaxation.sample(200, relaxation.rng(step, 5))}
    p = torch.tensor([logs[choice] for choice in choices]).exp()
    assert float(p.sum()) == pytest.approx(1.0)
    baseline = rewards[0]
    for k in range(3):
        assert rewards[k] == pytest.approx(taken[k] / 5)
        onehot = torch.nn.functional.one_hot(torch.tensor(taken[k]), 5)
        expected = -(rewards[k] - baseline) * (onehot - p)
        torch.testing.assert_close(gradients[k], expected.float(), rtol=1e-4, atol=1e-6)
        baseline = 0.6 * baseline + 0.4 * rewards[k]
    assert float(relaxation.baseline) == pytest.approx(baseline)


def test_entropy_bonus_makes_choices_equal() -> None:
    supernet = ScoredSupernet(CellSpace(n_nodes=2), lambda gates: 0.5)
    relaxation = Enas(supernet, entropy_weight=1.0)
    with torch.no_grad():
        relaxation.weights["head_bias"][2] = 3.0
    train(relaxation, supernet, adam(relaxation), range(300))
    logs = dict(relaxation.sample(200, relaxation.rng(Step(0, 0.0, 0.1), 5)))
    assert torch.tensor(list(logs.values())).exp().tolist() == pytest.approx([0.2] * 5, abs=0.05)


def test_conditional_decisions() -> None:
    space = CustomSpace(
        {
            "depth": IntDistribution(1, 2),
            "op_1": CategoricalDistribution(("a", "b")),
            "op_2": CategoricalDistribution(("a", "b", "c")),
        },
        active_if={"op_2": lambda params: params["depth"] == 2},
    )
    supernet = ScoredSupernet(space, lambda gates: float("op_2" in gates))
    relaxation = Enas(supernet)
    train(relaxation, supernet, adam(relaxation), range(150))
    sampled = [a for a, _ in relaxation.sample(50, relaxation.rng(Step(0, 0.0, 0.1), 5))]
    assert all(space.contains(a) for a in sampled)
    assert sum(a["depth"] == 2 for a in sampled) > 40
    found = relaxation.probabilities()
    assert [len(found[name]) for name in space.distributions] == [2, 2, 3]
    assert all(float(p.sum()) == pytest.approx(1.0) for p in found.values())


def test_gates_that_are_no_decisions() -> None:
    """One gate stands for two decisions; where the path leaves it out, ``none`` is counted."""
    space = CustomSpace(
        {"use": CategoricalDistribution(("no", "yes")), "op": CategoricalDistribution(("a", "b"))}
    )

    class OneGate(ScoredSupernet):
        def path(self, architecture: Architecture) -> dict[str, Gate]:
            chosen = self.choices["edge"].index(architecture["op"])
            return {"edge": Gate((chosen,) if architecture["use"] == "yes" else ())}

    supernet = OneGate(
        space, lambda gates: float(gates["edge"].active == (2,)), {"edge": ("none", "a", "b")}
    )
    relaxation = Enas(supernet)
    sampled = [a for a, _ in relaxation._hundred()]
    counts = [
        sum(a["use"] == "no" for a in sampled),
        sum(a["use"] == "yes" and a["op"] == "a" for a in sampled),
        sum(a["use"] == "yes" and a["op"] == "b" for a in sampled),
    ]
    found = relaxation.probabilities()["edge"]
    assert found.tolist() == pytest.approx([count / 100 for count in counts])
    assert not any(isinstance(module, Supernet) for module in relaxation.modules())
    train(relaxation, supernet, adam(relaxation), range(150))
    assert float(relaxation.probabilities()["edge"][2]) > 0.8


def test_state_goes_on_identically() -> None:
    supernet = ScoredSupernet(CellSpace(n_nodes=3), partial(share_of, 2))
    whole = Enas(supernet, seed=4)
    optimizer = adam(whole)
    train(whole, supernet, optimizer, range(5))
    state, moments = copy.deepcopy(whole.state_dict()), copy.deepcopy(optimizer.state_dict())
    train(whole, supernet, optimizer, range(5, 10))

    resumed = Enas(supernet, seed=4)
    resumed.load_state_dict(state)
    optimizer = adam(resumed)
    optimizer.load_state_dict(moments)
    train(resumed, supernet, optimizer, range(5, 10))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    assert resumed.probabilities().keys() == whole.probabilities().keys()
    for name, p in whole.probabilities().items():
        assert torch.equal(resumed.probabilities()[name], p)


def test_architecture_step_changes_no_weights_and_no_statistics() -> None:
    torch.manual_seed(0)
    supernet = CellSupernet(
        CellSpace(),
        Classification(2),
        input_shape=(1, 6, 6),
        channels=4,
        cells_per_stage=1,
        stages=1,
    )
    relaxation = Enas(supernet)
    before = copy.deepcopy(supernet.state_dict())
    batch = Samples(torch.randn(16, 1, 6, 6), torch.arange(16) % 2)
    step = Step(0, 0.0, 0.1)
    relaxation.architecture_step(supernet, batch, batch, step, Tensor.backward)
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(p.grad is None for p in supernet.parameters())
    assert supernet.training
    loss = relaxation.weight_step(supernet, batch, step, Tensor.backward)
    assert not loss.requires_grad
    assert any(p.grad is not None for p in supernet.parameters())


def test_in_a_trainer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    supernet = CellSupernet(
        CellSpace(n_nodes=3),
        Classification(10),
        input_shape=(1, 8, 8),
        channels=4,
        cells_per_stage=1,
        stages=1,
    )
    relaxation = Enas(supernet)
    first = copy.deepcopy(relaxation.state_dict())
    module = SupernetModule(supernet, relaxation)
    trainer = pl.Trainer(
        max_epochs=1,
        limit_train_batches=3,
        limit_val_batches=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, datamodule=SupernetDataModule(DigitsDataModule()))
    assert -1 <= trainer.callback_metrics["architecture_loss"] <= 0
    assert not torch.equal(relaxation.weights["head_bias"], first["weights.head_bias"])
    trainer.save_checkpoint(tmp_path / "stage.ckpt")
    state = torch.load(tmp_path / "stage.ckpt", weights_only=True)["state_dict"]
    for name, tensor in relaxation.state_dict().items():
        assert torch.equal(state[f"relaxation.{name}"], tensor)
    assert supernet.space.contains(module.best_architecture())


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("n_paths", 0, "at least 1"),
        ("hidden_size", 0, "at least 1"),
        ("entropy_weight", -0.1, "at least 0"),
        ("baseline_decay", 1.0, r"in \[0, 1\)"),
    ],
)
def test_arguments_out_of_range(argument: str, value: float, expected: str) -> None:
    supernet = ScoredSupernet(CellSpace(n_nodes=2), lambda gates: 0.5)
    with pytest.raises(ValueError, match=f"Expected argument `{argument}` to be {expected}"):
        Enas(supernet, **{argument: value})


def test_gradients_come_from_the_given_backward() -> None:
    """So that mixed precision can scale them, and several processes average them."""
    supernet = ScoredSupernet(CellSpace(n_nodes=3), partial(share_of, 2))
    relaxation, step = Enas(supernet), Step(0, 0.0, 0.1)
    relaxation.architecture_step(supernet, BATCH, BATCH, step, lambda loss: None)
    assert all(p.grad is None for p in relaxation.parameters())
    found = []
    for factor in (1, 8):
        relaxation.zero_grad()
        relaxation.baseline.fill_(0.25)
        relaxation.architecture_step(
            supernet, BATCH, BATCH, step, lambda loss, factor=factor: (factor * loss).backward()
        )
        found.append(relaxation.weights["head"].grad)
    assert found[0].abs().sum() > 0
    torch.testing.assert_close(found[1], 8 * found[0])


@pytest.mark.parametrize("space", [ChainSpace(), DartsSpace(n_nodes=2), MobileSpace()])
def test_other_spaces(space: SearchSpace) -> None:
    torch.manual_seed(0)
    supernet = build_supernet(space, Classification(2), input_shape=(1, 8, 8))
    relaxation, step = Enas(supernet, n_paths=1), Step(0, 0.0, 0.1)
    batch = Samples(torch.randn(4, 1, 8, 8), torch.arange(4) % 2)
    loss = relaxation.architecture_step(supernet, batch, batch, step, Tensor.backward)
    assert -1 <= float(loss) <= 0
    found = relaxation.probabilities()
    assert found.keys() == supernet.choices.keys()
    for name, p in found.items():
        assert len(p) == len(supernet.choices[name])
        assert float(p.sum()) == pytest.approx(1.0)
    assert space.contains(supernet.derive(found))
    assert relaxation.validation_gates(supernet, step).keys() <= supernet.choices.keys()
