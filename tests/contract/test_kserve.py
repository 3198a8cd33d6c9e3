"""ci/k8s/kserve: valid by KServe's own schema, and the two objects fit each other and the server.

What both have in common with the overlays (arguments, probes, drain, confinement) is in test_kubernetes.py.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from support.kserve import check_kserve
from support.kubernetes import find, render

VERSIONS = ["1.33", "1.35"]


@pytest.fixture(scope="module")
def runtime() -> dict[str, Any]:
    return find(render("kserve"), "ServingRuntime")


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    return find(render("kserve"), "InferenceService")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["runtime", "service"])
def test_valid_by_kserves_schema(kind: str, version: str, request: pytest.FixtureRequest) -> None:
    check_kserve(request.getfixturevalue(kind), version)


BROKEN = [
    ("runtime", ("spec", "supportedModelFormat"), [{"name": "x"}], "supportedModelFormat"),  # unknown field
    ("runtime", ("spec", "multiModel"), "no", "not of type 'boolean'"),
    ("runtime", ("spec", "containers", 0, "ports", 0, "containerPort"), "http", "not of type 'integer'"),
    ("runtime", ("spec", "containers"), None, "'containers' is a required property"),
    ("runtime", ("apiVersion",), "serving.kserve.io/v1beta1", "was expected"),
    ("service", ("spec", "predictor", "model", "modelFormat"), None, "'modelFormat' is a required property"),
    ("service", ("spec", "predictor", "minReplicas"), "2", "not of type 'integer'"),
    ("service", ("spec", "predictor", "nodeSelectors"), {}, "nodeSelectors"),
    ("service", ("spec", "predictor"), None, "'predictor' is a required property"),
]


@pytest.mark.parametrize(("kind", "path", "value", "says"), BROKEN)
def test_the_schema_bites(
    kind: str, path: tuple[Any, ...], value: Any, says: str, request: pytest.FixtureRequest
) -> None:
    broken = copy.deepcopy(request.getfixturevalue(kind))
    inner = broken
    for step in path[:-1]:
        inner = inner[step]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError) as caught:
        check_kserve(broken, VERSIONS[0])
    assert says in caught.value.message


@pytest.mark.parametrize("version", VERSIONS)
def test_the_container_is_kubernetes_own(runtime: dict[str, Any], version: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": runtime["spec"]["containers"]},
    }
    kubernetes_validate.validate(pod, version, strict=True)


def test_manifests_keep_kserves_admission_rules(runtime: dict[str, Any], service: dict[str, Any]) -> None:
    """What no schema says: scaling by CPU and a pause before the end need Kubernetes' own Deployment and autoscaler."""
    assert service["spec"]["predictor"]["scaleMetric"] == "cpu"
    assert "lifecycle" in runtime["spec"]["containers"][0]
    assert service["metadata"]["annotations"] == {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": "hpa",
    }


def test_service_and_runtime_fit(runtime: dict[str, Any], service: dict[str, Any]) -> None:
    (container,) = runtime["spec"]["containers"]
    assert container["name"] == "kserve-container"
    model = service["spec"]["predictor"]["model"]
    formats = {(one["name"], one["version"]) for one in runtime["spec"]["supportedModelFormats"]}
    assert (model["modelFormat"]["name"], model["modelFormat"]["version"]) in formats
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    assert any("=/mnt/models" in argument for argument in container["args"])  # where KServe puts what it fetched
