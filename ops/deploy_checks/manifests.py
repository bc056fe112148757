# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The Kubernetes manifests, rendered as people render them."""

import os
import re
import subprocess
import tempfile
import time

import keda
import kubernetes_validate
import yaml
from findings import DEPLOY, default_seconds, report_interval
from image import Dockerfile

FOLDER = os.path.join(DEPLOY, "kubernetes")
APPLICATION, VERSION, IMAGE = "shop", "2026-11-1", "registry.example/shop:2026-11-1"

# Names as good as any to us, which are numbers, dates and truth values to YAML.
MISLEADING = ["42", "7e12345", "2026-11-01", "true", "0x1f"]

# What Kubernetes allows for the value of a label.
LONGEST_LABEL = 63

# The oldest release whose API has everything the manifests use, and the newest whose schemas we have.
RELEASES = ["1.27", kubernetes_validate.latest_version()]


def render(*arguments):
    return subprocess.run(
        [os.path.join(FOLDER, "render"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def files():
    return sorted(os.path.join(FOLDER, name) for name in os.listdir(FOLDER) if name.endswith(".yaml"))


def check(findings):
    rendered = render(APPLICATION, VERSION, IMAGE, *files())
    if not findings.expect(rendered.returncode == 0, f"render fails: {rendered.stderr}"):
        return []
    objects = [each for each in yaml.safe_load_all(rendered.stdout) if each]
    for each in objects:
        check_schema(each, findings)
        left = re.search(r"\b(APPLICATION|VERSION|IMAGE)\b", yaml.safe_dump(each))
        findings.expect(not left, f"{title(each)}: a placeholder is left")
    check_names(findings)
    check_quotes(findings)
    for name in MISLEADING:
        check_text(render(name if len(name) > 2 else f"{name}0", name, IMAGE, *files()).stdout, findings)
    findings.report()  # what follows takes the shape of the objects for granted

    by_kind = {}
    for each in objects:
        by_kind.setdefault(each["kind"], []).append(each)
    deployment = by_kind["Deployment"][0]
    check_deployment(deployment, findings)
    job = by_kind["Job"][0]
    findings.expect(
        job["spec"]["template"]["spec"]["restartPolicy"] in ("Never", "OnFailure"),
        f"{title(job)}: a job's pods must not always restart",
    )
    for workload in (deployment, job):
        check_pod(workload, by_kind, findings)
    labels = deployment["spec"]["selector"]["matchLabels"]
    findings.expect(
        by_kind["PodDisruptionBudget"][0]["spec"]["selector"]["matchLabels"] == labels,
        "the PodDisruptionBudget selects other pods than the Deployment",
    )
    policy = by_kind["NetworkPolicy"][0]["spec"]["podSelector"]["matchLabels"]
    findings.expect(policy.items() <= labels.items(), "the NetworkPolicy does not select the executors")
    keda.check(by_kind, deployment, APPLICATION, VERSION, findings)
    return objects


def title(each):
    return f"{each['kind']} {each['metadata']['name']}"


def check_schema(each, findings):
    if each["apiVersion"].startswith("keda.sh/"):
        return keda.check_shape(each, title(each), findings)
    for release in RELEASES:
        try:
            kubernetes_validate.validate(each, release, strict=True)
        except kubernetes_validate.ValidationError as error:
            findings.expect(False, f"{title(each)} is not valid in Kubernetes {release}: {error.message}")


def check_names(findings):
    """What Kubernetes would refuse, or what would make two versions share an image, `render` must refuse."""
    some = files()[0]
    for arguments in (
        ("Shop", VERSION, IMAGE), ("sh", VERSION, IMAGE), ("shop_1", VERSION, IMAGE), ("s" * 31, VERSION, IMAGE),
        (APPLICATION, "2026.11.1", IMAGE), (APPLICATION, "", IMAGE), (APPLICATION, "v1'; --", IMAGE),
        (APPLICATION, VERSION, "registry.example/shop"), (APPLICATION, VERSION, "registry.example:5000/shop"),
        (APPLICATION, VERSION, "registry.example/shop:latest"), (APPLICATION, VERSION, "x|e id"),
        ("s" * 30, "v" * 25, IMAGE), ("s" * 25, "v" * 30, IMAGE),
    ):
        findings.expect(render(*arguments, some).returncode == 2, f"render accepts {arguments}")
    for arguments in (("s" * 30, "v" * 24, IMAGE), ("s" * 24, "v" * 30, IMAGE)):
        longest = render(*arguments, *files())
        if findings.expect(longest.returncode == 0, f"render refuses {arguments}: {longest.stderr}"):
            check_text(longest.stdout, findings)


def check_quotes(findings):
    """What is filled in must be text whatever it looks like; parsers differ in what they take for something else."""
    for path in files():
        with open(path, encoding="utf-8") as file:
            for token in yaml.scan(file):
                if isinstance(token, yaml.ScalarToken) and token.plain:
                    findings.expect(
                        not re.search(r"APPLICATION|VERSION|IMAGE", token.value),
                        f"{os.path.basename(path)}:{token.start_mark.line + 1}: '{token.value}' must be in quotes",
                    )


def check_text(rendered, findings):
    for each in filter(None, yaml.safe_load_all(rendered)):
        check_schema(each, findings)
        pods = each["spec"].get("template", {}).get("metadata", {}) if "spec" in each else {}
        values = [*each["metadata"]["labels"].values(), *pods.get("labels", {}).values()]
        if each["kind"] == "Job":
            values.append(each["metadata"]["name"])  # its pods are labelled with it
        for value in values:
            findings.expect(
                isinstance(value, str) and len(value) <= LONGEST_LABEL, f"{title(each)}: {value!r} cannot be a label"
            )


def check_pod(workload, by_kind, findings):
    name = title(workload)
    pod = workload["spec"]["template"]["spec"]
    security = pod["securityContext"]
    user = int(Dockerfile.read().stages[-1].rest("USER")[-1].split(":")[0])
    findings.expect(
        security.get("runAsNonRoot") is True and security.get("runAsUser") == user,
        f"{name}: it must run as the user of the Dockerfile, {user}",
    )
    findings.expect(
        security.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{name}: the seccomp profile is missing"
    )
    findings.expect(pod.get("automountServiceAccountToken") is False, f"{name}: it needs no token")
    accounts = [each["metadata"]["name"] for each in by_kind["ServiceAccount"]]
    findings.expect(pod.get("serviceAccountName") in accounts, f"{name}: there is no such ServiceAccount")
    for container in pod["containers"]:
        findings.expect(
            container["securityContext"]
            == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            f"{name}: its container may do more than it needs",
        )
        resources = container["resources"]
        findings.expect(
            {"cpu", "memory"} <= resources["requests"].keys() and resources["limits"].keys() == {"memory"},
            f"{name}: it must request CPU and memory, and limit memory only",
        )
        for quantity in [*resources["requests"].values(), *resources["limits"].values()]:
            findings.expect(re.fullmatch(r"\d+(m|[KMG]i)?", quantity), f"{name}: '{quantity}' is no quantity")
        for variable in container["env"]:
            secret = variable.get("valueFrom", {}).get("secretKeyRef")
            findings.expect(
                not secret or f"`{secret['key']}`" in readme(),
                f"{name}: deploy/README.md does not say what the secret's {secret and secret['key']} is",
            )


def readme():
    with open(os.path.join(DEPLOY, "README.md"), encoding="utf-8") as file:
        return file.read()


def check_deployment(deployment, findings):
    name = title(deployment)
    findings.expect(VERSION in deployment["metadata"]["name"], f"{name}: its name must tell the version")
    findings.expect("replicas" not in deployment["spec"], f"{name}: the replicas belong to the autoscaler")
    template = deployment["spec"]["template"]
    labels = deployment["spec"]["selector"]["matchLabels"]
    findings.expect(VERSION in labels.values(), f"{name}: its selector must tell the version")
    findings.expect(labels.items() <= template["metadata"]["labels"].items(), f"{name}: it selects other pods")
    pod = template["spec"]
    grace = default_seconds("shutdownGracePeriod")
    findings.expect(
        pod["terminationGracePeriodSeconds"] >= grace + 10,
        f"{name}: terminationGracePeriodSeconds must be ten seconds more than shutdownGracePeriod ({grace} s)",
    )
    for constraint in pod["topologySpreadConstraints"]:
        findings.expect(constraint["labelSelector"]["matchLabels"] == labels, f"{name}: it spreads other pods")
    container = pod["containers"][0]
    arguments = container["args"]
    findings.expect(
        "$(POD_NAME)" in arguments and any(each["name"] == "POD_NAME" for each in container["env"]),
        f"{name}: the executor's id must be the pod's name",
    )
    folder = arguments[arguments.index("--health-folder") + 1]
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    findings.expect(
        mounts.get(folder) in [each["name"] for each in pod["volumes"]], f"{name}: nothing is mounted at {folder}"
    )
    for probe, file in (("startupProbe", "alive"), ("livenessProbe", "alive"), ("readinessProbe", "ready")):
        check_probe(f"{name}, {probe}", container[probe]["exec"]["command"], folder, file, findings)


def check_probe(name, command, folder, file, findings):
    """Runs a probe's command on files of all ages."""
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, file)
        command = [word.replace(folder, scratch) for word in command]

        def passes():
            return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

        findings.expect(not passes(), f"{name}: it passes without a file")
        for age, should_pass in ((0, True), (3 * report_interval(), True), (60, False), (86400, False)):
            with open(path, "w", encoding="utf-8"):
                os.utime(path, (time.time() - age,) * 2)
            findings.expect(passes() == should_pass, f"{name}: wrong about a file that is {age} s old")
        findings.expect(
            not os.listdir(scratch) == [] and f"/{file}" in " ".join(command), f"{name}: it looks at another file"
        )
