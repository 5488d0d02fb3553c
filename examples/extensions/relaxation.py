"""A way of your own to train a supernet: one file.

Use it with ``--supernet examples/extensions/relaxation.py:Twins``. A package makes it
``--supernet twins`` for everybody by an entry point of the group ``optuna_nas.relaxations``.
"""

from lightning_modules.supernet.relaxations import PathRelaxation


class Twins(PathRelaxation):
    """Trains a random path and one of its neighbours in each step."""

    epochs = 2

    def architectures(self, supernet, step):
        """Return the architectures whose paths are trained in a step."""
        rng = self.rng(step, 0)
        one = supernet.space.sample(rng)
        neighbors = supernet.space.neighbors(one)
        return [one, neighbors[int(rng.integers(len(neighbors)))]]
