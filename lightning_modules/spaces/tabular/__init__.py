"""Networks for tables; see :class:`~optuna_nas.spaces.TabularSpace`."""
