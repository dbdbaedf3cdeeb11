"""Describes a folder of exported tables as a Data Package: each file with its columns, types and units.

See https://specs.frictionlessdata.io/data-package/ and https://specs.frictionlessdata.io/table-schema/.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import polars as pl

from wotemu.records.columns import meaning
from wotemu_report.export.files import EXPORT_SCHEMA, versions

FILE = "datapackage.json"
_TYPES: tuple[tuple[Any, str], ...] = (
    (pl.Boolean, "boolean"),
    (pl.List, "array"),
    (pl.String, "string"),
    (pl.Categorical, "string"),
)


def data_package(
    name: str, files: Mapping[str, tuple[str, pl.Schema]], damaged: Mapping[str, str]
) -> dict[str, Any]:
    """The descriptor of a folder.

    Args:
        name: Of the run.
        files: Of each table, its file's name and its columns.
        damaged: Tables that could not be read, and why.
    """
    return {
        "profile": "tabular-data-package",
        "name": name,
        "wotemu": {"export_schema": EXPORT_SCHEMA, "damaged": dict(damaged)},
        "resources": [
            {
                "name": table,
                "path": path,
                "wotemu": versions(table),
                "schema": {"fields": [_field(table, *each) for each in columns.items()]},
            }
            for table, (path, columns) in files.items()
        ],
    }


def _field(table: str, column: str, kind: pl.DataType) -> dict[str, str]:
    described = {"name": column, "type": _type(kind)}
    with contextlib.suppress(KeyError):  # a column of a later version
        described["description"] = meaning(table, column)
    return described


def _type(kind: pl.DataType) -> str:
    named = next((name for each, name in _TYPES if kind == each), None)
    return named or ("integer" if kind.is_integer() else "number")
