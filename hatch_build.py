"""Building or installing the package writes the types that editors read."""

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubHook(BuildHookInterface):
    """Write featurestack/__init__.pyi."""

    def initialize(self, _version: str, _build_data: dict[str, Any]) -> None:
        sys.path.insert(0, self.root)
        from docs.stub import STUB, stub

        STUB.write_text(stub(), encoding="utf-8")
