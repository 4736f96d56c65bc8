"""A real SLURM on one machine: its daemons on two hosts made of namespaces, started in seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.hosts import Host, two_hosts, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
NODES = ("n1", "n2")
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={first.name}({first.address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge.socket
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
SlurmdParameters=config_overrides
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool/%n
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.%n.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.%n.log
# Short waits between looks at jobs, and none before a job that was requeued.
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
KillWait=30
JobRequeue=1
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{nodes}
PartitionName=main Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace}
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""
_NODE = "NodeName={0.name} NodeAddr={0.address} CPUs=64 RealMemory=4000 Gres=gpu:8"


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        hosts: The nodes; the first one also runs the controller.
        environment: Variables of every command and job.
    """

    hosts: tuple[Host, Host]
    environment: dict[str, str]

    def run(self, *command: object, folder: Path = Path("/")) -> str:
        """Run one of SLURM's commands on the first node; returns its output."""
        process = self.hosts[0].start(*command, folder=folder, environment=self.environment)
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0, f"{command}: {out}{error}"
        return out

    def submit(self, script: Path, *arguments: object, options: str = "") -> Job:
        """Submit a script from its folder with `sbatch OPTIONS SCRIPT ARGUMENTS`."""
        line = ["sbatch", "--parsable", *options.split(), script.name, *arguments]
        return Job(self, self.run(*line, folder=script.parent).strip())


@dataclass(frozen=True)
class Job:
    """A job that was submitted; `number` is `7`, or `7_1` for a task of an array."""

    cluster: Cluster
    number: str

    def fields(self) -> dict[str, str]:
        """What `scontrol show job` prints."""
        text = self.cluster.run("scontrol", "show", "job", self.number)
        return dict(re.findall(r"(\w+)=(\S*)", text))

    @property
    def state(self) -> str:
        """PENDING, RUNNING, COMPLETED, FAILED, ..."""
        return self.fields()["JobState"]

    @property
    def exit_code(self) -> int:
        """Exit code of the script."""
        return int(self.fields()["ExitCode"].split(":")[0])

    @property
    def output(self) -> str:
        """What the job has printed."""
        path = Path(self.fields()["StdOut"])
        return path.read_text() if path.exists() else ""

    def wait(self, seconds: float = 300) -> str:
        """Wait until it has ended; returns its state."""
        ended = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "PREEMPTED", "NODE_FAIL")
        wait_until(lambda: self.state in ended, seconds, every=0.3)
        return self.state

    def skip_the_wait_of_a_requeued_job(self) -> None:
        """Wait until it is requeued, and let it start in seconds, not minutes."""
        wait_until(lambda: self.fields()["Restarts"] == "1" and self.state == "PENDING", 150)
        # Not at once: the nodes refuse a job whose last start they have just revoked.
        self.cluster.run("scontrol", "update", f"JobId={self.number}", "StartTime=now+5")


@contextmanager
def slurm(base: Path, environment: dict[str, str], grace_s: int = 20) -> Iterator[Cluster]:
    """A cluster of two nodes with 64 CPUs and 8 GPUs each, neither of which they need to have.

    It has two partitions: main, and urgent, whose jobs preempt those of main by requeuing them.

    Args:
        base: Folder of configuration, state and logs.
        environment: Variables of every job.
        grace_s: Seconds that a preempted job has to end.
    """
    with two_hosts(base, NODES) as hosts:
        first = hosts[0]
        (base / "state").mkdir()
        nodes = "\n".join(_NODE.format(host) for host in hosts)
        text = _CONFIGURATION.format(first=first, base=base, nodes=nodes, grace=grace_s)
        (base / "slurm.conf").write_text(text)
        (base / "gres.conf").write_text(f"Name=gpu File={base}/gpu[0-7]\n")
        for number in range(8):
            (base / f"gpu{number}").touch()
        variables = {**environment, "SLURM_CONF": str(base / "slurm.conf")}
        _start_munge(first, base)
        first.start("slurmctld", "-D", folder=base, log=base / "out", environment=variables)
        for host in hosts:
            (base / "spool" / host.name).mkdir(parents=True)
            daemon = ("slurmd", "-D", "-N", host.name)
            host.start(*daemon, folder=base, log=base / "out", environment=variables)
        cluster = Cluster(hosts, variables)
        wait_until(lambda: _idle_nodes(cluster) == len(hosts))
        yield cluster


def _start_munge(host: Host, base: Path) -> None:
    key = base / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(bytes(range(256)) * 4)
    files = {"key-file": key, "socket": base / "munge.socket", "pid-file": base / "munge.pid"}
    files |= {"log-file": base / "munge.log", "seed-file": base / "munge.seed"}
    options = [f"--{name}={path}" for name, path in files.items()]
    host.start("munged", "--foreground", "--force", *options, folder=base, log=base / "out")
    wait_until(files["socket"].exists)


def _idle_nodes(cluster: Cluster) -> int:
    line = ["sinfo", "--noheader", "--Node", "--states=idle", "--partition=main"]
    try:
        return len(cluster.run(*line).splitlines())
    except AssertionError:  # the controller does not listen yet
        return 0
