"""Puts what ``vecx demo`` reads into the wheel. A checkout, installed as editable, has it where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIED = {"README.md": "README.md", "docs": "docs", "examples/data": "data"}


class DemoData(BuildHookInterface):  # type: ignore[type-arg]
    """Adds README, docs and corpus as ``llamaindex_vecx/demo_data``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a build."""
        if version == "standard":
            for source, name in CARRIED.items():
                path = str(Path(self.root) / source)
                build_data["force_include"][path] = f"llamaindex_vecx/demo_data/{name}"
