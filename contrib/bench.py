"""Measures whole programs: Sluice's nodes, and libtorrent beside them in the same run, over loopback alone.

contrib/bench swarm      downloads of one file: encrypted, verified leaf by leaf, paid and written by Sluice; plain by
                         libtorrent (BitTorrent v2, no encryption, no payment). Each is run in turn, `--runs` times;
                         medians and ratios are printed.

contrib/bench streaming  how long a player waits for a first byte and for a seek on a link of 10 MB/s.

contrib/bench classes    the latency of blocks from announcement to connection, idle and beside a download.

Every node and every client is a process of its own. Files are in memory (/dev/shm) unless --folder says otherwise, so
that a slow disk does not hide the programs. CPU seconds are those of the process, in user and kernel.
"""

import argparse
import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "functional_tests"))
import bench_classes  # noqa: E402  pylint: disable=wrong-import-position
import bench_streaming  # noqa: E402  pylint: disable=wrong-import-position
from framework import MIB, SluiceTest  # noqa: E402  pylint: disable=wrong-import-position

GIB = 1 << 30
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SHAPES = {"1-1": (1, 1), "4-1": (4, 1), "1-4": (1, 4)}  # seeders, downloaders
PRICE = "0.00001"  # SLU for each MiB
DOWNLOAD_TIMEOUT_S = 600
SAMPLE_S = 0.1
WARM_SLACK = 256 * MIB  # for what programs take besides what they write


