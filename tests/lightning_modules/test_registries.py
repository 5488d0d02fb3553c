"""Names are listed without importing what they name."""

from __future__ import annotations

import subprocess
import sys

from lightning_modules.registries import SPACES
from lightning_modules.spaces import is_kit


def test_listing_names_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from lightning_modules.registries import SPACES\n"
        "assert 'mobilenet-v3' in SPACES.names\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_spaces() -> None:
    names = {"cell", "chain", "darts", "efficientnet", "fbnet", "mobile", "mobilenet-v3", "nasnet"}
    assert names <= set(SPACES.names)
    for name in SPACES.names:
        kit = SPACES.get(name)
        assert is_kit(kit)
        assert SPACES.name_of(kit) == name
