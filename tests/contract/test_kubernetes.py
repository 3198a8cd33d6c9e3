"""ci/k8s: rendered by kustomize, valid by the API's own schemas, and in agreement with the server that it runs."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from ovenbird_runtime.cli import main
from ovenbird_runtime.integrity.signatures import REQUIRE_SIGNATURE
from ovenbird_runtime.machine.cpu import available_threads
from ovenbird_runtime.serve.routes.table import find_route
from support.kubernetes import K8S, OVERLAYS, find, options_of, render, render_folder, server_of

EVERYTHING = [*(f"overlays/{name}" for name in OVERLAYS), "kserve"]
VERSIONS = ["1.33", "1.35"]


def combined(folder: Path, overlay: str, *components: str, **more: Any) -> list[dict[str, Any]]:
    """Render an overlay with components, as a user would write it."""

    def relative(path: str) -> str:
        return os.path.relpath(K8S / path, folder.resolve())

    made = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [relative(f"overlays/{overlay}")],
        "components": [relative(f"components/{name}") for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(made | more))
    return render_folder(folder)


def check_schema(value: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(value, version, strict=True)


def test_an_overlay_for_each_kind_of_machine() -> None:
    assert OVERLAYS == ["amd64-cpu", "amd64-gpu", "arm64-cpu"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_valid(overlay: str, version: str) -> None:
    objects = render(f"overlays/{overlay}")
    kinds = {one["kind"] for one in objects}
    assert {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"} <= kinds
    assert ("HorizontalPodAutoscaler" in kinds) is not overlay.endswith("gpu")
    for one in objects:
        check_schema(one, version)


def test_the_schemas_bite() -> None:
    broken = copy.deepcopy(find(render("overlays/amd64-cpu"), "Deployment"))
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        check_schema(broken, VERSIONS[0])


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_arguments_are_the_servers(name: str) -> None:
    _, container = server_of(render(name))
    command = main.get_command(click.Context(main), container["args"][0])
    assert command is not None
    # KServe puts the InferenceService's name in; what the command does not know is a UsageError
    arguments = [word.replace("{{.Name}}", "resnet50") for word in container["args"][1:]]
    context = command.make_context("serve", arguments)
    assert context.params["host"] == "0.0.0.0"
    assert context.params["port"] == container["ports"][0]["containerPort"]
    assert context.params["device"] == ("cuda" if name.endswith("gpu") else "cpu")


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_probes_are_routes(name: str) -> None:
    _, container = server_of(render(name))
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    found = {}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = container[probe]["httpGet"]
        assert ports.get(get["port"], get["port"]) == container["ports"][0]["containerPort"]
        found[probe] = find_route("GET", get["path"].strip("/").split("/"))[0].name
    assert found == {"startupProbe": "ready", "livenessProbe": "live", "readinessProbe": "ready"}


@pytest.mark.parametrize("name", EVERYTHING)
def test_threads_and_resources_agree(name: str, tmp_path: Path) -> None:
    _, container = server_of(render(name))
    requests, limits, options = (
        container["resources"]["requests"],
        container["resources"]["limits"],
        options_of(container),
    )
    assert requests == limits  # guaranteed: no other pod takes the processor's caches from it
    cpus = int(limits["cpu"])  # whole processors: the runtime rounds a quota down
    # what the runtime will find in the container's control group
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text(f"{cpus * 100_000} 100000\n")
    here = len(os.sched_getaffinity(0))
    threads = int(options.get("--threads", available_threads(tmp_path) // int(options["--workers"])))
    assert threads * int(options["--workers"]) == min(cpus, here)
    assert int(options["--decoders"]) == cpus


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_pod_has_time_to_drain(name: str) -> None:
    objects = render(name)
    pod, container = server_of(objects)
    if name == "kserve":
        pod = find(objects, "InferenceService")["spec"]["predictor"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(options_of(container)["--drain-seconds"])
    # connections may take the whole time, and then the queue as long again (serve/process.py)
    assert pause + 2 * drain < pod["terminationGracePeriodSeconds"]
    # balancers hear of it within the pause: two failed probes at the latest
    probe = container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] <= pause


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_roll_out_takes_nothing_away(overlay: str) -> None:
    objects = render(f"overlays/{overlay}")
    deployment = find(objects, "Deployment")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    if overlay.endswith("gpu"):
        assert deployment["spec"]["replicas"] == 2
    else:
        assert "replicas" not in deployment["spec"]
        scaler = find(objects, "HorizontalPodAutoscaler")["spec"]
        assert scaler["minReplicas"] >= 2
        assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert find(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_meet_the_pods_and_no_others(overlay: str) -> None:
    objects = render(f"overlays/{overlay}")
    labels = find(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        find(objects, "Service")["spec"]["selector"],
        find(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        find(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        find(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    (port,) = find(objects, "Service")["spec"]["ports"]
    names = [one["name"] for one in server_of(objects)[1]["ports"]]
    assert port["targetPort"] in names
    policy = find(objects, "NetworkPolicy")["spec"]
    assert [one["port"] for rule in policy["ingress"] for one in rule["ports"]] == names
    assert policy["egress"] == []


def selectors_of(one: dict[str, Any]) -> list[dict[str, str]]:
    """Return every selector of pods in an object."""
    found = {
        "Service": lambda spec: [spec["selector"]],
        "Deployment": lambda spec: [
            spec["selector"]["matchLabels"],
            *(rule["labelSelector"]["matchLabels"] for rule in spec["template"]["spec"]["topologySpreadConstraints"]),
        ],
        "PodDisruptionBudget": lambda spec: [spec["selector"]["matchLabels"]],
        "NetworkPolicy": lambda spec: [spec["podSelector"]["matchLabels"]],
        "HorizontalPodAutoscaler": lambda spec: [],
    }
    return found[one["kind"]](one["spec"])


def test_overlays_stand_side_by_side() -> None:
    """All overlays in one namespace: no object replaces another, and none acts on another's pods."""
    rendered = {overlay: render(f"overlays/{overlay}") for overlay in OVERLAYS}
    names = [(one["kind"], one["metadata"]["name"]) for objects in rendered.values() for one in objects]
    assert len(names) == len(set(names))
    for overlay, objects in rendered.items():
        for one in objects:
            assert one["metadata"]["name"] == f"ovenbird-{overlay}"
            for selector in selectors_of(one):
                met = [
                    other
                    for other, theirs in rendered.items()
                    if selector.items() <= find(theirs, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
                ]
                assert met == [overlay], one["kind"]
        for scaler in (one for one in objects if one["kind"] == "HorizontalPodAutoscaler"):
            assert scaler["spec"]["scaleTargetRef"]["name"] == find(objects, "Deployment")["metadata"]["name"]


def test_one_address_before_all_overlays() -> None:
    (service,) = render("shared")
    check_schema(service, VERSIONS[0])
    for overlay in OVERLAYS:
        objects = render(f"overlays/{overlay}")
        own = find(objects, "Service")
        labels = find(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert service["spec"]["ports"] == own["spec"]["ports"]
        assert service["metadata"]["name"] != own["metadata"]["name"]


def test_models_stand_side_by_side(tmp_path: Path) -> None:
    """A prefix and an instance of its own keep a model apart from another in the same overlay."""
    found = []
    for model in ("cats", "dogs"):
        label = {"includeSelectors": True, "pairs": {"app.kubernetes.io/instance": model}}
        folder = tmp_path / model
        folder.mkdir()
        more = {"namePrefix": f"{model}-", "labels": [label], "replicas": [{"name": "ovenbird", "count": 3}]}
        objects = combined(folder, "amd64-gpu", **more)
        deployment = find(objects, "Deployment")
        assert deployment["metadata"]["name"] == f"{model}-ovenbird-amd64-gpu"
        assert deployment["spec"]["replicas"] == 3
        assert all(selector["app.kubernetes.io/instance"] == model for one in objects for selector in selectors_of(one))
        found += [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_land_on_nodes_that_can_run_them(overlay: str) -> None:
    pod, container = server_of(render(f"overlays/{overlay}"))
    arch, kind = overlay.split("-")
    assert pod["nodeSelector"]["kubernetes.io/arch"] == arch
    assert container["resources"]["limits"].get("nvidia.com/gpu") == ("1" if kind == "gpu" else None)


@pytest.mark.parametrize("name", EVERYTHING)
def test_containers_are_confined(name: str) -> None:
    pod, container = server_of(render(name))
    rules = {**pod.get("securityContext", {}), **container["securityContext"]}
    assert rules["runAsNonRoot"] is True
    assert rules["runAsUser"] == 65532  # the images' own
    assert rules["readOnlyRootFilesystem"] is True
    assert rules["allowPrivilegeEscalation"] is False
    assert rules["capabilities"] == {"drop": ["ALL"]}
    assert rules["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("name", EVERYTHING)
def test_images_have_a_tag_that_stands_still(name: str) -> None:
    _, container = server_of(render(name))
    image, _, tag = container["image"].partition(":")
    assert image == "ovenbird"
    assert re.fullmatch(r"[a-z0-9_.-]+", tag)
    assert tag != "latest"


@pytest.mark.parametrize("name", EVERYTHING)
def test_images_can_be_set(name: str, tmp_path: Path) -> None:
    """What `kustomize edit set image ovenbird=...` writes has its effect."""
    made = {
        "resources": [os.path.relpath(K8S / name, tmp_path.resolve())],
        "images": [{"name": "ovenbird", "newName": "registry.example.org/net", "digest": "sha256:" + "0" * 64}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(made))
    _, container = server_of(render_folder(tmp_path))
    assert container["image"] == "registry.example.org/net@sha256:" + "0" * 64


def test_the_model_in_a_volume(tmp_path: Path) -> None:
    objects = combined(tmp_path, "arm64-cpu", "model-volume")
    check_schema(find(objects, "Deployment"), VERSIONS[0])
    pod, container = server_of(objects)
    assert container["volumeMounts"] == [{"name": "model", "mountPath": container["args"][1], "readOnly": True}]
    assert pod["volumes"][0]["persistentVolumeClaim"]["readOnly"] is True


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_model_in_an_image_of_its_own(overlay: str, tmp_path: Path) -> None:
    """The volume is root's: the server runs a copy of its own, which its own image makes."""
    images = [
        {"name": "ovenbird-model", "newName": "registry.example.org/model", "newTag": "7"},
        {"name": "ovenbird", "newName": "registry.example.org/net", "newTag": "8"},
    ]
    objects = combined(tmp_path, overlay, "model-image", images=images)
    for version in VERSIONS:
        check_schema(find(objects, "Deployment"), version)
    pod, server = server_of(objects)
    (copier,) = pod["initContainers"]
    volumes = {volume.pop("name"): volume for volume in copy.deepcopy(pod["volumes"])}
    assert volumes["model"]["image"]["reference"] == "registry.example.org/model:7"
    assert volumes["artifact"].keys() == {"emptyDir"}
    assert volumes["artifact"]["emptyDir"]["sizeLimit"]
    assert copier["image"] == server["image"] == "registry.example.org/net:8"
    # the copier reads the image and writes the folder, from which the server only reads
    mounts = {mount["name"]: mount for mount in copier["volumeMounts"]}
    assert mounts["model"]["readOnly"] is True
    assert "readOnly" not in mounts["artifact"]
    assert server["volumeMounts"] == [{"name": "artifact", "mountPath": "/artifact", "readOnly": True}]
    # the image that `bake --mount` makes holds /artifact
    source, output = copier["args"][1:]
    assert (source, output) == (f"{mounts['model']['mountPath']}/artifact", mounts["artifact"]["mountPath"])
    assert server["args"][:2] == ["serve", output]
    command = main.get_command(click.Context(main), copier["args"][0])
    assert command is not None
    command.make_context("copy", [source, output])
    assert copier["securityContext"] == server["securityContext"]
    assert copier["resources"]["requests"] == copier["resources"]["limits"]  # the pod stays guaranteed
    assert int(copier["resources"]["limits"]["cpu"]) <= int(server["resources"]["limits"]["cpu"])


def test_signatures_can_be_required(tmp_path: Path) -> None:
    objects = combined(tmp_path, "amd64-gpu", "model-volume", "signed")
    check_schema(find(objects, "Deployment"), VERSIONS[0])
    _, container = server_of(objects)
    (variable,) = container["env"]
    assert variable["name"] == REQUIRE_SIGNATURE
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert Path(variable["value"]).parent == Path(mounts["keys"])