def raise_loopback():
    """Sets the interface `lo` of this network namespace up (SIOCGIFFLAGS, SIOCSIFFLAGS of netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, 0x8913, request))[1]
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def say(text):
    print(text, file=sys.stderr, flush=True)


class WarmMemory:
    """At least `size` bytes of free memory that the host of this virtual machine has backed with memory of its own.

    A host takes back what was free for a while, and then the first use of a page costs ten times what a program does
    with it: without this a run measures how long ago the one before it was. What is handed over goes in blocks of
    2 MiB and more; so these bytes are used once and freed but for a page here and there, which keeps them in smaller
    blocks. The kernel gives those out first.
    """

    HELD_EVERY = 64  # pages

    def __init__(self, size):
        self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a kernel without huge pages
            self._memory.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, size, PAGE):
            self._memory[at] = 1
        step = self.HELD_EVERY * PAGE
        for at in range(0, size - step, step):
            self._memory.madvise(mmap.MADV_DONTNEED, at + PAGE, step - PAGE)

    def close(self):
        self._memory.close()


class Usage:
    """CPU seconds of processes, and the most memory that each held, between enter and exit.

    `to_write` bytes of new memory are about to be taken.
    """

    def __init__(self, pids, to_write):
        self.pids = list(pids)
        self._memory = WarmMemory(to_write + WARM_SLACK)
        self.cpu_s = []
        self.peak_rss = []
        self._ending = threading.Event()
        self._peaks = {}

    @staticmethod
    def _cpu(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @staticmethod
    def rss(pid):
        """Resident bytes but for mapped files, which the kernel takes back when it likes."""
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            values = {line.split(":")[0]: line.split()[1] for line in file if line.startswith("Rss")}
        return (int(values["RssAnon"]) + int(values["RssShmem"])) * 1024

    def __enter__(self):
        self._before = [self._cpu(pid) for pid in self.pids]
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self):
        while not self._ending.wait(SAMPLE_S):
            for pid in self.pids:
                with contextlib.suppress(OSError, KeyError):
                    self._peaks[pid] = max(self._peaks.get(pid, 0), self.rss(pid))

    def __exit__(self, *_):
        self.cpu_s = [self._cpu(pid) - before for pid, before in zip(self.pids, self._before)]
        self._ending.set()
        self._thread.join()
        self._memory.close()
        self.peak_rss = [self._peaks.get(pid, 0) for pid in self.pids]


def measured(size, downloaders, seconds, usage, seeders):
    """The figures of one run: the rate is of all downloaders together."""
    total = size * downloaders
    return {
        "seconds": seconds,
        "mb_s": total / seconds / 1e6,
        "cpu_s_per_gib": sum(usage.cpu_s) * GIB / total,
        "seeder_cpu_s_per_gib": sum(usage.cpu_s[:seeders]) * GIB / total,
        "downloader_cpu_s_per_gib": sum(usage.cpu_s[seeders:]) * GIB / total,
        "peak_rss_mb": [peak / 1e6 for peak in usage.peak_rss],
    }


# ---- Sluice

class SluiceSwarm:
    """A staker, a creator and seeders that stay; downloaders that are new for each run."""

    def __init__(self, bin_dir, folder, source, seeders):
        self.test = SluiceTest(bin_dir, folder)
        self.source = source
        self.size = os.path.getsize(source)
        test = self.test
        self.staker = test.node("staker", staker=True)
        self.seeders = [test.node(f"seeder{i}", connect=[self.staker]) for i in range(seeders)]
        for seeder in self.seeders[1:]:
            test.connect(seeder, self.seeders[0])
        test.fund(self.staker, self.seeders[0], 10)
        self.idle_rss = Usage.rss(self.seeders[-1].process.pid)
        with test.mining(self.staker):
            job = self.seeders[0].rpc("publishcontent", path=source, price="1", seed_price=PRICE, ask="0")["job"]
            self.claim = self.seeders[0].wait_for_job(job, timeout=DOWNLOAD_TIMEOUT_S)["claim"]
        for seeder in self.seeders[1:]:
            test.wait_for_claim(seeder, self.claim)
            seeder.wait_for_job(seeder.rpc("seedcontent", claim=self.claim)["job"], timeout=DOWNLOAD_TIMEOUT_S)
        self.runs = 0

    def run(self, downloaders, price):
        test = self.test
        for seeder in self.seeders:
            seeder.wait_for_job(seeder.rpc("seedcontent", claim=self.claim, price_per_mib=price)["job"])
        self.runs += 1
        buyers = [test.node(f"run{self.runs}-buyer{i}", connect=[self.staker]) for i in range(downloaders)]
        test.fund(self.staker, *[x for buyer in buyers for x in (buyer, 5)])
        for buyer in buyers:
            test.wait_for_claim(buyer, self.claim)
            for seeder in self.seeders:
                test.connect(buyer, seeder)
        pids = [node.process.pid for node in (*self.seeders, *buyers)]
        with test.mining(self.staker), Usage(pids, self.size * downloaders) as usage:
            started = time.monotonic()
            jobs = [buyer.rpc("seedcontent", claim=self.claim)["job"] for buyer in buyers]
            for buyer, job in zip(buyers, jobs):
                self._wait(buyer, job)
            seconds = time.monotonic() - started
        result = measured(self.size, downloaders, seconds, usage, len(self.seeders))
        paid = [float(buyer.rpc("getjob", job)["result"]["paid"]) for buyer, job in zip(buyers, jobs)]
        least = float(price) * self.size / MIB
        if any(one < least for one in paid):
            raise SystemExit(f"a download paid {paid}, less than {least}")
        result["paid_slu"] = sum(paid)
        result["rss_over_idle_mb"] = max(usage.peak_rss) / 1e6 - self.idle_rss / 1e6
        for buyer in buyers:
            buyer.end()
            test.nodes.remove(buyer)
            shutil.rmtree(buyer.data_dir)
        return result

    @staticmethod
    def _wait(node, job):
        """Until the job has ended, with one call for each of its changes."""
        deadline = time.monotonic() + DOWNLOAD_TIMEOUT_S
        seen = 0
        while time.monotonic() < deadline:
            state = node.rpc("waitjob", job=job, timeout=10_000, seen=seen)
            seen = state["version"]
            if state["state"] == "failed":
                raise SystemExit("a download failed: " + state["message"])
            if state["state"] == "done":
                return
        raise SystemExit(f"a download did not end in {DOWNLOAD_TIMEOUT_S} s: {state}")

    def end(self):
        for node in self.test.nodes:
            node.end()


# ---- libtorrent

TORRENT_CLIENT = r"""
import json, sys, time
import libtorrent as lt

