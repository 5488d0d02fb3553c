"""Several proxies of one network, by their names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import compute_proxies
from lightning_modules import count_macs
from lightning_modules import count_params
from lightning_modules.registries import PROXIES
from lightning_modules.tasks import Classification
from lightning_modules.tasks import Regression
from tests.lightning_modules.proxies.networks import CROSS_ENTROPY
from tests.lightning_modules.proxies.networks import LOSS
from tests.lightning_modules.proxies.networks import make
from tests.lightning_modules.proxies.networks import make_batch
from tests.lightning_modules.proxies.networks import NETWORKS
from tests.lightning_modules.proxies.networks import small_batch
from tests.lightning_modules.proxies.networks import small_network


@pytest.mark.parametrize("name", list(NETWORKS))
def test_proxies_of_real_networks(name: str) -> None:
    scores = compute_proxies(make(name), *make_batch(), CROSS_ENTROPY)
    assert all(math.isfinite(score) for score in scores.values())
    assert all(scores[name] > 0 for name in ("synflow", "snip", "grad-norm", "fisher"))
    assert scores["jacob-cov"] < -8
    # Nothing of it depends on what was scored before, or on dropout.
    assert compute_proxies(make(name), *make_batch(), CROSS_ENTROPY) == scores


def test_costs_are_proxies(network: nn.Sequential, images: Tensor) -> None:
    found = compute_proxies(network, images, None, CROSS_ENTROPY, ["macs", "params"])
    assert found == {"macs": count_macs(network, (1, 4, 4)), "params": count_params(network)}
    assert list(found) == ["macs", "params"]


def test_all_by_default(network: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    found = compute_proxies(network, images, labels, CROSS_ENTROPY)
    assert list(found) == list(PROXIES)
    expected = {n: PROXIES.get(n)(network, images, labels, CROSS_ENTROPY) for n in PROXIES}
    assert found == expected
    assert set(found) >= {
        *("fisher", "grad-norm", "grasp", "jacob-cov", "macs", "naswot", "params", "snip"),
        *("synflow", "zen"),
    }


@pytest.mark.parametrize("name", list(NETWORKS))
def test_proxies_of_the_loss_of_a_regression(name: str) -> None:
    task = Regression(5, mean=(1.0,) * 5, std=(2.0,) * 5)
    images, labels = make_batch()
    targets = nn.functional.one_hot(labels, 5).float()
    scores = compute_proxies(make(name), images, targets, task.loss)
    assert all(math.isfinite(score) for score in scores.values())
    classes = compute_proxies(make(name), images, labels, Classification(5).loss)
    for proxy in PROXIES:
        assert (scores[proxy] == classes[proxy]) is (proxy not in LOSS)


class Tokens(nn.Module):
    """Two inputs, one of them whole numbers, in a dict; the output is a tuple."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(7, 4)
        self.last = nn.Sequential(nn.Linear(4 + 3, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        words = self.embedding(x["words"]).mean(dim=1)
        output = self.last(torch.cat([words, x["numbers"]], dim=1))
        return output[:, 0], output[:, 1]


def test_inputs_in_a_dict_and_outputs_in_a_tuple() -> None:
    rng = torch.Generator().manual_seed(1)
    inputs = {
        "words": torch.randint(7, (6, 5), generator=rng),
        "numbers": torch.randn(6, 3, generator=rng),
    }
    targets = (torch.randn(6, generator=rng), torch.randn(6, generator=rng))

    def loss(output: Any, target: Any) -> Tensor:
        return sum((o - t).square().mean() for o, t in zip(output, target, strict=True))

    names = [name for name in PROXIES if name not in ("jacob-cov", "zen")]
    found = compute_proxies(Tokens(), inputs, targets, loss, names)
    assert all(math.isfinite(value) for value in found.values())
    assert all(found[name] > 0 for name in ("fisher", "grad-norm", "snip", "synflow"))
    assert found["macs"] == 7 * 8 + 8 * 2


def test_a_proxy_in_a_file_of_the_users(tmp_path: Path, images: Tensor) -> None:
    file = tmp_path / "my_proxies.py"
    file.write_text("def count(network, inputs, targets, loss):\n    return float(len(inputs))\n")
    name = f"{file}:count"
    assert compute_proxies(nn.Flatten(), images, None, CROSS_ENTROPY, [name]) == {name: 5.0}


@pytest.mark.parametrize("names", [[], "synflow"])
def test_names_that_are_none(names: Any) -> None:
    with pytest.raises(ValueError, match=r"`names` to be names of .*synflow.* but got"):
        compute_proxies(small_network(), *small_batch(), CROSS_ENTROPY, names)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"`names` to be one of .*synflow.* but got 'accuracy'"):
        compute_proxies(small_network(), *small_batch(), CROSS_ENTROPY, ["synflow", "accuracy"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_proxies_on_a_gpu() -> None:
    images, labels = make_batch()
    expected = compute_proxies(make("cell"), images, labels, CROSS_ENTROPY)
    network = make("cell").cuda()
    found = compute_proxies(network, images.cuda(), labels.cuda(), CROSS_ENTROPY)
    assert found == pytest.approx(expected, rel=0.02)
    assert all(parameter.is_cuda for parameter in network.parameters())
