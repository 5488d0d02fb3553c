"""A zero-cost proxy of your own: one file.

Use it with ``--screen examples/extensions/proxy.py:depth``. A package makes it ``--screen depth``
for everybody by an entry point of the group ``optuna_nas.proxies``.
"""

from torch import nn


def depth(network, inputs, targets, loss):
    """Return the number of convolutions of an untrained network; higher is taken for better.

    Args:
        network: The network; leave it as it is.
        inputs: A batch of training inputs.
        targets: Their targets.
        loss: The task's loss, a function of output and targets.
    """
    return float(sum(isinstance(module, nn.Conv2d) for module in network.modules()))
