"""The options of the supernet stage, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_modules.cli._errors import CommandError
from lightning_modules.proxies import PROXIES
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.supernet.relaxations import RELAXATIONS


NONE = "none"
"""The value of ``--supernet`` for a search without the stage."""


@dataclass(frozen=True)
class StageOptions:
    """The options of the stage; see ``lightning_modules.cli._options``."""

    supernet: str
    supernet_epochs: int | None
    supernet_paths: int
    supernet_proxy: str
    inherit_weights: bool = False
    evaluate: str = "training"
    supernet_folder: str | None = None

    @property
    def needs_weights(self) -> bool:
        """Whether trials use the supernet itself, not only the prior."""
        return self.inherit_weights or self.evaluate == "supernet"

    @property
    def relaxation(self) -> type[Relaxation]:
        """The relaxation; not for :data:`NONE`."""
        return RELAXATIONS[self.supernet]

    @property
    def epochs(self) -> int:
        """Epochs of the stage."""
        return self.supernet_epochs or self.relaxation.epochs

    @property
    def proxy(self) -> str | None:
        """The proxy that is counted beside the loss of the paths, if any are scored."""
        return None if self.supernet_proxy == NONE else self.supernet_proxy

    @property
    def folder(self) -> Path | None:
        """The folder of the stage, if one is given."""
        return None if self.supernet_folder is None else Path(self.supernet_folder)

    @property
    def settings(self) -> dict[str, Any]:
        """What a continued search must share, :obj:`None` for what has no meaning."""
        used = self.supernet != NONE
        return {
            "supernet": self.supernet if used else None,
            "supernet_epochs": self.epochs if used else None,
            "supernet_paths": self.supernet_paths if used else None,
            "supernet_proxy": self.proxy if used and not self.relaxation.learns else None,
            "supernet_folder": None if self.folder is None else str(self.folder.resolve()),
            "inherit_weights": self.inherit_weights or None,
            "evaluate": self.evaluate if self.evaluate != "training" else None,
        }

    def check(self, pruner: str = "none") -> None:
        """Raise a CommandError if the options are wrong or do not go together."""
        if self.supernet_epochs is not None and self.supernet_epochs < 1:
            raise CommandError(
                f"Expected option --supernet-epochs to be at least 1 but got "
                f"{self.supernet_epochs}."
            )
        if self.supernet_paths < 2:
            raise CommandError(
                f"Expected option --supernet-paths to be at least 2 but got {self.supernet_paths}."
            )
        if self.supernet_proxy not in (NONE, *PROXIES):
            raise CommandError(
                f"Expected option --supernet-proxy to be one of {', '.join((NONE, *PROXIES))} but "
                f"got {self.supernet_proxy!r}."
            )
        if self.supernet_folder == "":
            raise CommandError("Expected option --supernet-folder to be a folder but got ''.")
        weights = "--inherit-weights" if self.inherit_weights else "--evaluate supernet"
        if self.supernet == NONE:
            for option, given in [
                (weights, self.needs_weights),
                ("--supernet-epochs", self.supernet_epochs is not None),
                ("--supernet-folder", self.supernet_folder is not None),
            ]:
                if given:
                    raise CommandError(
                        f"Expected option {option} only with --supernet but got none."
                    )
        if self.needs_weights and self.relaxation.supernet_arguments.get("partial_channels"):
            raise CommandError(
                f"Expected option {weights} with a supernet of whole networks but got --supernet "
                f"{self.supernet}, whose operations see a part of the channels."
            )
        if self.evaluate == "supernet" and (self.inherit_weights or pruner != "none"):
            other = "--inherit-weights" if self.inherit_weights else f"--pruner {pruner}"
            raise CommandError(
                f"Expected option {other} only with trials that are trained but got --evaluate "
                "supernet."
            )
