# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""KEDA's objects. No package has their schemas, so what they may hold is listed here, as far as ours use it."""

# Per kind, the keys that may be there and what each holds; a list stands for a list of such.
TEXT, NUMBER, FLAG = str, int, bool

SCALING_RULES = {
    "stabilizationWindowSeconds": NUMBER,
    "selectPolicy": TEXT,
    "policies": [{"type": TEXT, "value": NUMBER, "periodSeconds": NUMBER}],
}

SHAPES = {
    "ScaledObject": {
        "scaleTargetRef": {"apiVersion": TEXT, "kind": TEXT, "name": TEXT, "envSourceContainerName": TEXT},
        "pollingInterval": NUMBER,
        "cooldownPeriod": NUMBER,
        "initialCooldownPeriod": NUMBER,
        "minReplicaCount": NUMBER,
        "maxReplicaCount": NUMBER,
        "advanced": {
            "restoreToOriginalReplicaCount": FLAG,
            "horizontalPodAutoscalerConfig": {
                "name": TEXT,
                "behavior": {"scaleUp": SCALING_RULES, "scaleDown": SCALING_RULES},
            },
        },
        "triggers": [
            {
                "type": TEXT,
                "name": TEXT,
                "metricType": TEXT,
                "authenticationRef": {"name": TEXT, "kind": TEXT},
                # Everything here is text, numbers too.
                "metadata": {"query": TEXT, "targetQueryValue": TEXT, "activationTargetQueryValue": TEXT},
            }
        ],
    },
    "TriggerAuthentication": {"secretTargetRef": [{"parameter": TEXT, "name": TEXT, "key": TEXT}]},
}


def check_shape(each, title, findings):
    findings.expect(each["apiVersion"] == "keda.sh/v1alpha1", f"{title}: unknown version of KEDA's API")
    findings.expect(each.keys() == {"apiVersion", "kind", "metadata", "spec"}, f"{title}: unknown keys")
    compare(each["spec"], SHAPES[each["kind"]], f"{title}: spec", findings)


def compare(value, shape, path, findings):
    if isinstance(shape, dict):
        if findings.expect(isinstance(value, dict), f"{path} must be an object"):
            for key, part in value.items():
                if findings.expect(key in shape, f"{path}.{key}: KEDA knows no such key, or this check does not"):
                    compare(part, shape[key], f"{path}.{key}", findings)
    elif isinstance(shape, list):
        if findings.expect(isinstance(value, list) and value, f"{path} must be a list with something in it"):
            for index, part in enumerate(value):
                compare(part, shape[0], f"{path}[{index}]", findings)
    else:
        findings.expect(type(value) is shape, f"{path} must be of type {shape.__name__}, and is {value!r}")


def check(by_kind, deployment, application, version, findings):
    scaled = by_kind["ScaledObject"][0]["spec"]
    findings.expect(
        scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"],
        "the ScaledObject scales something else than the Deployment",
    )
    findings.expect(
        scaled["minReplicaCount"] == 0 and scaled["initialCooldownPeriod"] >= 60,
        "a new version must live long enough to be registered before it is scaled to zero",
    )
    trigger = scaled["triggers"][0]
    findings.expect(trigger["type"] == "postgresql", "the trigger must be of type postgresql")
    findings.expect(
        trigger["metadata"]["targetQueryValue"] == "1", "the query says how many executors: one for each 1 it returns"
    )
    for text in (f"'{application}'", f"'{version}'", "desired_executors", "holdfast.autoscaling"):
        findings.expect(text in trigger["metadata"]["query"], f"the ScaledObject's query must mention {text}")
    authentication = by_kind["TriggerAuthentication"][0]
    findings.expect(
        trigger["authenticationRef"]["name"] == authentication["metadata"]["name"],
        "the ScaledObject names another TriggerAuthentication",
    )
    findings.expect(
        [each["parameter"] for each in authentication["spec"]["secretTargetRef"]] == ["connection"],
        "the TriggerAuthentication must give the connection string",
    )