role, torrent, folder, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
session = lt.session({
    "listen_interfaces": f"127.0.0.1:{port}", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
    "enable_natpmp": False, "enable_outgoing_utp": False, "enable_incoming_utp": False, "out_enc_policy": 2,
    "in_enc_policy": 2, "allow_multiple_connections_per_ip": True, "alert_mask": lt.alert.category_t.status_notification,
})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if role == "seed":
    params.flags |= lt.torrent_flags.seed_mode
handle = session.add_torrent(params)
print("ready", flush=True)
for line in sys.stdin:
    command = json.loads(line)
    for peer in command.get("connect", []):
        handle.connect_peer(("127.0.0.1", peer))
    if command.get("wait"):
        while not handle.status().is_seeding:
            session.wait_for_alert(20)
            session.pop_alerts()
        session.pause()
        print("done", flush=True)
"""


class TorrentClient:
    def __init__(self, role, torrent, folder, port):
        self.port = port
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-c", TORRENT_CLIENT, role, torrent, folder, str(port)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.expect("ready")

    def tell(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def expect(self, word):
        line = self.process.stdout.readline().strip()
        if line != word:
            raise SystemExit(f"libtorrent's client said {line!r}, not {word!r}")

    def end(self):
        self.process.kill()
        self.process.wait()


class TorrentSwarm:
    def __init__(self, folder, source, seeders):
        import libtorrent as lt  # pylint: disable=import-outside-toplevel
        self.folder = folder
        self.size = os.path.getsize(source)
        storage = lt.file_storage()
        lt.add_files(storage, source)
        torrent = lt.create_torrent(storage, 0, lt.create_torrent.v2_only)
        lt.set_piece_hashes(torrent, os.path.dirname(source))
        self.torrent = os.path.join(folder, "bench.torrent")
        with open(self.torrent, "wb") as file:
            file.write(lt.bencode(torrent.generate()))
        self.seeders = [TorrentClient("seed", self.torrent, os.path.dirname(source), 20_000 + i) for i in range(seeders)]
        self.runs = 0

    def run(self, downloaders):
        self.runs += 1
        folders = [os.path.join(self.folder, f"torrent-run{self.runs}-{i}") for i in range(downloaders)]
        for folder in folders:
            os.makedirs(folder)
        clients = [TorrentClient("get", self.torrent, folder, 21_000 + i) for i, folder in enumerate(folders)]
        pids = [client.process.pid for client in (*self.seeders, *clients)]
        with Usage(pids, self.size * downloaders) as usage:
            started = time.monotonic()
            for client in clients:
                client.tell(connect=[seeder.port for seeder in self.seeders], wait=True)
            for client in clients:
                client.expect("done")
            seconds = time.monotonic() - started
        result = measured(self.size, downloaders, seconds, usage, len(self.seeders))
        for client, folder in zip(clients, folders):
            client.end()
            shutil.rmtree(folder)
        return result

    def end(self):
        for seeder in self.seeders:
            seeder.end()


# ---- the modes

def make_source(folder, size):
    path = os.path.join(folder, "source.bin")
    with open(path, "wb") as file:
        for at in range(0, size, 16 * MIB):
            file.write(os.urandom(min(16 * MIB, size - at)))
    return path


def median(runs, name):
    return statistics.median(run[name] for run in runs)


def swarm_shape(options, folder, source, shape):
    seeders, downloaders = SHAPES[shape]
    ours, free, theirs = [], [], []
    sluice = SluiceSwarm(options.bin_dir, os.path.join(folder, f"sluice-{shape}"), source, seeders)
    torrent = None if options.no_peer else TorrentSwarm(folder, source, seeders)
    try:
        for run in range(options.runs):
            ours.append(sluice.run(downloaders, PRICE))
            line = f"{shape} run {run + 1}: Sluice {ours[-1]['mb_s']:.0f} MB/s {ours[-1]['cpu_s_per_gib']:.2f} CPU s/GiB"
            if not options.no_free:
                free.append(sluice.run(downloaders, "0"))
                line += f", free {free[-1]['mb_s']:.0f} MB/s {free[-1]['cpu_s_per_gib']:.2f}"
            if torrent:
                theirs.append(torrent.run(downloaders))
                line += f"; libtorrent {theirs[-1]['mb_s']:.0f} MB/s {theirs[-1]['cpu_s_per_gib']:.2f}"
            say(line)
    finally:
        sluice.end()
        if torrent:
            torrent.end()
        shutil.rmtree(sluice.test.folder, ignore_errors=True)
    result = {
        "size_bytes": os.path.getsize(source),
        "ours_mb_s": median(ours, "mb_s"),
        "cpu_s_per_gib": median(ours, "cpu_s_per_gib"),
        "seeder_cpu_s_per_gib": median(ours, "seeder_cpu_s_per_gib"),
        "downloader_cpu_s_per_gib": median(ours, "downloader_cpu_s_per_gib"),
        "rss_over_idle_mb": median(ours, "rss_over_idle_mb"),
        "runs": {"ours": ours, "free": free, "libtorrent": theirs},
    }
    if free:
        result["free_mb_s"] = median(free, "mb_s")
        result["free_cpu_s_per_gib"] = median(free, "cpu_s_per_gib")
        result["payment_cpu_share"] = result["cpu_s_per_gib"] / result["free_cpu_s_per_gib"] - 1
    if theirs:
        result["libtorrent_mb_s"] = median(theirs, "mb_s")
        result["libtorrent_cpu_s_per_gib"] = median(theirs, "cpu_s_per_gib")
        result["throughput_ratio"] = result["ours_mb_s"] / result["libtorrent_mb_s"]
    return result


def swarm(options, folder):
    source = make_source(folder, options.size_mib * MIB)
    shapes = {shape: swarm_shape(options, folder, source, shape) for shape in options.shapes}
    first = shapes[options.shapes[0]]
    result = {name: value for name, value in first.items() if name != "runs"}
    result.update(cores=os.cpu_count(), run_count=options.runs, shapes=shapes)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"medians of {options.runs} runs, {options.size_mib} MiB, {os.cpu_count()} cores; CPU seconds of both ends for each GiB")
    print(f"{'shape':6} {'Sluice paid':>17} {'Sluice free':>17} {'libtorrent':>17} {'ratio':>6} {'payment':>8} {'RSS over idle':>14}")
    for shape, figures in shapes.items():
        def cell(prefix, cpu):
            return f"{figures[prefix]:.0f} MB/s {figures[cpu]:.2f} s" if prefix in figures else "-"
        ratio = f"{figures['throughput_ratio']:.2f}" if "throughput_ratio" in figures else "-"
        payment = f"{figures['payment_cpu_share'] * 100:+.1f} %" if "payment_cpu_share" in figures else "-"
        print(f"{shape:6} {cell('ours_mb_s', 'cpu_s_per_gib'):>17} {cell('free_mb_s', 'free_cpu_s_per_gib'):>17} "
              f"{cell('libtorrent_mb_s', 'libtorrent_cpu_s_per_gib'):>17} {ratio:>6} {payment:>8} {figures['rss_over_idle_mb']:>11.0f} MB")


def main():
    parser = argparse.ArgumentParser(prog="contrib/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True, metavar="MODE")
    mode = modes.add_parser("swarm", help="downloads beside libtorrent's")
    mode.set_defaults(run=swarm)
    mode.add_argument("--runs", type=int, default=5, help="of each, in turn (default: 5)")
    mode.add_argument("--size-mib", type=int, default=1024, help="size of the file (default: 1024)")
    mode.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES),
                      help="SEEDERS-DOWNLOADERS; the first one's figures are those at the top of --json (default: all)")
    mode.add_argument("--no-free", action="store_true", help="leave out the downloads at price 0")
    mode.add_argument("--no-peer", action="store_true", help="leave out libtorrent")
    bench_streaming.add_mode(modes)
    bench_classes.add_mode(modes)
    for one in modes.choices.values():
        one.add_argument("--json", action="store_true", help="print one JSON object")
        one.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None, help="where files are made (default: /dev/shm)")
        one.add_argument("--bin-dir", default=os.path.join(HERE, "..", "build", "bin"), help="where sluiced is (default: build/bin)")
    options = parser.parse_args()
    options.bin_dir = os.path.abspath(options.bin_dir)
    raise_loopback()
    folder = tempfile.mkdtemp(prefix="sluice-bench-", dir=options.folder)
    try:
        options.run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
