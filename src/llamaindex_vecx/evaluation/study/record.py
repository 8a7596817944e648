"""The file of a study: every configuration that is measured, written after each, whole or not at all."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from llamaindex_vecx.errors import InvalidInputError, StorageError
from llamaindex_vecx.evaluation.study.vectors import StudyVectors

__all__ = ["FILE", "Row", "StudyRecord", "machine"]

FILE = "study.json"
_FORMAT = 1

Row = dict[str, Any]
"""A configuration: ``engine``, ``build``, ``search``, ``index_s``, ``mb``, ``ms``, ``recall@1``, …"""


@dataclass
class StudyRecord:
    """What is known so far.

    Attributes
    ----------
    folder : Path
        Where ``study.json`` lies.
    title, fingerprint : str
        Of the vectors.
    k : int
    planned : list of str
        Keys of all configurations.
    rows : dict of str to Row
        Measured ones, by key.
    failed : dict of str to str
        Those that can't be, and why.
    machines : list of str
        Where they were measured.
    """

    folder: Path
    title: str
    fingerprint: str
    k: int
    planned: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    machines: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every planned configuration is measured."""
        return all(key in self.rows for key in self.planned)

    @property
    def remarks(self) -> list[str]:
        """What a reader must know, one sentence each."""
        left = [key for key in self.planned if key not in self.rows and key not in self.failed]
        remarks = []
        if left:
            remarks.append(
                f"partial: {len(left)} of {len(self.planned)} configurations are not measured yet, the "
                f"next is {left[0]!r}; run the same line again to go on"
            )
        remarks += [f"partial: {key} failed: {reason}" for key, reason in self.failed.items()]
        if len(self.machines) > 1:
            remarks.append(f"measured on several machines or versions: {'; '.join(self.machines)}")
        return remarks

    def table(self) -> list[Row]:
        """Measured configurations in the order of the plan."""
        known = [*self.planned, *(key for key in self.rows if key not in self.planned)]
        return [self.rows[key] for key in known if key in self.rows]

    def add(self, key: str, row: Row) -> None:
        """Take a measured configuration, and write the file."""
        self.rows[key] = row
        self.failed.pop(key, None)
        self.save()

    def save(self) -> None:
        """Write the file beside the old one, then exchange them.

        Raises
        ------
        StorageError
            The folder can't be written.
        """
        value = {
            "format": _FORMAT,
            "complete": self.complete,
            "title": self.title,
            "fingerprint": self.fingerprint,
            "k": self.k,
            "planned": self.planned,
            "machines": self.machines,
            "failed": self.failed,
            "rows": self.rows,
        }
        aside = self.folder / (FILE + ".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(aside, "w", encoding="utf-8") as file:
                json.dump(value, file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self.folder / FILE)
        except OSError as error:
            raise StorageError(f"{self.folder / FILE} can't be written: {error}") from error

    @classmethod
    def load(cls, folder: str | Path) -> StudyRecord:
        """Read a study.

        Raises
        ------
        InvalidInputError
            There is none, or the file is damaged.
        """
        file = Path(folder) / FILE
        if not file.is_file():
            raise InvalidInputError(
                f"there is no study in {folder}; vecx study --to {folder} makes one"
            )
        try:
            value: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
            if value["format"] != _FORMAT:
                raise InvalidInputError(f"{file} is of format {value['format']}, not {_FORMAT}")
            names = ("title", "fingerprint", "k", "planned", "rows", "failed", "machines")
            return cls(Path(folder), **{name: value[name] for name in names})
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(
                f"{file} is damaged ({error!r}); give another folder, or remove it to begin anew"
            ) from error

    @classmethod
    def open(cls, folder: str | Path, vectors: StudyVectors, k: int) -> StudyRecord:
        """The study in a folder to go on with, or a new one.

        Raises
        ------
        InvalidInputError
            The folder has a study of other vectors or another k; the message names both.
        """
        path, fingerprint = Path(folder), vectors.fingerprint()
        if not (path / FILE).is_file():
            return cls(path, vectors.title, fingerprint, k)
        found = cls.load(path)
        if found.fingerprint != fingerprint:
            raise InvalidInputError(
                f"{path / FILE} is a study of other vectors: {found.title} ({found.fingerprint}), and these "
                f"are {vectors.title} ({fingerprint}); give another folder, or remove it to begin anew"
            )
        if found.k != k:
            raise InvalidInputError(
                f"{path / FILE} is a study with k={found.k}, and k={k} is asked for; give another folder"
            )
        return found


def machine() -> str:
    """CPU and versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text("utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        cpu = names[0] if names else cpu
    versions = []
    for package in ("llamaindex-vecx", "numpy", "numba", "faiss-cpu"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return f"{cpu}, {', '.join(versions)}"
