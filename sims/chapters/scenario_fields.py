"""The tables of docs/simulator.md: every field of a scenario file, as the validation knows it.

`python -m sims.chapters.scenario_fields` writes them anew.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from sims.chapters.page import table, with_blocks
from sims.scenarios.file import ScenarioFile

PAGE = Path("docs/simulator.md")
TABLES = {
    "scenario": "ScenarioFile",
    "pools": "Pool",
    "buyers": "Buyers",
    "informed": "Informed",
    "providers": "Providers",
    "regimes": "RegimesMarket",
    "choice": "Choice",
    "tilt": "Tilted",
    "brownian": "BrownianMarket",
    "brownian-stock": "BrownianStock",
    "bootstrap": "BootstrapMarket",
    "replayed": "ReplayedMarket",
    "scripted": "ScriptedMarket",
    "leg": "Leg",
    "scripted-stock": "ScriptedStock",
    "index": "Index",
    "claims": "Claim",
}
"""Which structure each table of the page describes."""

Schema = Mapping[str, Any]


def schemas() -> dict[str, Schema]:
    """Return the schema of each structure of a scenario file by name."""
    _, found = msgspec.json.schema_components((ScenarioFile,))
    return found


def _kind(schema: Schema) -> str:
    """Return what a field may be, in words."""
    if "$ref" in schema:
        return "table"
    if "anyOf" in schema:
        kinds = (_kind(each) for each in schema["anyOf"] if each != {"type": "null"})
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    kind = str(schema["type"])
    if kind == "array":
        return "tables" if schema.get("items") else "pair"
    if kind == "object":
        return "table"
    if kind == "boolean":
        return "`true` or `false`"
    if kind == "string":
        return "time" if schema.get("format") == "date-time" else "text"
    return ("whole " if kind == "integer" else "") + _range(schema)


def _range(schema: Schema) -> str:
    low, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    begin = f"{low:g}" if low is not None else f"above {above:g}" if above is not None else ""
    end = f"to {most:g}" if most is not None else f"to below {below:g}" if below else ""
    return f"{begin} {end}".strip() or "number"


def _default(name: str, structure: Schema) -> str:
    if name in structure.get("required", ()):
        return "must be given"
    default = structure["properties"][name].get("default")
    if default in (None, [], {}, "") or isinstance(default, dict):
        return ""
    if name == "pools":
        return "one"
    return f"`{json.dumps(default)}`"


def fields_table(structure: Schema) -> str:
    """Return a table of the fields of a structure."""
    rows = [
        (f"`{name}`", _kind(schema), _default(name, structure), schema.get("description", ""))
        for name, schema in structure["properties"].items()
        if name != "model"
    ]
    lines = table(("field", "may be", "default", "meaning"), rows).splitlines()
    lines[1] = "| --- | --- | --- | --- |"
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """Return the page with its tables written anew."""
    found = schemas()
    return with_blocks(
        text, {name: partial(fields_table, found[of]) for name, of in TABLES.items()}
    )


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
