"""The table of metrics: what it knows, what it derives for a split, and what it reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optuna_nas.metrics import Metric
from optuna_nas.metrics import METRICS
from optuna_nas.metrics import MetricTable


F1 = Metric("f1", "maximize", "F1", "{:.1%}")
MEMORY = Metric("flash_kb", "minimize", "flash", "{:,.0f}", "kB", source="counted")


@pytest.fixture
def table() -> MetricTable:
    return MetricTable([F1, MEMORY])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("f1", "up"), "`direction` to be one of minimize, maximize but got 'up'"),
        (
            ("f1", "minimize", "", "{}", "", "guessed"),
            "`source` to be one of trained, counted, measured, proxy but got 'guessed'",
        ),
    ],
)
def test_wrong_arguments(arguments: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Metric(*arguments)


def test_how_a_metric_is_shown() -> None:
    assert (F1.heading, F1.text(0.1234), F1.maximize) == ("F1", "12.3%", True)
    assert (MEMORY.heading, MEMORY.text(12345.6)) == ("flash (kB)", "12,346")
    plain = Metric("x", "minimize")
    assert (plain.heading, plain.text(1 / 3), plain.maximize) == ("x", "0.3333", False)


def test_a_metric_survives_json() -> None:
    assert Metric(**json.loads(json.dumps(MEMORY.to_dict()))) == MEMORY


def test_a_split_in_front_is_the_metric_of_that_split(table: MetricTable) -> None:
    assert table.find("f1") is F1
    assert table.find("val_f1") == Metric("val_f1", "maximize", "validation F1", "{:.1%}")
    headings = [table.get(f"{split}_f1").heading for split in ("train", "val", "test")]
    assert headings == ["training F1", "validation F1", "test F1"]


@pytest.mark.parametrize("name", ["nothing", "eval_f1", "val_", "val_nothing", "f1_val", ""])
def test_what_is_unknown(table: MetricTable, name: str) -> None:
    assert table.find(name) is None
    assert table.get(name) == Metric(name, "minimize")


def test_what_is_not_trained_has_no_split(table: MetricTable) -> None:
    assert table.find("flash_kb") is MEMORY
    assert table.find("val_flash_kb") is None


def test_a_metric_of_ones_own_comes_before_what_its_name_says(table: MetricTable) -> None:
    own = table.add(Metric("val_f1", "minimize", "one minus F1"))
    assert table.find("val_f1") is own
    assert table.get("test_f1").maximize


def test_adding_replaces_and_keeps_the_order(table: MetricTable) -> None:
    new = table.add(Metric("f1", "maximize", "macro F1"))
    assert table.of("trained", "counted") == [new, MEMORY]
    assert table.of("counted") == [MEMORY]
    assert table.of("proxy") == []


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("f1", "maximize"),
        ("val_f1", "maximize"),
        ("val_f1:minimize", "minimize"),
        ("flash_kb", "minimize"),
        ("my_score:maximize", "maximize"),
    ],
)
def test_objectives_are_read(table: MetricTable, text: str, direction: str) -> None:
    found = table.parse(text)
    assert (found.name, found.direction) == (text.partition(":")[0], direction)


def test_another_direction_changes_nothing_else(table: MetricTable) -> None:
    found = table.parse("flash_kb:maximize")
    assert found == Metric("flash_kb", "maximize", "flash", "{:,.0f}", "kB", source="counted")
    assert table.find("flash_kb") is MEMORY


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "`objectives` to be names such as val_loss or my_score:maximize but got ''"),
        (":maximize", "to be names such as .* but got ':maximize'"),
        ("f1:", "to be names such as .* but got 'f1:'"),
        ("f1:up", "to be names such as .* but got 'f1:up'"),
        ("f1:maximize:now", "to be names such as .* but got 'f1:maximize:now'"),
        ("speed", "to say the direction of speed, .* speed:minimize or speed:maximize but got"),
    ],
)
def test_texts_that_are_no_objective(table: MetricTable, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        table.parse(text)
    with pytest.raises(ValueError, match="Expected argument `metric` to"):
        table.parse(text, "metric")


def test_what_a_study_keeps_does_not_replace_what_is_known(table: MetricTable) -> None:
    other = Metric("iou", "maximize", "IoU")
    table.update([other.to_dict(), Metric("f1", "minimize").to_dict()])
    table.update([Metric("val_f1", "minimize").to_dict()])
    assert table.find("iou") == other
    assert table.find("f1") is F1
    assert table.get("val_f1").maximize


def test_the_table_of_this_process() -> None:
    assert METRICS.get("val_loss").direction == "minimize"
    assert METRICS.get("throughput").maximize
    assert METRICS.get("latency_ms").heading == "latency (ms)"
    assert METRICS.get("params").text(1234567) == "1,234,567"
    assert {"params", "macs"} <= {metric.name for metric in METRICS.of("counted")}
    assert all(metric.text(0.5) for metric in METRICS.of("trained", "counted", "measured"))
