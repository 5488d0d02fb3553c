"""Networks of architectures, their training with PyTorch Lightning, and what they cost."""

from lightning_modules.costs._terms_by_space import LATENCY_TERMS
from lightning_modules.costs.energy import measure_energy_mj
from lightning_modules.costs.latency_profile import profile_latency
from lightning_modules.costs.latency_table import LatencyTable
from lightning_modules.costs.measure import count_macs
from lightning_modules.costs.measure import count_params
from lightning_modules.costs.measure import Latency
from lightning_modules.costs.measure import measure_latency_ms
from lightning_modules.costs.measure import measure_throughput
from lightning_modules.costs.measure import time_forward
from lightning_modules.costs.memory import device_memory_mb
from lightning_modules.costs.memory import estimate_training_memory_mb
from lightning_modules.costs.memory import measure_peak_allocation_mb
from lightning_modules.costs.memory import measure_peak_memory_mb
from lightning_modules.costs.meter import ArchitectureCosts
from lightning_modules.costs.meter import COST_METRICS
from lightning_modules.costs.meter import CostMeter
from lightning_modules.costs.meter import COUNTED_METRICS
from lightning_modules.proxies import compute_proxies
from lightning_modules.proxies import PROXIES
from lightning_modules.proxies import Proxy
from lightning_modules.proxies import ProxyEvaluator
from lightning_modules.proxies import rank_aggregate
from lightning_modules.proxies import vote
from lightning_modules.proxies import vote_aggregate
from lightning_modules.spaces.builders import build_cell_network
from lightning_modules.spaces.builders import build_chain_network
from lightning_modules.spaces.builders import build_network
from lightning_modules.spaces.builders import BUILDERS
from lightning_modules.spaces.cell.cells import Cell
from lightning_modules.spaces.cell.cells import CellNetwork
from lightning_modules.spaces.cell.operations import make_operation
from lightning_modules.spaces.cell.operations import OPERATIONS
from lightning_modules.spaces.darts.network import build_darts_network
from lightning_modules.spaces.darts.network import DartsCell
from lightning_modules.spaces.darts.network import DartsNetwork
from lightning_modules.spaces.darts.operations import CELL_OPERATIONS
from lightning_modules.spaces.mobile.network import build_mobile_network
from lightning_modules.spaces.mobile.network import InvertedBottleneck
from lightning_modules.spaces.mobile.network import MobileNetwork
from lightning_modules.tasks.classification import ImageClassifier
from lightning_modules.training._follower import TRAINED_METRICS
from lightning_modules.training.architecture_classifier import ArchitectureClassifier
from lightning_modules.training.architecture_classifier import read_architecture
from lightning_modules.training.checkpoint import CheckpointError
from lightning_modules.training.checkpoint import describe_build
from lightning_modules.training.checkpoint import FinishedModel
from lightning_modules.training.checkpoint import load_checkpoint
from lightning_modules.training.evaluator import TrainingEvaluator
from lightning_modules.training.final import train_final


__all__ = [
    "ArchitectureClassifier",
    "ArchitectureCosts",
    "BUILDERS",
    "CELL_OPERATIONS",
    "COST_METRICS",
    "COUNTED_METRICS",
    "Cell",
    "CellNetwork",
    "CheckpointError",
    "CostMeter",
    "DartsCell",
    "DartsNetwork",
    "FinishedModel",
    "ImageClassifier",
    "InvertedBottleneck",
    "LATENCY_TERMS",
    "Latency",
    "LatencyTable",
    "MobileNetwork",
    "OPERATIONS",
    "PROXIES",
    "Proxy",
    "ProxyEvaluator",
    "TRAINED_METRICS",
    "TrainingEvaluator",
    "build_cell_network",
    "build_chain_network",
    "build_darts_network",
    "build_mobile_network",
    "build_network",
    "compute_proxies",
    "count_macs",
    "count_params",
    "describe_build",
    "device_memory_mb",
    "estimate_training_memory_mb",
    "load_checkpoint",
    "make_operation",
    "measure_energy_mj",
    "measure_latency_ms",
    "measure_peak_allocation_mb",
    "measure_peak_memory_mb",
    "measure_throughput",
    "rank_aggregate",
    "profile_latency",
    "read_architecture",
    "time_forward",
    "train_final",
    "vote",
    "vote_aggregate",
]
