"""How trials become blocks and blocks become weights, and that weights depend on nothing else."""

from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts import get_all_artifact_meta
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest
import torch

from optuna_nas import CellSpace
from optuna_nas import CustomSpace
from optuna_nas.samplers import ActorCriticSampler
from optuna_nas.samplers import DDPGSampler
from optuna_nas.samplers import PPOSampler
from optuna_nas.samplers import ReinforceSampler
from optuna_nas.samplers.policy import ControllerSampler
from optuna_nas.samplers.policy import Outcomes
from optuna_nas.samplers.policy import RankReward
from optuna_nas.samplers.policy._cache import from_bytes
from optuna_nas.samplers.policy._cache import to_bytes
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._replay import BlockRules
from optuna_nas.samplers.policy._replay import LOG_PROBS
from optuna_nas.samplers.policy._replay import Replay
from optuna_nas.samplers.policy._replay import SKIPPED
from optuna_nas.samplers.policy._state import State


CONTROLLERS: dict[str, Callable[..., ControllerSampler]] = {
    "reinforce": ReinforceSampler,
    "ppo": PPOSampler,
    "actor-critic": ActorCriticSampler,
    "ddpg": DDPGSampler,
}
CELL = CellSpace()
X = IntDistribution(0, 9)


@pytest.fixture(params=list(CONTROLLERS))
def make(request: pytest.FixtureRequest) -> Callable[..., ControllerSampler]:
    return CONTROLLERS[request.param]


def count(trial: optuna.Trial) -> float:
    return sum(choice == "nor_conv_3x3" for choice in CELL.suggest(trial).values())


def equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def started(sampler: ControllerSampler, n_trials: int = 40) -> optuna.Study:
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(count, n_trials=n_trials)
    return study


# Blocks.


def rules(**kwargs: Any) -> BlockRules:
    defaults: dict[str, Any] = {
        "size": 4,
        "patience": 6,
        "reward": RankReward(),
        "floor_reward": -2.0,
        "learn_failures": True,
    }
    return BlockRules(**{**defaults, **kwargs})


def trial_of(x: int, state: TrialState = TrialState.COMPLETE, **kwargs: Any) -> FrozenTrial:
    if state == TrialState.COMPLETE:
        kwargs.setdefault("value", float(x))
    if not state.is_finished():
        trial = create_trial(params={"x": x}, distributions={"x": X}, value=0.0, **kwargs)
        trial.state, trial.values = state, None
        return trial
    return create_trial(params={"x": x}, distributions={"x": X}, state=state, **kwargs)


def blocks_of(trials: list[FrozenTrial], **kwargs: Any) -> Replay:
    replay = Replay(rules(**kwargs), [StudyDirection.MAXIMIZE], None)
    replay.update(trials)
    return replay


def rewards_of(replay: Replay) -> list[list[float]]:
    return [[record.reward for record in block.records] for block in replay.blocks]


def test_a_block_waits_for_all_its_trials_and_for_the_blocks_before() -> None:
    running = TrialState.RUNNING
    assert not blocks_of([trial_of(i) for i in range(3)]).blocks
    assert len(blocks_of([trial_of(i) for i in range(9)]).blocks) == 2
    later = [trial_of(1), trial_of(2, running), *(trial_of(i) for i in range(7))]
    assert not blocks_of(later).blocks
    later[1] = trial_of(2, TrialState.FAIL)
    assert len(blocks_of(later).blocks) == 2


def test_floor_reward_of_failed_pruned_infeasible_and_nan_trials() -> None:
    trials = [
        trial_of(3),
        trial_of(4, TrialState.FAIL),
        trial_of(5, TrialState.PRUNED),
        trial_of(6, system_attrs={"constraints": [1.0]}),
        trial_of(7),
        trial_of(8, value=math.inf),
        trial_of(9),
        trial_of(0),
    ]
    trials[6].values = [math.nan]
    first, second = rewards_of(blocks_of(trials))
    assert first == [0, -2, -2, -2]
    np.testing.assert_allclose(second, [1 / 3, 1, -2, -1])
    assert rewards_of(blocks_of(trials, learn_failures=False))[0] == [0, -2, -2]


