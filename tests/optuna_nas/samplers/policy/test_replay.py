"""How trials become blocks, and what is learned from each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_nas import CustomSpace
from optuna_nas.samplers.policy import ControllerSettings
from optuna_nas.samplers.policy import Outcomes
from optuna_nas.samplers.policy._replay import LOG_PROBS
from optuna_nas.samplers.policy._replay import Replay
from optuna_nas.samplers.policy._replay import SKIPPED
from optuna_nas.samplers.policy._rewards import penalties


X = IntDistribution(0, 9)


def settings(**kwargs: Any) -> ControllerSettings:
    defaults: dict[str, Any] = {
        "block_size": 4,
        "patience": 6,
        "floor_reward": -2.0,
    }
    return ControllerSettings(**{**defaults, **kwargs})


def trial_of(x: int, state: TrialState = TrialState.COMPLETE, **kwargs: Any) -> FrozenTrial:
    if state == TrialState.COMPLETE:
        kwargs.setdefault("value", float(x))
    if not state.is_finished():
        trial = create_trial(params={"x": x}, distributions={"x": X}, value=0.0, **kwargs)
        trial.state, trial.values = state, None
        return trial
    return create_trial(params={"x": x}, distributions={"x": X}, state=state, **kwargs)


def blocks_of(trials: list[FrozenTrial], **kwargs: Any) -> Replay:
    replay = Replay(settings(**kwargs), [StudyDirection.MAXIMIZE], None)
    replay.update(trials)
    return replay


def rewards_of(replay: Replay) -> list[list[float]]:
    return [[episode.reward for episode in block.episodes] for block in replay.blocks]


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
    replay = Replay(settings(), [StudyDirection.MAXIMIZE], space)
    rate = FloatDistribution(0, 1)
    both = {"rate": rate, "b": IntDistribution(0, 3), "a": CategoricalDistribution([1, 2])}
    member = create_trial(params={"rate": 0.5, "b": 3, "a": 2}, distributions=both, value=1.0)
    replay.update([trial_of(0), trial_of(1), trial_of(2), member])
    (episode,) = replay.blocks[0].episodes  # The decisions of the space come first, in its order.
    assert [(d.name, position) for d, position in episode.walked] == [
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


def test_stalled_trials_are_those_that_enough_later_ones_have_overtaken() -> None:
    running, waiting = TrialState.RUNNING, TrialState.WAITING
    first = [trial_of(0, waiting), trial_of(1), trial_of(2, running), trial_of(3)]
    replay = Replay(settings(), [StudyDirection.MAXIMIZE], None)
    replay.update(first)
    assert replay.stalled([*first, *(trial_of(4) for _ in range(4))]) == [first[0]]
    assert replay.stalled([*first, *(trial_of(4) for _ in range(5))]) == [first[2], first[0]]
    queue = [trial_of(0, waiting) for _ in range(100)]  # Enqueued trials do not overtake.
    assert replay.stalled([*first, *queue]) == []
    first[0].system_attrs[SKIPPED] = True
    assert replay.stalled([*first, *(trial_of(4) for _ in range(4))]) == []


WIDTHS = (1, 2, 3, 4, 5)
WIDE = CustomSpace({f"width_{i}": CategoricalDistribution(WIDTHS) for i in range(12)})


def wide_trial(
    state: TrialState, violation: float, value: float | None = None, width: int = 1
) -> FrozenTrial:
    return create_trial(
        state=state,
        value=value,
        params=dict.fromkeys(WIDE.distributions, width),
        distributions=dict(WIDE.distributions),
        system_attrs={"constraints": [violation, -1.0]},
    )


def test_rewards_of_infeasible_trials_fall_with_their_violation() -> None:
    replay = Replay(ControllerSettings(block_size=5), [StudyDirection.MAXIMIZE], WIDE)
    replay.update(
        [
            wide_trial(TrialState.PRUNED, 3.0),
            wide_trial(TrialState.COMPLETE, 1.0, 8.0),
            wide_trial(TrialState.COMPLETE, 0.0, 1.0),
            wide_trial(TrialState.PRUNED, 0.0),
            wide_trial(TrialState.PRUNED, 2.0),
        ]
    )
    rewards = [episode.reward for episode in replay.blocks[0].episodes]
    np.testing.assert_allclose(rewards, [-2, -1, 0, -1, -1.5])
    np.testing.assert_allclose(penalties([5, 1, 2, 3], 2), [1 / 3, 2 / 3])
    assert penalties([7.0], 1) == [0]
    assert len(penalties([], 0)) == 0
