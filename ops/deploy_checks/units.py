# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The systemd units."""

import os
import re
import shutil
import subprocess
import tempfile

from findings import DEPLOY, default_seconds, read, report_interval

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
    for name in names():
        check_password_file(name, findings)
    findings.expect(
        setting(executor, "RestartPreventExitStatus") == [slot_taken_status()],
        f"{executor}: RestartPreventExitStatus must be the example's status for a slot that is taken",
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


def check_password_file(name, findings):
    """libpq wants a file that nobody else may read; a credential has group bits since systemd 254."""
    files = [value.removeprefix("PGPASSFILE=") for value in setting(name, "Environment") if "PGPASSFILE" in value]
    for file in files:
        folder = os.path.dirname(file)
        findings.expect(
            [folder] == [f"%t/{each}" for each in setting(name, "RuntimeDirectory")]
            and setting(name, "RuntimeDirectoryMode") == ["0700"]
            and f"/usr/bin/install -m 0600 %d/pgpass {file}" in setting(name, "ExecStartPre"),
            f"{name}: PGPASSFILE must be a copy of the credential, of mode 0600, in a RuntimeDirectory of its own",
        )
    for source in setting(name, "LoadCredential"):
        path = source.partition(":")[2]
        with open(os.path.join(DEPLOY, "README.md"), encoding="utf-8") as readme:
            findings.expect(
                f"/dev/stdin {path} " in readme.read(), f"{name}: deploy/README.md does not say how to make {path}"
            )


def slot_taken_status():
    text = read("Examples", "Sources", "Inventory", "Commands", "WorkCommand.swift")
    return re.search(r"slotTakenStatus: Int32 = (\d+)", text)[1]


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
