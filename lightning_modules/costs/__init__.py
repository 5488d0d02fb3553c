"""What a network costs: counted, timed, measured, or added up from a table."""

from lightning_modules.costs.energy import measure_energy_mj
from lightning_modules.costs.latency_evaluator import PredictedLatency
from lightning_modules.costs.latency_evaluator import read_latency_table
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
from lightning_modules.costs.meter import cost_names
from lightning_modules.costs.meter import CostMeter


__all__ = [
    "ArchitectureCosts",
    "CostMeter",
    "Latency",
    "LatencyTable",
    "PredictedLatency",
    "cost_names",
    "count_macs",
    "count_params",
    "device_memory_mb",
    "estimate_training_memory_mb",
    "measure_energy_mj",
    "measure_latency_ms",
    "measure_peak_allocation_mb",
    "measure_peak_memory_mb",
    "measure_throughput",
    "profile_latency",
    "read_latency_table",
    "time_forward",
]
