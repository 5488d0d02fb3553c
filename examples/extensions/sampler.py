"""A sampler of your own: one file. Use it with ``--sampler examples/extensions/sampler.py:Tweak``.

A package makes it ``--sampler tweak`` for everybody by an entry point of the group
``optuna_nas.samplers``.
"""

from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers.core import Population


class Tweak(ArchitectureSampler):
    """Changes one decision of the best trial so far."""

    def propose(self, history, domain, rng):
        """Return the parameters of the next trial.

        Args:
            history: The finished trials.
            domain: The parameters to propose.
            rng: Random generator of this trial.
        """
        if not history.individuals:
            return domain.sample(rng)
        best = Population(history.individuals)[0]
        return domain.mutate_one(domain.complete(best.params, rng), rng)