def test_rewards_see_the_outcomes_of_the_blocks_before() -> None:
    seen: list[Outcomes] = []

    def reward(outcomes: Outcomes) -> np.ndarray:
        seen.append(outcomes)
        return outcomes.values[-outcomes.n_new :, 0]

    replay = blocks_of([trial_of(i % 10) for i in range(8)], reward=reward)
    assert rewards_of(replay) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [(len(o.values), o.n_new, o.block) for o in seen] == [(4, 4, 0), (8, 4, 1)]


def test_wrong_rewards_are_named() -> None:
    with pytest.raises(ValueError, match="`reward` to return 4 finite numbers but got"):
        blocks_of([trial_of(i) for i in range(4)], reward=lambda outcomes: np.zeros(3))
    with pytest.raises(ValueError, match="`reward` to return 4 finite numbers but got"):
        blocks_of([trial_of(i) for i in range(4)], reward=lambda outcomes: np.full(4, np.nan))


def test_trials_of_another_space_are_left_out() -> None:
    space = CustomSpace({"a": CategoricalDistribution([1, 2]), "b": IntDistribution(0, 3)})
    replay = Replay(rules(), [StudyDirection.MAXIMIZE], space)
    rate = FloatDistribution(0, 1)
    both = {"rate": rate, "b": IntDistribution(0, 3), "a": CategoricalDistribution([1, 2])}
    member = create_trial(params={"rate": 0.5, "b": 3, "a": 2}, distributions=both, value=1.0)
    replay.update([trial_of(0), trial_of(1), trial_of(2), member])
    (record,) = replay.blocks[0].records  # The decisions of the space come first, in its order.
    assert [(d.name, position) for d, position in record.walked] == [
        ("a", 1.0),
        ("b", 3.0),
        ("rate", 0.5),
    ]


def test_digest_tells_histories_apart() -> None:
    digests = {
        blocks_of(trials).blocks[-1].digest
        for trials in (
            [trial_of(x) for x in (1, 2, 3, 4)],
            [trial_of(x) for x in (1, 2, 4, 3)],
            [trial_of(x) for x in (1, 2, 3, 4, 5, 5, 5, 5)],
            [trial_of(x, value=0.0) for x in (1, 2, 3, 4)],
            [*(trial_of(x) for x in (1, 2, 3)), trial_of(4, system_attrs={LOG_PROBS: {"x": -1}})],
            [*(trial_of(x) for x in (1, 2, 3)), trial_of(4, system_attrs={SKIPPED: True})],
        )
    }
    assert len(digests) == 6
    again = blocks_of([trial_of(x) for x in (1, 2, 3, 4)]).blocks[-1].digest
    assert again in digests


# Trials that do not finish.


def test_stalled_trials_are_those_that_enough_later_ones_have_overtaken() -> None:
    running, waiting = TrialState.RUNNING, TrialState.WAITING
    first = [trial_of(0, waiting), trial_of(1), trial_of(2, running), trial_of(3)]
    replay = Replay(rules(), [StudyDirection.MAXIMIZE], None)
    replay.update(first)
    assert replay.stalled([*first, *(trial_of(4) for _ in range(4))]) == [first[0]]
    assert replay.stalled([*first, *(trial_of(4) for _ in range(5))]) == [first[2], first[0]]
    queue = [trial_of(0, waiting) for _ in range(100)]  # Enqueued trials do not overtake.
    assert replay.stalled([*first, *queue]) == []
    first[0].system_attrs[SKIPPED] = True
    assert replay.stalled([*first, *(trial_of(4) for _ in range(4))]) == []


