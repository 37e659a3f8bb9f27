"""Contracts in the Open Data Contract Standard, held against its own JSON schema and its own Python model."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

import pytest

from scarce.contract import Contract, odcs
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install 'scarce[contract]'")

FULL = Contract(
    on_violation="warn", classes=("good", "torn"), required=("id", "uri", "label", "meta.camera"), min_rows=40,
    min_per_class=3, max_set_aside=0.2,
    types={"meta.angle": "number"}, completeness={"label": 1.0, "meta.camera": 0.95},
    allowed={"meta.camera": ("A", "B: left")}, ranges={"meta.angle": (0.0, 90.0)}, unique=("uri",), max_age_days=10.0,
    min_completeness=0.99, max_label_error_rate=0.05, max_duplicate_rate=0.01, min_agreement=0.8,
    class_minimum={"good": 1000, "torn": 50}, update_hours=24.0, max_staleness_hours=48.0,
    warn=("classes", "max_duplicate_rate", "class_minimum", "update_hours"),
)  # fmt: skip

FOREIGN = """
apiVersion: v3.0.2
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
name: seller_photos
version: 1.1.0
status: active
domain: seller
tenant: ClimateQuantumInc
tags: [finance, photos]
contractCreatedTs: 2024-11-15T02:59:43Z
description: {purpose: Photos of parts., usage: "yes: inside"}
servers:
- {server: prod, type: s3, location: "s3://bucket/photos", format: json}
team:
- {username: daustin, role: Owner, dateIn: "2014-10-01"}
price: {priceAmount: 9.95, priceCurrency: USD, priceUnit: megabyte}
roles:
- {role: reader, access: read}
schema:
- name: photos
  physicalName: photos_1_2_0
  businessName: Photos
  logicalType: object
  properties:
  - name: label
    logicalType: string
    required: true
    classification: public
    quality:
    - {type: library, rule: validValues, mustBe: 0, validValues: [good, torn], businessImpact: operational}
    - {type: text, description: Two people agree on it.}
  - name: meta.camera
    logicalType: string
    examples: [A, B]
    quality:
    - {metric: missingValues, mustBeLessOrEqualTo: 5, unit: percent, description: cameras may forget}
    - {type: sql, query: SELECT COUNT(*) FROM photos, mustBeGreaterThan: 3}
  - name: meta.angle
    logicalType: number
    logicalTypeOptions: {minimum: 0, maximum: 90, multipleOf: 5}
  - name: id
    logicalType: string
    primaryKey: true
    primaryKeyPosition: 1
  quality:
  - {type: library, rule: rowCount, mustBeGreaterThan: 99, severity: warning, dimension: completeness}
  - {type: custom, engine: soda, implementation: "checks: [row_count > 0]"}
slaProperties:
- {property: frequency, value: 1, unit: d, element: photos.captured_at, driver: operational}
- {property: freshness, value: 36, unit: h, element: photos.captured_at}
- {property: generalAvailability, value: "2022-05-12T09:30:10-08:00"}
- {property: latency, value: 4, unit: d, element: photos.captured_at}
customProperties:
- {property: costCenter, value: {a: 1}}
xNotInTheStandard: {kept: [1, 2.5, null]}
"""


@pytest.fixture(scope="module")
def valid() -> Any:
    """The standard's own JSON schema, as its reference package ships it."""
    jsonschema = pytest.importorskip("jsonschema", reason="the oracle jsonschema is not installed")
    pytest.importorskip("open_data_contract_standard", reason="the oracle open-data-contract-standard is not installed")
    text = importlib.resources.files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    schema = json.loads(text)
    return jsonschema.validators.validator_for(schema)(schema)


def contracts() -> dict[str, Contract]:
    ids = [f"s{row}" for row in range(30)]
    schema = Schema(classes=("good", "torn"), normal_classes=("good",))
    values = {"id": ids, "uri": ids, "label": ["good", "torn"] * 15, "meta.half": [1, None] * 15,
              "meta.camera": ["A", "B"] * 15}  # fmt: skip
    return {"full": FULL, "bare": Contract(), "learned": Contract.learn(Dataset.from_columns(schema, values)),
            "open range": Contract(ranges={"meta.x": (float("-inf"), 3.0)}, required=())}  # fmt: skip


@pytest.mark.parametrize("name", ["full", "bare", "learned", "open range"])
def test_what_is_written_is_valid_and_reads_back_as_the_same(name: str, valid: Any) -> None:
    made = contracts()[name]
    text = odcs.dumps(made, name="photos")
    body = yaml.safe_load(text)
    assert [error.message for error in valid.iter_errors(body)] == []
    back = odcs.loads(text)
    assert back.contract == made
    assert back.notes == ()
    assert odcs.dumps(back.contract, base=back.document) == text


