# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The systemd units."""

import os
import re
import shutil
import subprocess
import tempfile

from findings import DEPLOY, default_seconds, report_interval

UNITS = os.path.join(DEPLOY, "systemd")

# On systemd's scale from 0 (safe) to 10. What is left is that the service uses the network and the machine's files.
MOST_EXPOSURE = 1.5


def names():
    return sorted(name for name in os.listdir(UNITS) if re.search(r"\.(service|target)$", name))


def setting(name, key):
    with open(os.path.join(UNITS, name), encoding="utf-8") as file:
        return re.findall(rf"^{key}=(.*)$", file.read(), re.MULTILINE)


def check(findings):
    executor = "holdfast-executor@.service"
    grace = default_seconds("shutdownGracePeriod")
    findings.expect(
        int(setting(executor, "TimeoutStopSec")[-1]) >= grace + 10,
        f"{executor}: TimeoutStopSec must be ten seconds more than shutdownGracePeriod ({grace} s)",
    )
    findings.expect(
        int(setting(executor, "WatchdogSec")[-1]) >= 3 * report_interval(),
        f"{executor}: WatchdogSec must leave room for three reports",
    )
    findings.expect(setting(executor, "Type") == ["notify"], f"{executor}: Type must be notify")
    findings.expect(
        setting("holdfast-executors.target", "WantedBy") and setting(executor, "PartOf") == ["holdfast-executors.target"],
        "the executors must be part of holdfast-executors.target",
    )
    if not shutil.which("systemd-analyze"):
        print("ops/check-deploy: there is no systemd-analyze here; the units are not verified")
        return
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for name in names():
            with open(os.path.join(UNITS, name), encoding="utf-8") as file:
                # The programs are not installed here.
                text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", file.read(), flags=re.MULTILINE)
            for instance in [name, name.replace("@.", "@1.")]:
                with open(os.path.join(folder, instance), "w", encoding="utf-8") as file:
                    file.write(text)
            copies.append(os.path.join(folder, name.replace("@.", "@1.")))
        environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}
        verified = run(["systemd-analyze", "verify", "--man=no", *copies], environment)
        findings.expect(
            verified.returncode == 0 and not verified.stdout.strip(), f"systemd-analyze verify says: {verified.stdout}"
        )
        for copy in copies:
            if copy.endswith(".service"):
                check_exposure(copy, environment, findings)


def check_exposure(path, environment, findings):
    name = os.path.basename(path)
    analysed = run(["systemd-analyze", "security", "--offline=true", "--no-pager", path], environment)
    match = re.search(r"Overall exposure level for .*: ([\d.]+)", analysed.stdout)
    if findings.expect(match, f"systemd-analyze security says of {name}: {analysed.stdout}"):
        print(f"deploy/systemd: exposure of {name}: {match[1]} of 10")
        findings.expect(
            float(match[1]) <= MOST_EXPOSURE, f"{name}: its exposure is {match[1]}, more than {MOST_EXPOSURE}"
        )


def run(command, environment):
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
