"""docs/simulator.md describes every field of a scenario file as the validation knows it."""

from pathlib import Path

from sims.chapters import scenario_fields

PAGE = Path(__file__).parents[3] / "docs" / "simulator.md"


def test_the_page_has_every_field_of_every_structure() -> None:
    text = PAGE.read_text("utf-8")
    assert scenario_fields.written(text) == text
    assert set(scenario_fields.TABLES.values()) == scenario_fields.schemas().keys()


def test_every_field_has_a_meaning() -> None:
    missing = [
        (of, name)
        for of, structure in scenario_fields.schemas().items()
        for name, field in structure["properties"].items()
        if name != "model" and "$ref" not in field and "description" not in field
    ]
    assert missing == []