def test_a_trial_that_never_finishes_does_not_stall_learning(
    make: Callable[..., ControllerSampler],
) -> None:
    sampler = make(seed=0, space=CELL, block_size=5, patience=12)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    hanging = study.ask(dict(CELL.distributions))
    study.optimize(count, n_trials=11)
    assert SKIPPED not in study.trials[0].system_attrs
    before = sampler.weights(study)
    study.optimize(count, n_trials=3)
    assert study.trials[0].system_attrs[SKIPPED] is True
    after = sampler.weights(study)
    assert not equal(before, after)
    # It finishes after all, and nobody learns from it: neither old nor new processes.
    study.tell(hanging, 100.0)
    assert equal(sampler.weights(study), after)
    assert equal(make(seed=5, space=CELL, block_size=5, patience=12).weights(study), after)


def test_a_late_trial_is_learned_if_it_finishes_before_it_is_skipped(
    make: Callable[..., ControllerSampler],
) -> None:
    sampler = make(seed=0, space=CELL, block_size=5, patience=12)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    late = study.ask(dict(CELL.distributions))
    study.optimize(count, n_trials=11)
    study.tell(late, 6.0)
    study.optimize(count, n_trials=20)
    assert SKIPPED not in study.trials[0].system_attrs
    assert equal(make(seed=5, space=CELL, block_size=5).weights(study), sampler.weights(study))


# Weights.


def test_learning_while_searching_equals_learning_afterwards(
    make: Callable[..., ControllerSampler],
) -> None:
    sampler = make(seed=0, space=CELL)
    study = started(sampler, 45)
    learned = sampler.weights(study)
    for seed in (1, 2):
        assert equal(make(seed=seed, space=CELL).weights(study), learned)
    assert not equal(make(seed=0, space=CELL, policy_seed=1).weights(study), learned)
    assert all(np.array_equal(v, v.astype(np.float32)) for v in learned.values())