def test_the_reference_model_reads_it() -> None:
    model = pytest.importorskip("open_data_contract_standard.model", reason="the oracle is not installed")
    found = model.OpenDataContractStandard.from_string(odcs.dumps(FULL, name="photos"))
    assert found.kind == "DataContract"
    table = found.schema_[0]
    assert {item.name: item.metric for item in table.quality}["min_rows"] == "rowCount"
    camera = next(item for item in table.properties if item.name == "meta.camera")
    assert camera.quality[0].mustBeLessOrEqualTo == 5
    assert {item.property: (item.value, item.unit) for item in found.slaProperties} == {
        "frequency": (24.0, "h"), "freshness": (48.0, "h"),
    }  # fmt: skip


def test_a_foreign_document_is_understood_where_it_can_be() -> None:
    found = odcs.loads(FOREIGN)
    made = found.contract
    assert made.classes == ("good", "torn")
    assert made.completeness == {"label": 1.0, "meta.camera": 0.95}
    assert made.ranges == {"meta.angle": (0.0, 90.0)}
    assert made.unique == ("id",)
    assert made.types == {"meta.camera": "string", "meta.angle": "number"}
    assert made.min_rows == 100
    assert (made.update_hours, made.max_staleness_hours) == (24.0, 36.0)
    assert made.warn == ("min_rows",)
    assert made.required == ("label", "meta.camera", "meta.angle", "id")
    told = " | ".join(found.notes)
    for part in ("xNotInTheStandard", "text", "sql", "custom", "generalAvailability", "latency"):
        assert part in told


def test_what_others_wrote_survives_the_round_trip() -> None:
    found = odcs.loads(FOREIGN)
    again = odcs.loads(odcs.dumps(found.contract, base=found.document))
    assert again.document == found.document
    assert list(again.document) == list(found.document)
    assert again.document["contractCreatedTs"] == "2024-11-15T02:59:43Z"  # times stay text


def test_a_changed_rule_is_changed_in_the_document_and_nothing_else_is(valid: Any) -> None:
    from dataclasses import replace

    found = odcs.loads(FOREIGN)
    changed = replace(found.contract, min_rows=200, completeness={"meta.camera": 0.9}, update_hours=12.0, unique=(),
                      classes=("good", "torn", "stained"), ranges={}, max_duplicate_rate=0.02, warn=())  # fmt: skip
    again = odcs.loads(odcs.dumps(changed, base=found.document))
    assert again.contract == changed
    before, after = found.document, again.document
    for key in ("team", "servers", "price", "roles", "customProperties", "xNotInTheStandard", "description"):
        assert after[key] == before[key]
    table = after["schema"][0]
    assert table["businessName"] == "Photos"
    assert {"type": "custom", "engine": "soda", "implementation": "checks: [row_count > 0]"} in table["quality"]
    label, camera, angle, _ = table["properties"]
    assert label["classification"] == "public"
    assert {"type": "text", "description": "Two people agree on it."} in label["quality"]
    assert any(rule.get("type") == "sql" for rule in camera["quality"])
    assert angle["logicalTypeOptions"] == {"multipleOf": 5}
    assert after["slaProperties"][0]["driver"] == "operational"
    known = {key: value for key, value in after.items() if key != "xNotInTheStandard"}
    assert [error.message for error in valid.iter_errors(known)] == []


V3 = "kind: DataContract\napiVersion: v3.1.0\n"
OWN = V3 + "schema: [{name: a, quality: [{type: custom, engine: scarce, implementation: {rule: %s, limit: %s}}]}]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", r"this is not YAML \(line 1\)"), ("a: b: c", "this is not YAML"),
        ("- 1\n- 2", "list, not a mapping"), ("", "NoneType, not a mapping"),
        ("kind: DataContract\nkind: x", "'kind' is given twice"),
        ("a: !!python/object/apply:os.system ['true']", "this is not YAML"),
        ("kind: Other\napiVersion: v3.0.0", "kind = 'Other'"),
        ("kind: DataContract\napiVersion: v2.2.2", "apiVersion = 'v2.2.2' is not read"),
        ("kind: DataContract\napiVersion: 3.1", "apiVersion = '3.1' is not read"),
        (V3 + "schema: {name: x}", "schema is no list of mappings"),
        (V3 + "schema: [{name: a}, {name: b}]", "schema describes 2 objects"),
        (V3 + "schema: [{name: a, properties: [{}]}]", "a property has the name None"),
        (V3 + "schema: [{name: a, properties: [{name: x, logicalTypeOptions: {minimum: low}}]}]", "ranges.x"),
        (V3 + "customProperties: [{property: scarceOnViolation, value: shout}]", "on_violation = 'shout'"),
        (OWN % ("max_duplicate_rate", ".nan"), "max_duplicate_rate = nan"), (OWN % ("magic", 1), "known are"),
        (OWN % ("min_agreement", "high"), "min_agreement = 'high'"),
        (V3 + "slaProperties: [{property: frequency, value: 2, unit: d}, {property: freshness, value: 1, unit: d}]",
         "data that keeps the one breaks the other"),
    ],
)  # fmt: skip
def test_wrong_documents_are_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        odcs.loads(text)
