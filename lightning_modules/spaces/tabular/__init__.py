"""Networks for tables; see :class:`~optuna_nas.spaces.TabularSpace`."""

from lightning_modules.spaces._kit import Kit
from lightning_modules.spaces.tabular.network import build_table_backbone
from lightning_modules.spaces.tabular.network import optimiser_settings
from lightning_modules.spaces.tabular.network import TableBackbone
from optuna_nas.spaces.tabular import TabularSpace


__all__ = ["KIT", "TableBackbone", "build_table_backbone"]

KIT = Kit(
    TabularSpace,
    build_table_backbone,
    facts=("input_shape", "categories", "bins"),
    training=optimiser_settings,
    marks="family=",
)
