"""The argument parser, made from the dataclasses of options and from what the data can be told."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import Field
from dataclasses import fields
from dataclasses import MISSING
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

from lightning_modules import registries
from lightning_modules.cli._commands import COMMANDS
from lightning_modules.cli._commands import module_of
from lightning_modules.cli._data_options import data_options
from lightning_modules.cli._data_options import DataOption
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._errors import flag_of
from lightning_modules.cli._errors import OPTIONS
from optuna_nas.registry import Registry
from optuna_nas.samplers import SAMPLERS


_WRONG_TYPE = re.compile(r'Parser key "(?P<name>\w+)": .*(?:Got|Given) value: (?P<value>.*)')
_NESTED = re.compile(r"NestedArg\(key='(?P<key>\w+)', val=(.*)\)")
_NAMES: Mapping[str, Registry[Any]] = {
    "task": registries.TASKS,
    "space": registries.SPACES,
    "sampler": SAMPLERS,
    "supernet": registries.RELAXATIONS,
    "screen": registries.PROXIES,
}
"""Options whose values have names; the help lists them."""


class _Parser(ArgumentParser):
    """A parser that says what is wrong in one line and exits with status 2.

    Args:
        kinds: The kind of value that each option takes, in words.
    """

    def __init__(self, kinds: Mapping[str, str] | None = None, **arguments: Any) -> None:
        self._kinds = dict(kinds or {})
        super().__init__(**arguments)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        print(f"optuna-nas: error: {_sentence(str(message), self._kinds)}", file=sys.stderr)
        sys.exit(2)


def _sentence(message: str, kinds: Mapping[str, str]) -> str:
    """Return a message of jsonargparse in one line and, if a type is wrong, in a user's words."""
    line = " ".join(message.split())
    wrong = _WRONG_TYPE.fullmatch(line)
    if wrong is None:
        return re.sub(rf"\b(?:{'|'.join(COMMANDS)})\.(?=\w)", "", line)
    name, value, kind = wrong["name"], wrong["value"], kinds.get(wrong["name"], "valid")
    nested = _NESTED.fullmatch(value)
    if nested is not None:
        option = f"{flag_of(name)}.{nested['key']}"
        return f"Expected option {option} to be an integer but got {nested[2]}."
    return f"Expected option {flag_of(name)} to be {kind} but got {value!r}."


def _kind(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    accepted = get_args(hint) or (hint,)
    if bool in accepted:
        return "true or false"
    if any(get_origin(type_) is dict for type_ in accepted):
        return "integers by name"
    if any(get_origin(type_) is list for type_ in (hint, *accepted)):
        return "a list"
    if str in accepted or Any in accepted or hint is Any:
        return "text"
    return "a number" if float in accepted else "an integer"


def check_nulls(command: str, options: Mapping[str, Any]) -> None:
    """Check that a YAML file sets nothing to null that needs a value, which jsonargparse allows.

    Raises:
        CommandError: If it does.
    """
    kind = module_of(command).Options
    hints = get_type_hints(kind)
    for field in fields(kind):
        hint = hints[field.name]
        needs_value = type(None) not in get_args(hint) and field.default is not None
        if options.get(field.name, field.default) is None and needs_value:
            raise CommandError(
                f"Expected option {flag_of(field.name)} to be {_kind(hint)} but got null."
            )


def make_parser(arguments: Sequence[str] = ()) -> ArgumentParser:
    """Return the parser of all commands; each has ``--config`` for a YAML file.

    Args:
        arguments: The words of the command line. Where they have options that no command has, or
            ask for help on ``--data``, the options of the data are added, which imports it.
    """
    parser = _Parser(
        prog="optuna-nas",
        description="Neural architecture search in an Optuna study, trained with Lightning and "
        "tracked by MLflow.",
    )
    commands = parser.add_subcommands(required=True, dest="subcommand")
    for command in COMMANDS:
        kind = module_of(command).Options
        hints = get_type_hints(kind)
        help_ = _help_texts(kind)
        own = list(fields(kind))
        known = {flag_of(field.name) for field in own} | {"--config", "--help"}
        more = data_options(command, arguments, known) if "data" in hints else []
        OPTIONS.update(field.name for field in own)
        OPTIONS.update(option.name for option in more)
        kinds = {name: _kind(hint) for name, hint in hints.items()}
        kinds |= {option.name: _kind(option.hint) for option in more}
        summary = str(docstring(kind).short_description)
        sub = _Parser(kinds, description=summary)
        _add(sub, own, hints, help_)
        _add_data_options(sub, more)
        commands.add_subcommand(command, sub, help=summary)
    return parser


def _help_texts(kind: type) -> dict[str, str]:
    """Return the descriptions of the fields of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        for parameter in docstring(base).params:
            found[parameter.arg_name] = " ".join(str(parameter.description).split())
    for name, registry in _NAMES.items():
        if name in found:
            found[name] = f"{found[name]} One of {', '.join(registry)}."
    return found


def _add(
    parser: _Parser,
    options: Sequence[Field[Any]],
    hints: Mapping[str, Any],
    help_: Mapping[str, str],
) -> None:
    for field in options:
        if field.metadata.get("positional"):
            many: dict[str, Any] = {}
            if get_origin(hints[field.name]) is list:
                many = {"nargs": "*"}
            parser.add_argument(field.name, type=str, help=help_[field.name], **many)
    parser.add_argument("--config", action="config", help="YAML file with options.")
    for field in options:
        if not field.metadata.get("positional"):
            _add_option(parser, field, hints[field.name], help_[field.name])


def _add_option(parser: _Parser, field: Field[Any], hint: Any, text: str) -> None:
    flag = flag_of(field.name)
    if hint is bool:
        parser.add_argument(flag, action="store_true", help=text)
        return
    more: dict[str, Any] = {}
    if "bare" in field.metadata:
        more = {"nargs": "?", "const": field.metadata["bare"]}
    if hint is Any:
        hint = str
    if get_origin(hint) is list or any(get_origin(part) is list for part in get_args(hint)):
        hint, more = str, {"nargs": "+"}
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    parser.add_argument(flag, type=hint, default=default, help=text, **more)


def _add_data_options(parser: _Parser, options: Sequence[DataOption]) -> None:
    group = parser.add_argument_group("options of the data")
    for option in options:
        flag = flag_of(option.name)
        if option.hint is bool:
            group.add_argument(flag, action="store_true", help=option.help)
        else:
            group.add_argument(flag, type=option.hint, default=None, help=option.help)
