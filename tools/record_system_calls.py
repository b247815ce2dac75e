"""Records the system calls of programs that run in sandboxes, with strace, outside of a sandbox.

    apt-get install strace
    python tools/record_system_calls.py > tests/security/recorded_system_calls.json

Prints JSON: for each program its calls, and for each call whose arguments the filter restricts, the values of those
arguments. Names of programs as arguments limit the record to these. A test compares the record with the filter.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from local_agentcore.sandbox.syscall_arguments import LOW_HALF, RESTRICTIONS

PROJECT = Path(__file__).resolve().parents[1]
RUNTIME = PROJECT / "local" / "runtimes" / "sandbox" / ".venv"
CALL = re.compile(r"^\d+ +(\w+)\(([^)<]*)")
"""A line of strace: process, name and arguments. Lines about signals and resumed calls do not match."""

CPYTHON = """
import asyncio, concurrent.futures, fcntl, getpass, glob, grp, hashlib, json, locale, logging, mmap, multiprocessing
import os, platform, pty, pwd, queue, random, resource, select, selectors, shutil, signal, socket, sqlite3, ssl, stat
import subprocess, sys, tempfile, termios, threading, time, tty, uuid, zipfile

folder = tempfile.mkdtemp()
os.chdir(folder)
for index in range(3):
    os.makedirs(f"a/{index}", exist_ok=True)
    with open(f"a/{index}/x.txt", "w+") as file:
        file.write("x" * 70_000); file.flush(); os.fsync(file.fileno()); file.seek(0); file.read(); file.truncate(5)
        fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_UN); os.posix_fallocate(file.fileno(), 0, 9)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL); os.pread(file.fileno(), 2, 0)
        mmap.mmap(file.fileno(), 5).close()
shutil.copytree("a", "b"); shutil.move("b", "c"); shutil.copy2("a/0/x.txt", "d"); shutil.make_archive("z", "zip", "a")
os.symlink("d", "e"); os.readlink("e"); os.link("d", "f"); os.chmod("d", 0o600); os.utime("d"); os.mkfifo("g")
os.chown("d", os.getuid(), os.getgid()); os.access("d", os.R_OK); os.statvfs("."); list(os.scandir("."))
os.rename("d", "h")
os.listxattr("h"); os.replace("h", "i"); os.sync(); os.urandom(9); os.sendfile
with open("i", "rb") as source, open("j", "wb") as target:
    os.sendfile(target.fileno(), source.fileno(), 0, 4); os.copy_file_range(source.fileno(), target.fileno(), 1)
shutil.rmtree("a")
print(subprocess.run(["sh", "-c", "ls | wc -l; echo $((1 + 1))"], capture_output=True, text=True).stdout)
subprocess.run("cat /dev/null", shell=True, start_new_session=True, preexec_fn=os.getpid)
child = os.fork()
if not child: os.nice(1); os._exit(0)
os.waitpid(child, 0)
def work(number): return number * number
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool: pool.map(work, range(4))
    with concurrent.futures.ProcessPoolExecutor(2) as pool: list(pool.map(abs, range(4)))
    with concurrent.futures.ThreadPoolExecutor(2) as pool: list(pool.map(work, range(4)))
    from multiprocessing import shared_memory
    memory = shared_memory.SharedMemory(create=True, size=100); memory.close(); memory.unlink()
async def echo(reader, writer): writer.write(await reader.read(5)); await writer.drain(); writer.close()
async def network():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello"); await reader.read(); writer.close(); server.close()
    process = await asyncio.create_subprocess_exec("true"); await process.wait()
    await asyncio.to_thread(time.sleep, 0.01)
asyncio.run(network())
for family, kind in ((socket.AF_INET6, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_DGRAM)):
    with socket.socket(family, kind) as one: one.setblocking(False); one.settimeout(1)
