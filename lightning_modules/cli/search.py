"""``optuna-nas search``: a study of trials, then the best network, trained, tested and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields
from typing import Any

from lightning_modules.search.settings import SearchSettings
from optuna_nas.benchmarks import is_benchmark_name


@dataclass(kw_only=True)
class Options(SearchSettings):
    """Search architectures, train the best one, test it once and save it.

    Args:
        threads: CPU threads of this process. Several searches on one study use more cores better
            than one search with several threads.
    """

    threads: int = 1


def run(options: Options, data_settings: Mapping[str, Any]) -> int:
    """Run the search and print what it finds; 1 if no trial is complete and feasible."""
    if is_benchmark_name(options.data):
        from lightning_modules.cli._benchmark import search_benchmark

        return search_benchmark(options)
    from lightning_modules.cli._commands import use_threads
    from lightning_modules.cli._reporter import Printer
    from lightning_modules.search import Search

    use_threads(options.threads)
    settings = {field.name: getattr(options, field.name) for field in fields(SearchSettings)}
    search = Search(**settings, data_settings=data_settings, reporter=Printer())
    search.check()
    try:
        result = search.run()
    except KeyboardInterrupt:
        return 130
    return 0 if result.front else 1
