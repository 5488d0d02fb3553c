"""Published tables of trained architectures as evaluators: a search without any training."""

from optuna_nas.benchmarks._hypervolume import HypervolumeIndicator
from optuna_nas.benchmarks._names import BENCHMARKS
from optuna_nas.benchmarks._names import from_name
from optuna_nas.benchmarks._names import is_benchmark_name
from optuna_nas.benchmarks._nas_bench_201 import NASBench201


__all__ = [
    "BENCHMARKS",
    "HypervolumeIndicator",
    "NASBench201",
    "from_name",
    "is_benchmark_name",
]