with socket.create_server(("127.0.0.1", 0)) as server: server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
one, other = socket.socketpair(); socket.send_fds(one, [b"x"], [0]); socket.recv_fds(other, 1, 1); one.shutdown(2)
try: socket.getaddrinfo("localhost", 80); socket.getaddrinfo("name.invalid", 80)
except OSError: pass
socket.if_nameindex(); socket.gethostname(); platform.platform(); getpass.getuser(); pwd.getpwuid(os.getuid())
ssl.create_default_context(); sqlite3.connect("k").execute("create table t (x)").connection.commit(); uuid.uuid1()
signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]); signal.raise_signal(signal.SIGUSR1); signal.sigpending()
signal.sigtimedwait([signal.SIGUSR1], 1); signal.pthread_kill(threading.get_ident(), 0); os.kill(os.getpid(), 0)
resource.getrusage(resource.RUSAGE_SELF); resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
master, slave = pty.openpty(); tty.setraw(slave); termios.tcgetattr(slave); os.get_terminal_size(slave)
os.ttyname(slave)
pty.spawn(["true"])
os.sched_getaffinity(0); os.sched_yield(); os.getloadavg(); os.getpriority(os.PRIO_PROCESS, 0); os.times()
os.cpu_count()
os.memfd_create("x"); os.eventfd(0); os.pidfd_open(os.getpid()); select.epoll().close(); select.poll().poll(0)
select.select([], [], [], 0.01); os.pipe2(os.O_CLOEXEC); os.getgroups(); os.setpgid(0, 0); os.umask(0o22)
time.sleep(0.01); time.process_time(); time.clock_getres(time.CLOCK_MONOTONIC); time.tzset()
"""
NUMPY = "import numpy; a = numpy.random.rand(400, 400); print((a @ a).sum() > 0, numpy.linalg.svd(a)[1][0] > 0)"
PANDAS = """
import pandas
frame = pandas.DataFrame({"a": range(1000), "b": ["x", "y"] * 500})
frame.to_csv("x.csv"); frame.to_excel("x.xlsx")
print(pandas.read_csv("x.csv").groupby("b").a.sum(), pandas.read_excel("x.xlsx").shape)
"""
MATPLOTLIB = """
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot
pyplot.plot([1, 2]); pyplot.title("x"); pyplot.savefig("x.png"); pyplot.savefig("x.pdf")
"""
DUCKDB = """
import duckdb
connection = duckdb.connect("x.db")
connection.sql("create table t as select range as a from range(300000)")
connection.sql("copy t to 'x.parquet'"); print(connection.sql("select sum(a) from 'x.parquet'").fetchone())
"""
SCIKIT_LEARN = """
from sklearn.datasets import load_iris
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
iris = load_iris()
print(cross_val_score(RandomForestClassifier(10, n_jobs=2), iris.data, iris.target, n_jobs=2).mean() > 0.9)
KMeans(3, n_init=1).fit(iris.data)
"""
JAVASCRIPT = """
import fs from "node:fs"; import http from "node:http"; import os from "node:os"; import dns from "node:dns/promises";
import { spawnSync, execSync } from "node:child_process"; import crypto from "node:crypto"; import net from "node:net";
import { Worker } from "node:worker_threads"; import dgram from "node:dgram"; import zlib from "node:zlib";
fs.mkdirSync("n/m", { recursive: true }); fs.writeFileSync("n/x", "x".repeat(99999)); fs.copyFileSync("n/x", "n/y");
fs.renameSync("n/y", "n/z"); fs.symlinkSync("x", "n/l"); fs.readdirSync("n"); fs.statSync("n/x");
fs.chmodSync("n/x", 0o600);
fs.appendFileSync("n/x", "y"); fs.truncateSync("n/x", 3); fs.mkdtempSync("t"); fs.accessSync("n/x");
fs.utimesSync("n/x", 1, 1);
await fs.promises.readFile("n/z"); fs.createReadStream("n/z").pipe(fs.createWriteStream("n/w"));
try { const watched = fs.watch("n"); watched.close(); } catch (error) { console.log(error.code); }
console.log(spawnSync("ls", ["n"]).stdout.toString(), execSync("echo 1").toString(), os.cpus().length);
os.networkInterfaces(); os.hostname(); os.userInfo(); os.loadavg();
try { console.log(await dns.lookup("localhost")); await dns.lookup("name.invalid");
} catch (error) { console.log(error.code); }
crypto.randomBytes(9); crypto.scryptSync("a", "b", 9); zlib.gzipSync("x");
await new Promise((done) => { const worker = new Worker("1 + 1", { eval: true }); worker.on("exit", done); });
await new Promise((done) => { const one = dgram.createSocket("udp4"); one.bind(0, () => one.close(done)); });
await new Promise((done) => {
  const server = http.createServer((_, response) => response.end("x")).listen(0, async () => {
    console.log(await (await fetch(`http://127.0.0.1:${server.address().port}`)).text());
    server.closeAllConnections?.(); server.close(done); setTimeout(done, 300);
  });
});
setTimeout(() => process.exit(0), 20);
"""
SHELL = """
set -e
mkdir -p d; cp /etc/passwd d/a; cp -a d e; mv e/a e/b; ln -s a d/l; touch -d yesterday d/a; chmod 600 d/a
ls -la d > out
cat d/a | grep -c root; sort d/a | uniq | head -1 | cut -d: -f1 | tr a-z A-Z; sed -n 1p d/a; awk 'END { print NR }' d/a
find . -type f | wc -l; tar czf t.tgz d; tar xzf t.tgz; du -s .; df . > out; stat d/a > out; date > out; sleep 0.01
mkfifo p
dd if=/dev/zero of=z bs=4096 count=2 2> out; truncate -s 9 z; sync z; rm -rf d; env > out; id > out; nproc
uname -a > out
timeout 1 sleep 0.01; (trap 'echo end' EXIT; true) & wait; ps > out 2>&1 || true; mktemp > out; sha256sum z
diff z z; xargs echo < out > z
nice true; nohup true > out 2>&1; kill -0 $$; ulimit -n > out; test -t 1 || true; tail -c 5 out; split -b 9 out
tee z < out > o2
"""
PIP_ARGUMENTS = "-m pip install --no-index --no-deps --target packages ./tiny-1.0-py3-none-any.whl"
AWS_ARGUMENTS = "s3 ls --endpoint-url http://127.0.0.1:1 --no-sign-request --region us-east-1 --cli-connect-timeout 1"
python = str(RUNTIME / "bin" / "python")
PROGRAMS = {
    "CPython": [python, "-c", CPYTHON],
    "numpy": [python, "-c", NUMPY],
    "pandas": [python, "-c", PANDAS],
    "matplotlib": [python, "-c", MATPLOTLIB],
    "duckdb": [python, "-c", DUCKDB],
    "scikit-learn": [python, "-c", SCIKIT_LEARN],
    "Node": [str(RUNTIME / "bin" / "node"), "--input-type=module", "-e", JAVASCRIPT],
    "Deno": [str(RUNTIME / "bin" / "deno"), "run", "-A", "program.mjs"],
    "pip": [python, *PIP_ARGUMENTS.split()],
    "AWS CLI": [python, str(RUNTIME / "bin" / "aws"), *AWS_ARGUMENTS.split()],
    "shell": ["bash", "-c", SHELL],
}  # fmt: skip
"""Command lines by name."""
FAILS = {"AWS CLI"}
"""Programs whose exit code is not 0, because no service answers."""


def record(name: str) -> dict[str, list[list[int]]]:
    """Runs a program. Returns the values of restricted arguments by call, without duplicates."""
    calls: dict[str, set[tuple[int, ...]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "program.mjs").write_text(JAVASCRIPT)
        sys.path.insert(0, str(PROJECT))
        from tests.support.wheels import wheel

        file, data = wheel("tiny", "1.0")
        (Path(folder) / file).write_bytes(data)
        trace = Path(folder) / "trace"
        command = ["strace", "-f", "-qq", "-e", "raw=all", "-e", "signal=none", "-o", str(trace), *PROGRAMS[name]]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
        if ended.returncode and name not in FAILS:
            raise SystemExit(f"{name} failed: {ended.stderr[-2000:]}")
        for line in trace.read_text(errors="replace").splitlines():
            if found := CALL.match(line):
                call, text = found.groups()
                values = [int(value, 0) & LOW_HALF for value in text.replace("...", "").split(",") if value.strip()]
                calls.setdefault(call, set()).add(tuple(values[index] for index in restricted_arguments(call)))
    return {call: sorted(map(list, values)) for call, values in sorted(calls.items())}


def restricted_arguments(call: str) -> list[int]:
    """Returns the indexes of the arguments that the filter compares."""
    rules = RESTRICTIONS[call].allowed if call in RESTRICTIONS else ()
    return sorted({match.index for rule in rules for match in rule})


def main() -> None:
    """Records the programs named on the command line, or all, and prints the record."""
    print(
        json.dumps({name: record(name) for name in sys.argv[1:] or PROGRAMS}, separators=(",", ":")).replace(
            "},", "},\n"
        )
    )


if __name__ == "__main__":
    main()
