"""The argument parser, made from the signatures and docstrings of the options."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from inspect import signature
import re
import sys
from typing import Any
from typing import get_args
from typing import get_origin
from typing import get_type_hints
from typing import Literal
from typing import NoReturn

from docstring_parser import parse_from_object as docstring
from jsonargparse import ArgumentParser

from lightning_modules.cli import _options
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._errors import flag_of


_WRONG_TYPE = re.compile(r'Parser key "(?P<name>\w+)": .*(?:Got|Given) value: (?P<value>.*)')
_NESTED = re.compile(r"NestedArg\(key='(?P<key>\w+)', val=(.*)\)")
OBJECTIVES = (
    "val_accuracy",
    "params",
    "macs",
    "latency_ms",
    "throughput",
    "peak_memory_mb",
    "energy_mj",
    "training_memory_mb",
)
_OPTIONS = {
    "search": (_options.search_options, _options.training_options),
    "supernet": (_options.supernet_options, _options.training_options),
    "train": (_options.train_options, _options.training_options),
    "show": (_options.show_options,),
    "profile": (_options.profile_options,),
    "predict": (_options.predict_options,),
}


class _Parser(ArgumentParser):
    """A parser that says what is wrong in one line and exits with status 2.

    Args:
        options: The functions whose signatures make it.
    """

    def __init__(self, *options: Any, **arguments: Any) -> None:
        self._options = options
        super().__init__(**arguments)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        sentence = _sentence(str(message), self._options)
        print(f"optuna-nas: error: {sentence}", file=sys.stderr)
        sys.exit(2)


def _sentence(message: str, options: Sequence[Any]) -> str:
    """Return a message of jsonargparse in one line and, if a type is wrong, in a user's words."""
    line = " ".join(message.split())
    wrong = _WRONG_TYPE.fullmatch(line)
    if wrong is None:
        return re.sub(r"\b(?:train|predict)\.(?=\w)", "", line)
    name, value, kind = wrong["name"], wrong["value"], _kinds(options).get(wrong["name"], "valid")
    nested = _NESTED.fullmatch(value)
    if nested is not None:
        option = f"{flag_of(name)}.{nested['key']}"
        return f"Expected option {option} to be an integer but got {nested[2]}."
    return f"Expected option {flag_of(name)} to be {kind} but got {value!r}."


def _kinds(options: Sequence[Any]) -> dict[str, str]:
    """Return the kind of value that each option takes, in words."""
    return {name: _kind(hint) for name, hint in _hints(options).items()}


def _hints(options: Sequence[Any]) -> dict[str, Any]:
    """Return the type hints of the options."""
    hints: dict[str, Any] = {}
    for function in options:
        hints |= get_type_hints(function)
    return hints


def _kind(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    accepted = get_args(hint) or (hint,)
    if bool in accepted:
        return "true or false"
    if any(get_origin(type_) is dict for type_ in accepted):
        return "integers by name"
    if hint is str:
        return "text"
    return "a number" if float in accepted else "an integer"


def check_nulls(command: str, options: Mapping[str, Any]) -> None:
    """Check that a YAML file sets nothing to null that needs a value, which jsonargparse allows.

    Raises:
        CommandError: If it does.
    """
    hints = _hints(_OPTIONS[command])
    for name, value in options.items():
        hint = hints.get(name)
        if value is None and type(None) not in get_args(hint):
            expected = "a list" if hint is None else _kind(hint)
            raise CommandError(f"Expected option {flag_of(name)} to be {expected} but got null.")


def make_parser() -> ArgumentParser:
    """Return the parser of all commands; each has ``--config`` for a YAML file."""
    parser = _Parser(
        prog="optuna-nas",
        description="Neural architecture search in an Optuna study, trained with Lightning and "
        "tracked by MLflow.",
    )
    commands = parser.add_subcommands(required=True, dest="subcommand")
    search = _command(*_OPTIONS["search"])
    search.add_argument(
        "--objectives",
        nargs="+",
        type=str,
        default=["val_accuracy"],
        help=f"What to optimise, in order of importance, of {', '.join(OBJECTIVES)}.",
    )
    search.add_argument(
        "--constraint",
        nargs="+",
        type=str,
        default=[],
        help="Bounds such as 'params<=100000' or 'latency_ms<=2', in quotes for the shell, on the "
        "same metrics. What breaks one that needs no training is not trained.",
    )
    search.add_argument(
        "--screen",
        nargs="+",
        type=str,
        default=[],
        help="Zero-cost proxies, such as synflow naswot: of each pool of proposals only the best "
        "by their mean rank is trained.",
    )
    commands.add_subcommand("search", search, help=_summary(_options.search_options))

    supernet = _command(*_OPTIONS["supernet"])
    commands.add_subcommand("supernet", supernet, help=_summary(_options.supernet_options))

    train = _Parser(*_OPTIONS["train"], description=_summary(_options.train_options))
    train.add_argument("architecture", type=str, help="String encoding, e.g. C-C-S-O.")
    _add(train, *_OPTIONS["train"])
    commands.add_subcommand("train", train, help=_summary(_options.train_options))

    show = _command(*_OPTIONS["show"])
    commands.add_subcommand("show", show, help=_summary(_options.show_options))

    profile = _command(*_OPTIONS["profile"])
    commands.add_subcommand("profile", profile, help=_summary(_options.profile_options))

    predict = _Parser(*_OPTIONS["predict"], description=_summary(_options.predict_options))
    predict.add_argument("checkpoint", type=str, help="File that search or train saved.")
    predict.add_argument("files", nargs="+", type=str, help="Images, or .npy and .npz arrays.")
    _add(predict, *_OPTIONS["predict"])
    commands.add_subcommand("predict", predict, help=_summary(_options.predict_options))
    return parser


def _command(*options: Any) -> _Parser:
    parser = _Parser(*options, description=_summary(options[0]))
    _add(parser, *options)
    return parser


def _add(parser: _Parser, *options: Any) -> None:
    parser.add_argument("--config", action="config", help="YAML file with options.")
    for function in options:
        types = get_type_hints(function)
        help_ = {param.arg_name: param.description for param in docstring(function).params}
        for name, parameter in signature(function).parameters.items():
            flag = f"--{name.replace('_', '-')}"
            if types[name] is bool:
                parser.add_argument(flag, action="store_true", help=help_[name])
            else:
                bare = _options.BARE.get(name)
                optional: dict[str, Any] = {} if bare is None else {"nargs": "?", "const": bare}
                parser.add_argument(
                    flag,
                    type=types[name],
                    default=parameter.default,
                    help=help_[name],
                    **optional,
                )


def _summary(function: Any) -> str:
    return str(docstring(function).short_description)
