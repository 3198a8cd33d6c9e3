"""The JSON Schema says what the code checks, and the files in `artifacts/` are the ones the code writes."""

import json
from pathlib import Path

import jsonschema
import pytest

from ovenbird_runtime.artifact.json_schema import json_schema, write_schemas
from ovenbird_runtime.manifest.manifest import Manifest, Target

ROOT = Path(__file__).resolve().parents[4]


def test_files_are_current(tmp_path: Path) -> None:
    for path in write_schemas(tmp_path):
        current = (ROOT / "artifacts" / path.name).read_text()
        assert current == path.read_text(), "run: python -m ovenbird_runtime.artifact.json_schema artifacts"


@pytest.mark.parametrize(
    ("cls", "name"), [(Manifest, "manifest.json"), (Target, "targets/tiny/target.json")], ids=["manifest", "target"]
)
def test_a_real_file_follows_it(cls: type, name: str, tiny: Path) -> None:
    schema = json_schema(cls, "x")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    value = json.loads((tiny / name).read_text())
    validator.validate(value)
    for spoil in ({"unknown": 1}, {"schema_version": 1}, {"schema_version": 3}, {"schema_version": "2"}):
        assert not validator.is_valid(value | spoil)
