"""What the samplers are made of: the base class, the history of a study, and the operators.

A new sampler is a subclass of :class:`ArchitectureSampler` whose ``propose`` is a function of the
:class:`History`, the :class:`TrialDomain` and a random generator.
"""

from optuna_nas.samplers.core._base import ArchitectureSampler
from optuna_nas.samplers.core._climb import Climb
from optuna_nas.samplers.core._domain import TrialDomain
from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._history import Individual
from optuna_nas.samplers.core._history import Params
from optuna_nas.samplers.core._neighborhood import Neighbor
from optuna_nas.samplers.core._neighborhood import Neighborhoods
from optuna_nas.samplers.core._non_dominated import NonDominated
from optuna_nas.samplers.core._operators import Crossover
from optuna_nas.samplers.core._operators import one_point_crossover
from optuna_nas.samplers.core._operators import RankSelection
from optuna_nas.samplers.core._operators import RouletteSelection
from optuna_nas.samplers.core._operators import Selection
from optuna_nas.samplers.core._operators import TournamentSelection
from optuna_nas.samplers.core._operators import two_point_crossover
from optuna_nas.samplers.core._operators import uniform_crossover
from optuna_nas.samplers.core._population import Generations
from optuna_nas.samplers.core._population import Population


__all__ = [
    "ArchitectureSampler",
    "Climb",
    "Crossover",
    "Generations",
    "History",
    "Individual",
    "Neighbor",
    "Neighborhoods",
    "NonDominated",
    "TrialDomain",
    "Params",
    "Population",
    "RankSelection",
    "RouletteSelection",
    "Selection",
    "TournamentSelection",
    "one_point_crossover",
    "two_point_crossover",
    "uniform_crossover",
]
