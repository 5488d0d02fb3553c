"""Search spaces with their networks. One folder, or file, is the kit of one space."""

from lightning_modules.registries import SPACES
from lightning_modules.spaces._kit import as_kit
from lightning_modules.spaces._kit import is_kit
from lightning_modules.spaces._kit import Kit
from lightning_modules.spaces._kit import KitBuild
from lightning_modules.spaces._kit import read_architecture


__all__ = ["Kit", "KitBuild", "SPACES", "as_kit", "is_kit", "read_architecture"]
