"""Plays what stands between a Job and its process: scheduler, kubelet, and the controllers of Jobs and of garbage.

Nodes are objects and folders. A Job's container is a process here, with its command line and environment: paths that
it mounts are below the node's folder, and its account is one of the API server's own tokens. When it ends, the Job gets
the conditions that the job controller of Kubernetes 1.35 writes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Final

from urllib3.exceptions import HTTPError

from tests.kubernetes.controlplane import Client, ControlPlane, Object, RefusedError

NAMESPACE: Final = "turnout-system"
JOBS: Final = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
NODES: Final = "/api/v1/nodes"
_LOOK_S: Final = 0.1
_PASSING: Final = (403, 404, 409, 429, 503)
"""What has changed meanwhile, and what a server answers that has just been started."""


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Kubelet:
    plane: ControlPlane
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, "subprocess.Popen[bytes]"])
    """By uid of the Job."""
    started: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(node, Job) of every process that there was."""
    most_at_once: dict[str, int] = field(default_factory=dict[str, int])
    """By node."""
    holds: bool = False
    """Processes are not started for the time being."""
    gone: set[str] = field(default_factory=set[str])
    """Nodes whose kubelet does nothing more."""
    failure: BaseException | None = None
    _nodes: dict[str, str] = field(default_factory=dict[str, str])
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None
    _account: Client | None = None

    def start(self) -> None:
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for process in self.processes.values():
            process.kill()
            process.wait()
        assert self.failure is None, self.failure

    def add_node(self, name: str, **labels: str) -> None:
        node = {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}}}
        self.plane.client.create(NODES, {"apiVersion": "v1", "kind": "Node", **node})
        self.set_ready(name, True)

    def set_ready(self, name: str, is_ready: bool) -> None:
        ready = {"type": "Ready", "status": "True" if is_ready else "Unknown", "lastTransitionTime": now()}
        self.plane.client.merge(f"{NODES}/{name}/status", {"status": {"conditions": [ready]}})

    def remove_node(self, name: str) -> None:
        """With its Pods, as their garbage collector does some time later."""
        self.gone.add(name)
        self.plane.client.ask("DELETE", f"{NODES}/{name}")

    def store(self, node: str) -> Path:
        return self.folder / node / "var/lib/turnout/images"

    def log(self, job: str) -> str:
        return (self.folder / f"{job}.log").read_text()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            try:
                for job in self.plane.client.get(JOBS)["items"]:
                    self._look_at(job)
            except RefusedError as error:
                if error.code not in _PASSING:
                    self.failure = error
                    return
            except HTTPError:
                continue  # the server is started again
            except Exception as error:  # noqa: BLE001  shown by the test that stops it
                self.failure = error
                return

    def _look_at(self, job: Object) -> None:
        uid, node = job["metadata"]["uid"], _node(job)
        process = self.processes.get(uid)
        if node in self.gone:
            self._lose(job, process)
        elif job["metadata"].get("deletionTimestamp"):
            self._end(job, process)
        elif process is None and not _has_ended(job) and not self.holds:
            self._begin(job, node)
        elif process is not None and process.poll() is not None and not _has_ended(job):
            self._tell(job, process.returncode)

    def _begin(self, job: Object, node: str) -> None:
        name = job["metadata"]["name"]
        self.plane.client.merge(f"{JOBS}/{name}/status", {"status": {"startTime": now(), "active": 1}})
        (container,) = job["spec"]["template"]["spec"]["containers"]
        (store,) = (one["hostPath"]["path"] for one in job["spec"]["template"]["spec"]["volumes"] if "hostPath" in one)
        place = f"{self.folder / node}{store}"
        Path(place).mkdir(parents=True, exist_ok=True)
        program, *command = container["command"]
        arguments = [text.replace(store, place) for text in container["args"]]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [Path(sys.executable).with_name(program), *command, *arguments],
                env=os.environ | {"KUBECONFIG": str(self._kubeconfig(job))},
                stdout=log,
                stderr=log,
            )
        self.processes[job["metadata"]["uid"]] = process
        self.started.append((node, name))
        self._nodes[job["metadata"]["uid"]] = node
        running = [uid for uid, one in self.processes.items() if self._nodes[uid] == node and one.poll() is None]
        self.most_at_once[node] = max(self.most_at_once.get(node, 0), len(running))

    def _kubeconfig(self, job: Object) -> Path:
        if self._account is None:
            self._account = self.plane.client_of(NAMESPACE, job["spec"]["template"]["spec"]["serviceAccountName"])
        return self._account.kubeconfig(self.folder / "job.kubeconfig")

    def _end(self, job: Object, process: subprocess.Popen[bytes] | None) -> None:
        """Of a Job that is deleted in the foreground: its Pods first, then itself."""
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()
        self._remove(job)

    def _lose(self, job: Object, process: subprocess.Popen[bytes] | None) -> None:
        """The node is gone, whatever ran there."""
        if process is not None:
            process.kill()
            process.wait()
        if job["metadata"].get("deletionTimestamp"):
            self._remove(job)

    def _remove(self, job: Object) -> None:
        self.plane.client.merge(f"{JOBS}/{job['metadata']['name']}", {"metadata": {"finalizers": None}})

    def _tell(self, job: Object, code: int) -> None:
        if code == 0:
            words = {"reason": "CompletionsReached", "message": "Reached expected number of succeeded pods"}
            kinds, counted = ("SuccessCriteriaMet", "Complete"), {"succeeded": 1, "completionTime": now()}
        else:
            words = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
            kinds, counted = ("FailureTarget", "Failed"), {"failed": 1}
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": now(), **words} for kind in kinds]
        status = {**counted, "active": 0, "conditions": conditions}
        self.plane.client.merge(f"{JOBS}/{job['metadata']['name']}/status", {"status": status})


def _node(job: Object) -> str:
    affinity = job["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    (match,) = term["matchFields"]
    assert (match["key"], match["operator"]) == ("metadata.name", "In")
    return match["values"][0]


def _has_ended(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def await_that(what: str, holds: object, seconds: float = 60) -> None:
    """Until `holds()` is true."""
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
