"""Networks of architectures, their training with PyTorch Lightning, and what they cost."""

from typing import TYPE_CHECKING

from lightning_modules._lazy import lazy_imports


if TYPE_CHECKING:
    from lightning_modules.backbone import Backbone as Backbone
    from lightning_modules.backbone import Build as Build
    from lightning_modules.backbone import FeatureMap as FeatureMap
    from lightning_modules.backbone import FeatureVector as FeatureVector
    from lightning_modules.backbone import Network as Network
    from lightning_modules.costs import ArchitectureCosts as ArchitectureCosts
    from lightning_modules.costs import cost_names as cost_names
    from lightning_modules.costs import CostMeter as CostMeter
    from lightning_modules.costs import count_macs as count_macs
    from lightning_modules.costs import count_params as count_params
    from lightning_modules.costs import device_memory_mb as device_memory_mb
    from lightning_modules.costs import estimate_training_memory_mb as estimate_training_memory_mb
    from lightning_modules.costs import Latency as Latency
    from lightning_modules.costs import LatencyTable as LatencyTable
    from lightning_modules.costs import measure_energy_mj as measure_energy_mj
    from lightning_modules.costs import measure_latency_ms as measure_latency_ms
    from lightning_modules.costs import measure_peak_allocation_mb as measure_peak_allocation_mb
    from lightning_modules.costs import measure_peak_memory_mb as measure_peak_memory_mb
    from lightning_modules.costs import measure_throughput as measure_throughput
    from lightning_modules.costs import PredictedLatency as PredictedLatency
    from lightning_modules.costs import profile_latency as profile_latency
    from lightning_modules.costs import time_forward as time_forward
    from lightning_modules.proxies import compute_proxies as compute_proxies
    from lightning_modules.proxies import Proxy as Proxy
    from lightning_modules.proxies import ProxyEvaluator as ProxyEvaluator
    from lightning_modules.proxies import rank_aggregate as rank_aggregate
    from lightning_modules.proxies import vote as vote
    from lightning_modules.proxies import vote_aggregate as vote_aggregate
    from lightning_modules.registries import PROXIES as PROXIES
    from lightning_modules.registries import RELAXATIONS as RELAXATIONS
    from lightning_modules.registries import SPACES as SPACES
    from lightning_modules.registries import TASKS as TASKS
    from lightning_modules.spaces import as_kit as as_kit
    from lightning_modules.spaces import Kit as Kit
    from lightning_modules.spaces import read_architecture as read_architecture
    from lightning_modules.spaces.cell import build_cell_backbone as build_cell_backbone
    from lightning_modules.spaces.cell import Cell as Cell
    from lightning_modules.spaces.cell import CellBackbone as CellBackbone
    from lightning_modules.spaces.cell import make_operation as make_operation
    from lightning_modules.spaces.cell import OPERATIONS as OPERATIONS
    from lightning_modules.spaces.chain import build_chain_backbone as build_chain_backbone
    from lightning_modules.spaces.chain import ChainBackbone as ChainBackbone
    from lightning_modules.spaces.darts import build_darts_backbone as build_darts_backbone
    from lightning_modules.spaces.darts import CELL_OPERATIONS as CELL_OPERATIONS
    from lightning_modules.spaces.darts import DartsBackbone as DartsBackbone
    from lightning_modules.spaces.darts import DartsCell as DartsCell
    from lightning_modules.spaces.mobile import build_mobile_backbone as build_mobile_backbone
    from lightning_modules.spaces.mobile import InvertedBottleneck as InvertedBottleneck
    from lightning_modules.spaces.mobile import MobileBackbone as MobileBackbone
    from lightning_modules.tasks import Classification as Classification
    from lightning_modules.tasks import Regression as Regression
    from lightning_modules.tasks import Task as Task
    from lightning_modules.training import ArchitectureModule as ArchitectureModule
    from lightning_modules.training import CheckpointError as CheckpointError
    from lightning_modules.training import describe_build as describe_build
    from lightning_modules.training import FinishedModel as FinishedModel
    from lightning_modules.training import load_checkpoint as load_checkpoint
    from lightning_modules.training import TaskModule as TaskModule
    from lightning_modules.training import train_final as train_final
    from lightning_modules.training import TrainingEvaluator as TrainingEvaluator
else:
    __getattr__, __dir__, __all__ = lazy_imports(__name__, __file__)
