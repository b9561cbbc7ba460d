"""What `ray.io/v1` of KubeRay 1.7 takes, as far as our files use it: a JSON schema for each kind.

Written from its published types; a field that is not here is refused, as the API server would
refuse or drop it. Pods are left to Kubernetes' own schema.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
POD: Schema = {"type": "object", "required": ["spec"]}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def having(required: str = "", **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


AUTOSCALER = having(
    version=one_of("v1", "v2"),
    upscalingMode=one_of("Default", "Aggressive", "Conservative"),
    idleTimeoutSeconds=COUNT,
    resources={"type": "object"},
    securityContext={"type": "object"},
)
HEAD = having(
    "rayStartParams template",
    serviceType=one_of("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    enableIngress=FLAG,
    rayStartParams=TEXTS,
    template=POD,
)
WORKERS = having(
    "groupName minReplicas maxReplicas rayStartParams template",
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    priority={"type": "integer"},
    idleTimeoutSeconds=COUNT,
    labels=TEXTS,
    rayStartParams=TEXTS,
    template=POD,
)
CLUSTER = having(
    "headGroupSpec",
    rayVersion=TEXT,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=AUTOSCALER,
    authOptions=having("mode", mode=one_of("disabled", "token"), secretName=TEXT),
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS},
)
SERVICE = having(
    "rayClusterConfig",
    upgradeStrategy=having("type", type=one_of("NewCluster", "None")),
    rayClusterDeletionDelaySeconds=COUNT,
    excludeHeadPodFromServeSvc=FLAG,
    rayClusterConfig=CLUSTER,
    serveConfigV2=TEXT,
)
JOB = having(
    entrypoint=TEXT,
    clusterSelector=TEXTS,
    submissionMode=one_of("K8sJobMode", "HTTPMode", "InteractiveMode"),
    runtimeEnvYAML=TEXT,
    submitterPodTemplate=POD,
)


def kind(name: str, spec: Schema) -> Schema:
    return having(
        "apiVersion kind metadata spec",
        apiVersion=one_of("ray.io/v1"),
        kind=one_of(name),
        metadata=having("name", name=TEXT, labels=TEXTS),
        spec=spec,
    )


KINDS = {
    "cluster": kind("RayCluster", CLUSTER),
    "service": kind("RayService", SERVICE),
    "job": kind("RayJob", JOB),
}