def test_new_trials_are_learned_once(
    make: Callable[..., ControllerSampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = make(seed=0, space=CELL, block_size=5)
    study = started(sampler, 20)
    n_updates = 0
    agent_type = type(sampler._agent)
    original = agent_type.update

    def counted(self: Any, state: Any, blocks: Any) -> Any:
        nonlocal n_updates
        n_updates += 1
        return original(self, state, blocks)

    monkeypatch.setattr(agent_type, "update", counted)
    study.optimize(count, n_trials=20)
    assert n_updates == 4


def test_unsuitable_trials_alone_teach_nothing(make: Callable[..., ControllerSampler]) -> None:
    study = optuna.create_study()
    study.add_trials([create_trial(state=TrialState.FAIL) for _ in range(25)])
    sampler = make(space=CELL)
    assert equal(sampler.weights(study), sampler.weights(optuna.create_study()))


def test_settings_of_torch_do_not_matter_and_are_left_alone(
    make: Callable[..., ControllerSampler],
) -> None:
    study = started(make(seed=0, space=CELL))
    expected = make(seed=0, space=CELL).weights(study)
    torch.manual_seed(123)
    before = torch.random.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    np_state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    with torch.inference_mode(), torch.device("meta"):
        torch.set_default_dtype(torch.float16)
        try:
            found = make(seed=0, space=CELL).weights(study)
            started(make(seed=1, space=CELL), 25)
            started(make(seed=1), 25)
        finally:
            torch.set_default_dtype(torch.float32)
    assert equal(found, expected)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == before[1:]
    assert (np.random.get_state()[1] == np_state).all()  # type: ignore[index]  # noqa: NPY002


def test_decisions_may_appear_later(make: Callable[..., ControllerSampler]) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = count(trial)
        if trial.number >= 12:
            value += trial.suggest_float("rate", 0, 1)
        return value + (trial.suggest_int("late", 0, 5) if trial.number >= 24 else 0)

    sampler = make(seed=0, space=CELL, block_size=5)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=45)
    assert equal(make(seed=3, space=CELL, block_size=5).weights(study), sampler.weights(study))


# Warm start.


def mean_of_first(sampler: ControllerSampler, n: int = 8) -> float:
    return float(np.mean([trial.value for trial in started(sampler, n).trials]))


@pytest.mark.parametrize(
    ("name", "gain"), [("reinforce", 1), ("ppo", 1), ("actor-critic", 1), ("ddpg", 0.3)]
)
def test_pretraining_starts_where_another_study_ended(name: str, gain: float) -> None:
    make = CONTROLLERS[name]
    source = started(make(seed=0, space=CELL), 120)
    source.ask()  # An unfinished trial there does no harm.
    cold, warm = [], []
    for seed in range(6):
        cold.append(mean_of_first(make(seed=seed, space=CELL)))
        sampler = make(seed=seed, space=CELL)
        sampler.pretrain(source)
        warm.append(mean_of_first(sampler))
    assert np.mean(warm) > np.mean(cold) + gain


def test_pretrained_weights_are_another_start(make: Callable[..., ControllerSampler]) -> None:
    source, study = started(make(seed=0, space=CELL)), started(make(seed=1, space=CELL), 30)
    plain, first, second = (make(seed=seed, space=CELL) for seed in range(3))
    before = first.weights(study)
    for sampler in (first, second):
        sampler.pretrain(source)
    assert equal(first.weights(study), second.weights(study))
    assert not equal(first.weights(study), plain.weights(study))
    assert equal(before, plain.weights(study))


# The cache.


def test_cache_of_weights(
    make: Callable[..., ControllerSampler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileSystemArtifactStore(str(tmp_path))
    sampler = make(seed=0, space=CELL, block_size=2, artifact_store=store)
    study = started(sampler, 45)
    assert len(get_all_artifact_meta(study)) == 2  # After 10 and 20 blocks.
    expected = sampler.weights(study)
    agent_type = type(sampler._agent)
    original = agent_type.update
    learned: list[int] = []

    def counted(self: Any, state: Any, blocks: Any) -> Any:
        learned.append(len(blocks))
        return original(self, state, blocks)

    monkeypatch.setattr(agent_type, "update", counted)
    fresh = make(seed=1, space=CELL, block_size=2, artifact_store=store)
    assert equal(fresh.weights(study), expected)
    assert learned == [21, 22]
    assert len(get_all_artifact_meta(study)) == 2

    learned.clear()  # Other settings or another history do not match.
    make(space=CELL, block_size=2, policy_seed=1, artifact_store=store).weights(study)
    assert learned == list(range(1, 23))


def test_damaged_cache_is_a_warning(
    make: Callable[..., ControllerSampler], tmp_path: Path
) -> None:
    store = FileSystemArtifactStore(str(tmp_path))
    sampler = make(seed=0, space=CELL, block_size=2, artifact_store=store)
    study = started(sampler, 24)
    (artifact,) = tmp_path.iterdir()
    data = bytearray(artifact.read_bytes())
    data[len(data) // 2] ^= 255
    artifact.write_bytes(bytes(data))
    with pytest.warns(UserWarning, match="cached weights cannot be read"):
        found = make(space=CELL, block_size=2, artifact_store=store).weights(study)
    assert equal(found, sampler.weights(study))
    artifact.unlink()
    with pytest.warns(UserWarning, match="cached weights cannot be read"):
        make(space=CELL, block_size=2, artifact_store=store).weights(study)


def test_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    store = FileSystemArtifactStore(str(tmp_path))
    tmp_path.rmdir()
    sampler = ReinforceSampler(seed=0, space=CELL, block_size=2, artifact_store=store)
    with pytest.warns(UserWarning, match="weights cannot be cached"):
        started(sampler, 24)


def test_states_survive_the_way_through_bytes() -> None:
    decisions = tuple(
        Decision(name, distribution)
        for name, distribution in {"x": X, "a/b": CategoricalDistribution([1, None, "c"])}.items()
    )
    tensors = {"moments/1/x": torch.rand(3, 2).double(), "t": torch.ones(1).double()}
    state = State(decisions, tensors, 0.1, 7)
    back = from_bytes(to_bytes(state, "key"), "key")
    assert back.decisions == decisions
    assert (back.baseline, back.n_updates) == (0.1, 7)
    assert all(torch.equal(back.tensors[name], tensor) for name, tensor in tensors.items())
    with pytest.raises(ValueError, match="Expected cached weights of other but got key"):
        from_bytes(to_bytes(state, "key"), "other")
