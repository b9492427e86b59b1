"""Machine: a Debian of its own, in namespaces of the kernel: processes, files, network, control groups.

Its files are a folder that is never written: what it changes is in memory, and gone with it. Process 1 is
what the test says: systemd makes it a whole machine, an app makes it a container. It reaches no network, and
the settings of the kernel are read-only to it. It takes root, `unshare`, and a folder that `debian` makes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from tests.ecosystem.__main__ import LEFT_OUT
from tests.places import BUILD

RELEASE = "trixie"  # of Debian: 13, with Python 3.13 as the image python:3.13-slim, and systemd 257
PACKAGES = "systemd,systemd-sysv,nginx-light,haproxy,python3,python3-venv,curl,wrk"
MIRROR = "http://deb.debian.org/debian"

PATH = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The loopback interface comes up (SIOCSIFFLAGS), then the folder becomes the root. With "ro" only
# /tmp, /run and /dev can be written.
BOOT = """
set -e
python=$1 root=$2 mode=$3; shift 3
"$python" -c '
import fcntl, socket
fcntl.ioctl(socket.socket(), 0x8914, b"lo".ljust(16, bytes(1)) + b"A" + bytes(15))'
mount --make-rprivate /
mount -t tmpfs machine /mnt
mkdir /mnt/changes /mnt/work /mnt/root
mount -t overlay machine -o lowerdir="$root",upperdir=/mnt/changes,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
for kernel in proc/sys proc/sysrq-trigger; do
    test -e $kernel || continue
    mount --bind $kernel $kernel
    mount -o remount,bind,ro $kernel
done
mkdir -p old
pivot_root . old
umount -l /old
test "$mode" = rw || mount -o remount,bind,ro /
exec env -i container=kissapi "$@"
"""


def left_out(why: str) -> NoReturn:
    """End this item: something that it takes cannot be had."""
    print(why)
    raise SystemExit(LEFT_OUT)


def debian() -> Path:
    """The folder with Debian's files, made once by debootstrap: two minutes, 340 MB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        left_out("it takes Linux and root")
    for program, package in (("unshare", "util-linux"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            left_out(f"{program} is not installed: apt-get install {package}")
    root = BUILD / "debian"
    if not root.exists():
        fresh = BUILD / "debian.new"
        shutil.rmtree(fresh, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(fresh), MIRROR]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            left_out(f"debootstrap failed: {done.stdout.strip().splitlines()[-1:]}")
        fresh.rename(root)  # whole or not at all
    return root


class Machine:
    """A machine whose process 1 is `command`, on the files in `root`; it ends with the block."""

    def __init__(self, root: Path, *command: str, read_only: bool = False) -> None:
        self._group = _control_groups() / f"kissapi-{os.getpid()}"
        self._log = BUILD / f"machine-{os.getpid()}.log"
        self._group.mkdir(exist_ok=True)
        unshare = "unshare --cgroup --mount --pid --uts --ipc --net --fork --kill-child".split()
        enter = 'echo $$ >"$0"; exec "$@"'  # a cgroup namespace begins where its first process is
        boot = [
            "sh",
            "-c",
            BOOT,
            "sh",
            sys.executable,
            str(root),
            "ro" if read_only else "rw",
            PATH,
            *command,
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", enter, str(self._group / "cgroup.procs"), *unshare, *boot],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self.pid = int(wait_for(self._first_process, self))  # of process 1, as this machine counts
        except BaseException as error:
            self._clean_up(error)
            raise

    def _first_process(self) -> str:
        assert self._process.poll() is None, "it has ended"
        tasks = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        is_in = tasks and b"container=kissapi\0" in Path(f"/proc/{tasks[0]}/environ").read_bytes()
        return tasks[0] if is_in else ""

    @property
    def log(self) -> str:
        """What process 1 has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def file(self, path: str) -> Path:
        """A file of the machine, as this process reads and writes it."""
        return Path(f"/proc/{self.pid}/root{path}")

    def words(self, *command: str) -> list[str]:
        """What runs `command` in the machine, as root, with none of the variables of this process."""
        enter = ["nsenter", "--target", str(self.pid), "--all", "--wd"]
        return [*enter, "env", "-i", PATH, *command]

    def run(self, *command: str, fails: bool = False, seconds: float = 60) -> str:
        """What `command` prints in the machine; `fails` if it may."""
        words = self.words(*command)
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
        output = (done.stdout + done.stderr).decode()
        assert fails or done.returncode == 0, f"{command} ended with {done.returncode}:\n{output}\n{self.log}"
        return output

    def send(self, number: int) -> None:
        """Send a signal to process 1."""
        os.kill(self.pid, number)

    def end(self, seconds: float) -> int:
        """The exit code of process 1, once it has ended by itself."""
        return self._process.wait(seconds)

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up(error)

    def _clean_up(self, error: BaseException | None) -> None:
        self._process.kill()  # the kernel ends process 1 with it, and all others with that
        self._process.wait()
        if error is not None:
            error.add_note(f"the machine has said:\n{self.log}")
        for folder, _, _ in os.walk(self._group, topdown=False):
            wait_for(lambda folder=folder: _removed(folder), self)
        self._log.unlink()


def _control_groups() -> Path:
    """Where version 2 is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    left_out("it takes control groups of version 2")


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except OSError:  # a process in it has not quite ended
        return False
    return True


def wait_for(condition: Callable[[], Any], machine: Machine, seconds: float = 30) -> Any:
    """What `condition` gives, once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, (
            f"it took more than {seconds:g} s; the machine has said:\n{machine.log}"
        )
        time.sleep(0.05)
    return found
