"""The files that describe clusters: valid by Ray's and Kubernetes' schemas, shut to the outside.

KubeRay's own kinds are held against the schema of `kuberay.py`; pods, their templates and the
network policy against Kubernetes' published one.
"""

import copy
import re
import subprocess
import tomllib
import warnings
from collections.abc import Iterator
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployments.kuberay import KINDS
from tests.programs import need

ROOT = Path(__file__).parents[2]
KUBERAY = ROOT / "deployments" / "kuberay"
DOCKERFILE = ROOT / "deployments" / "Dockerfile"
KUBERNETES = "1.32.0"


@pytest.fixture(autouse=True)
def others_may_warn() -> Iterator[None]:
    """Ray's own modules use what pydantic deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def clusters() -> dict[str, Any]:
    return {
        "cluster": read("deployments/kuberay/cluster.yaml")["spec"],
        "service": read("deployments/kuberay/service.yaml")["spec"]["rayClusterConfig"],
    }


def templates() -> list[Any]:
    groups = [
        group
        for spec in clusters().values()
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])
    ]
    job = read("deployments/kuberay/job.yaml")["spec"]["submitterPodTemplate"]
    return [group["template"] for group in groups] + [job]


# cluster.yaml


def prepared(document: Any) -> Any:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(document)
    validate_config(config)
    return config


def test_rays_launcher_takes_the_cluster_file() -> None:
    config = prepared(yaml.safe_load((ROOT / "cluster.yaml").read_text()))
    assert config["head_node_type"] == "head"
    workers = [worker for name, worker in config["available_node_types"].items() if name != "head"]
    assert config["max_workers"] == sum(worker["max_workers"] for worker in workers)


def test_rays_launcher_would_have_refused_a_word_that_it_does_not_know() -> None:
    from jsonschema import ValidationError

    document = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    document["available_node_types"]["cpu"]["maximum"] = 3
    with pytest.raises(ValidationError, match="maximum"):
        prepared(document)


def test_every_machine_is_private_and_every_process_wants_the_token() -> None:
    document = read("cluster.yaml")
    assert document["provider"]["use_internal_ips"] is True
    for node_type in document["available_node_types"].values():
        assert node_type["node_config"]["SubnetIds"]
        assert node_type["node_config"]["SecurityGroupIds"]
    starts = [document[f"{which}_start_ray_commands"][-1] for which in ("head", "worker")]
    for start in starts:
        assert "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/home/atelier/secrets/auth_token" in start
        assert start.index("RAY_AUTH_MODE") < start.index("ray start")
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert "/home/atelier/secrets/auth_token" in document["file_mounts"]
    assert any("chmod 0600" in command for command in document["setup_commands"])


def test_serves_proxy_keeps_its_list_of_applications_on_both_clusters() -> None:
    from ray._common.utils import import_attr

    name = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
    attribute = "deployments.http.hidden_routes:middlewares"
    assert import_attr(attribute)()
    start = read("cluster.yaml")["head_start_ray_commands"][-1]
    assert start.index(f" {name}={attribute} ") < start.index("ray start")
    head = clusters()["service"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert {"name": name, "value": attribute} in head["env"]


def test_the_shell_takes_every_command_of_the_cluster_file() -> None:
    bash = need("bash")
    document = read("cluster.yaml")
    for name, commands in document.items():
        for command in commands if name.endswith("_commands") else []:
            done = subprocess.run([bash, "-n", "-c", command], capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, b""), command


def test_the_head_works_on_nothing_and_the_pools_can_do_what_stages_and_replicas_ask() -> None:
    types = read("cluster.yaml")["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0, "GPU": 0}
    pools = [node_type["resources"] for name, node_type in types.items() if name != "head"]
    for num_cpus, num_gpus in asked():
        assert any(pool["CPU"] >= num_cpus and pool["GPU"] >= num_gpus for pool in pools)
    assert any(pool["GPU"] == 1 for pool in pools)  # what jobs.bulk.generated asks for
    assert types["cpu"]["min_workers"] >= 1  # a run's checks need no machine to start first


def asked() -> list[tuple[float, float]]:
    """What each replica of the service takes."""
    from deployments.launch import args_of, read_config

    args = args_of(read_config())
    deployments = [(own.num_cpus, own.num_gpus) for own in args.renderers.values()]
    return [(args.router.num_cpus, 0.0), *deployments]


def test_bulk_takes_spot_before_on_demand_and_the_draft_class_before_the_other() -> None:
    types = read("cluster.yaml")["available_node_types"]
    pools = [name for name in types if name.startswith("gpu.")]
    assert sorted(pools, key=lambda name: -types[name]["priority"]) == [
        "gpu.draft.spot", "gpu.draft", "gpu.polish.spot", "gpu.polish",
    ]  # fmt: skip
    for name in pools:
        market = types[name]["node_config"].get("InstanceMarketOptions", {}).get("MarketType")
        assert (market == "spot") == name.endswith(".spot") == (types[name]["priority"] in (20, 40))
        assert types[name]["labels"]["market"] == ("spot" if market else "on-demand")


def test_a_run_is_told_how_many_gpus_the_pools_may_grow_to() -> None:
    document = read("cluster.yaml")
    types = document["available_node_types"].values()
    most = sum(
        node_type["resources"]["GPU"] * node_type.get("max_workers", 0) for node_type in types
    )
    assert f" ATELIER_CLUSTER_GPUS={most};" in document["head_start_ray_commands"][-1]
    head = clusters()["cluster"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert {"name": "ATELIER_CLUSTER_GPUS", "value": str(most)} in head["env"]


# deployments/kuberay


def test_kuberays_pools_are_those_of_the_cluster_file() -> None:
    types = read("cluster.yaml")["available_node_types"]
    groups = {group["groupName"]: group for group in clusters()["cluster"]["workerGroupSpecs"]}
    assert groups.keys() == {name.replace(".", "-") for name in types if name != "head"}
    for name, node_type in types.items():
        if name == "head":
            continue
        group = groups[name.replace(".", "-")]
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        ours = (
            node_type["min_workers"],
            node_type["max_workers"],
            node_type.get("priority"),
            node_type["labels"],
        )
        assert ours == tuple(
            group.get(key) for key in ("minReplicas", "maxReplicas", "priority", "labels")
        )
        assert int(limits["cpu"]) == node_type["resources"]["CPU"]
        assert int(limits.get("nvidia.com/gpu", 0)) == node_type["resources"]["GPU"]


def test_the_service_on_kubernetes_has_the_serve_config_and_no_other() -> None:
    embedded = yaml.safe_load(read("deployments/kuberay/service.yaml")["spec"]["serveConfigV2"])
    assert embedded == read("deployments/serve.yaml"), (
        "deployments/serve.yaml was changed: put it into serveConfigV2 of service.yaml as well"
    )


@pytest.mark.parametrize("name", KINDS)
def test_kuberays_kinds_are_what_the_operator_takes(name: str) -> None:
    from jsonschema import Draft202012Validator

    document = read(f"deployments/kuberay/{name}.yaml")
    assert [str(error) for error in Draft202012Validator(KINDS[name]).iter_errors(document)] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("headGroupSpec", "rayStartParams", "num-cpus"), 0),
        (("autoscalerOptions", "upscalingMode"), "Fast"),
        (("workerGroupSpecs", 0, "minWorkers"), 1),
        (("workerGroupSpecs", 0, "maxReplicas"), "4"),
        (("authOptions", "mode"), "none"),
    ],
)
def test_what_the_operator_would_refuse_is_noticed(place: tuple[Any, ...], value: object) -> None:
    from jsonschema import Draft202012Validator

    document = copy.deepcopy(read("deployments/kuberay/cluster.yaml"))
    *way, last = place
    reduce(getitem, way, document["spec"])[last] = value
    assert len(list(Draft202012Validator(KINDS["cluster"]).iter_errors(document))) == 1


def test_ray_scales_and_guards_both_clusters_and_is_the_ray_of_this_checkout() -> None:
    import ray

    for spec in clusters().values():
        assert spec["rayVersion"] == ray.__version__
        assert spec["enableInTreeAutoscaling"] is True
        assert spec["autoscalerOptions"]["version"] == "v2"
        assert spec["authOptions"] == {"mode": "token", "secretName": "atelier-token"}
        assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
        assert spec["headGroupSpec"]["enableIngress"] is False
        assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
        for group in spec["workerGroupSpecs"]:
            assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_kubernetes_takes_every_pod_and_the_network_policy() -> None:
    from kubernetes_validate import validate

    validate(read("deployments/kuberay/network.yaml"), KUBERNETES, strict=True)
    for template in templates():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}}
        labels = template["metadata"]
        validate(pod | {"metadata": labels, "spec": template["spec"]}, KUBERNETES, strict=True)


def test_kubernetes_would_have_refused_a_word_that_it_does_not_know() -> None:
    from kubernetes_validate import ValidationError, validate

    spec = {**templates()[0]["spec"], "restart": "never"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
    with pytest.raises(ValidationError, match="restart"):
        validate(pod, KUBERNETES, strict=True)


def test_no_pod_has_rights_that_it_does_not_need() -> None:
    for template in templates():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 1000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
            assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
            head = container["name"] == "ray-head"
            assert head or spec["automountServiceAccountToken"] is False
            ray_node = container["name"] in ("ray-head", "ray-worker")
            probes = {"startupProbe", "readinessProbe", "livenessProbe"}
            assert not ray_node or probes <= container.keys()


def test_only_pods_of_ours_and_the_operator_reach_dashboard_and_gcs() -> None:
    spec = read("deployments/kuberay/network.yaml")["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    selected = spec["podSelector"]["matchLabels"].items()
    for template in templates():
        assert selected <= template["metadata"]["labels"].items()
    for rule in spec["ingress"]:
        ports = {port["port"] for port in rule.get("ports", [])}
        inside = rule["from"] == [{"podSelector": spec["podSelector"]}]
        assert inside or (ports and not ports & {6379, 10001})
        operator = "kuberay-operator" in str(rule["from"])
        assert inside or (8265 in ports) == operator


def test_no_secret_stands_in_a_file() -> None:
    for path in (ROOT / "cluster.yaml", *KUBERAY.glob("*.yaml")):
        documents = list(yaml.safe_load_all(path.read_text()))
        assert all(document.get("kind") != "Secret" for document in documents)
        assert not re.search(r"\b[0-9a-f]{32,}\b|password:|AKIA", path.read_text())


# deployments/Dockerfile


def test_the_linter_has_nothing_to_say_of_the_dockerfile() -> None:
    command = [need("hadolint"), str(DOCKERFILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_everything_that_the_image_copies_is_there_and_reaches_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert {"app", "deployments", "jobs", "constraints.txt"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_the_image_installs_extras_that_exist_by_the_pins_and_drops_root() -> None:
    text = DOCKERFILE.read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = re.findall(r"install '\.\[([a-z0-9,]+)\]'", text)
    assert len(installed) == 2
    for extras in installed:
        assert {"cluster", "postgresql", "s3"} <= set(extras.split(","))
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    assert set(installed[1].split(",")) - set(installed[0].split(",")) == {"gpu"}
    assert "PIP_CONSTRAINT=/source/constraints.txt" in text
    torch = next(
        dependency for dependency in project["dependencies"] if dependency.startswith("torch==")
    )
    assert f" {torch};" in text
    assert text.rindex("USER 1000:1000") > text.rindex("FROM ")
    assert "apt-get" not in text[text.rindex("USER 1000:1000") :]


def test_the_image_is_that_of_both_clusters() -> None:
    images = {*re.findall(r"registry\.example/\S+?(?=[\s},])", (ROOT / "cluster.yaml").read_text())}
    pods = {template["spec"]["containers"][0]["image"] for template in templates()}
    assert images == pods
