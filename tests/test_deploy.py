"""The manifests for Kubernetes: their schemas, and that they start what this program has.

The jobs are checked against the schemas of Kubernetes. Of KEDA no schema is at hand: its fields are compared with a
list of those of version 2.16.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from sqlalchemy import text

from lgt.cli.training import check_worker_options
from lgt.store import leases, writes
from lgt.store.engine import open_store
from tests.conftest import ROOT, tiny

FOLDER = ROOT / "deploy" / "kubernetes"
JOB = yaml.safe_load((FOLDER / "job.yaml").read_text())
SCALED, AUTHENTICATION = yaml.safe_load_all((FOLDER / "scaledjob.yaml").read_text())
AS_JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": SCALED["spec"]["jobTargetRef"]}
JOBS = pytest.mark.parametrize("job", [JOB, AS_JOB], ids=["job", "scaledjob"])
SCALED_FIELDS = {"pollingInterval", "maxReplicaCount", "minReplicaCount", "successfulJobsHistoryLimit", "triggers",
                 "failedJobsHistoryLimit", "jobTargetRef", "rollout", "scalingStrategy"}  # fmt: skip


@JOBS
def test_a_job_is_one_of_kubernetes(job: dict[str, Any]) -> None:
    kubernetes = pytest.importorskip("kubernetes_validate")
    kubernetes.validate(job, "1.37", strict=True)
    wrong = job | {"spec": job["spec"] | {"parallel": 4}}
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(wrong, "1.37", strict=True)


@JOBS
def test_a_job_starts_workers_as_the_user_of_the_image_and_gives_them_time_to_give_back(job: dict[str, Any]) -> None:
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    words = container["command"]
    assert words[:4] == ["python", "-m", "lgt", "worker"]
    options = dict(zip(words[4::2], map(int, words[5::2]), strict=True))
    assert set(options) == {"--threads", "--idle"}
    check_worker_options(options["--threads"], 1, 1, options["--idle"], "cpu")
    assert f"--uid {pod['securityContext']['runAsUser']} lgt" in (ROOT / "Dockerfile").read_text()
    assert pod["terminationGracePeriodSeconds"] > leases.LEASE_SECONDS
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    environment = {one["name"]: one for one in container["env"]}
    assert "value" not in environment["LGT_DATABASE_URL"], "a password belongs into a secret"
    mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounted)
    assert environment["LGT_FILES"]["value"] == mounted["files"]
    assert environment["LGT_CACHE"]["value"].startswith(mounted["scratch"])


def test_keda_asks_the_store_by_a_secret() -> None:
    assert SCALED["apiVersion"] == AUTHENTICATION["apiVersion"] == "keda.sh/v1alpha1"
    assert (SCALED["kind"], AUTHENTICATION["kind"]) == ("ScaledJob", "TriggerAuthentication")
    assert set(SCALED["spec"]) <= SCALED_FIELDS
    (trigger,) = SCALED["spec"]["triggers"]
    assert set(trigger) == {"type", "metadata", "authenticationRef"} and trigger["type"] == "postgresql"
    assert trigger["authenticationRef"]["name"] == AUTHENTICATION["metadata"]["name"]
    assert all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA takes only texts"
    (secret,) = AUTHENTICATION["spec"]["secretTargetRef"]
    assert secret == {"parameter": "connection", "name": "lgt-store", "key": "keda"}


@pytest.mark.slow
def test_the_query_of_keda_counts_waiting_runs(postgresql: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGT_FILES", str(tmp_path))
    store = open_store(postgresql)
    (trigger,) = SCALED["spec"]["triggers"]
    ids = [writes.create_run(store, tiny(model_seed=seed)) for seed in range(3)]
    leases.start_run(store, ids[0], "w", "cpu")
    with store.begin() as connection:
        assert connection.scalar(text(trigger["metadata"]["query"])) == 2
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    store.dispose()
