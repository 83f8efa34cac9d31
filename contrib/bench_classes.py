"""How long a block takes beside bulk data: contrib/bench classes.

One staker that seeds, one buyer, connected over loopback. For each block the time from its announcement (the staker's
log says that it is its tip) until the buyer has connected it (the buyer's log says so), while nothing else goes on and
while the buyer downloads without pause, in turn. The nodes' own logs are read, so what measures does not count.
"""

import json
import os
import re
import statistics
import sys
import time

from framework import MIB, SluiceTest
from framework.case import AHEAD_S

PRICE = "0.00001"  # SLU for each MiB
JOB_TIMEOUT_S = 600
JOBS_EVERY_BLOCKS = 10
TIP = re.compile(r"^(\S+)Z \[info\] chain: tip ([0-9a-f]{64}) ")


def tips(node):
    """When the node connected each block, in seconds of the machine's clock."""
    times = {}
    with open(node.chain_dir("debug.log"), encoding="utf-8", errors="replace") as log:
        for line in log:
            found = TIP.match(line)
            if found:
                at, micros = found[1].split(".")
                seconds = time.mktime(time.strptime(at, "%Y-%m-%dT%H:%M:%S")) + int(micros) / 1e6
                times.setdefault(found[2], seconds)
    return times


def figures(staker, buyer, hashes):
    """Median and 99th percentile, in milliseconds."""
    announced, connected = tips(staker), tips(buyer)
    waits = sorted((connected[block] - announced[block]) * 1000 for block in hashes)
    return {"blocks": len(waits), "median_ms": statistics.median(waits), "p99_ms": waits[min(len(waits) - 1, len(waits) * 99 // 100)]}


def make_blocks(test, staker, buyer, options, jobs=()):
    """Makes blocks, while any of the buyer's `jobs` goes on if there are any; their hashes. Nothing is asked of a node
    while a block is on its way."""
    hashes = []
    while len(hashes) < options.blocks:
        with test.mining_lock:
            block = staker.rpc("generateblocks", 1)[0]
            time.sleep(options.interval_ms / 1000)
            staker.mock_time = block["time"]
            buyer.set_mock_time(block["time"] + AHEAD_S)
            if jobs and len(hashes) % JOBS_EVERY_BLOCKS == 0 and not any(goes_on(buyer, job) for job in jobs):
                del hashes[-JOBS_EVERY_BLOCKS:]  # made while the download ended
                break
        hashes.append(block["hash"])
    buyer.wait_for_tip(test.generate(staker)[0])
    return hashes


def goes_on(node, job):
    return node.rpc("getjob", job)["state"] not in ("done", "failed")


def publish_sources(test, staker, folder, options):
    claims = []
    for i in range(options.files):
        source = os.path.join(folder, f"source{i}")
        with open(source, "wb") as file:
            for _ in range(options.size_mib):
                file.write(os.urandom(MIB))
        with test.mining(staker):
            claims.append(test.publish(staker, source, 1, seed_price=PRICE))
        os.remove(source)
    return claims


def measure(options, folder):
    test = SluiceTest(options.bin_dir, os.path.join(folder, "sluice"))
    idle, busy, rates = [], [], []
    try:
        staker = test.node("staker", staker=True)
        buyer = test.node("buyer", connect=[staker])
        test.fund(staker, buyer, 100)
        claims = publish_sources(test, staker, folder, options)
        for claim in claims:
            test.wait_for_claim(buyer, claim)
        for number in range(options.rounds):
            idle += make_blocks(test, staker, buyer, options)
            with test.mining(staker):
                jobs = [buyer.rpc("seedcontent", claim=claim)["job"] for claim in claims]
                wait_for_full_rate(buyer)
            before, since = received(buyer), time.monotonic()
            busy += make_blocks(test, staker, buyer, options, jobs)
            rates.append((received(buyer) - before) / (time.monotonic() - since) / 1e6)
            with test.mining(staker):
                for job in jobs:
                    buyer.wait_for_job(job, timeout=JOB_TIMEOUT_S)
            for claim in claims:
                buyer.rpc("removecontent", content=claim, pinned_too=True)
            if sys.stderr.isatty():
                print(f"round {number + 1} of {options.rounds}", end="\r", file=sys.stderr, flush=True)
        result = {"idle": figures(staker, buyer, idle), "saturated": figures(staker, buyer, busy)}
        result["during_blocks_mb_s"] = statistics.median(rates)
    finally:
        for node in test.nodes:
            node.end()
    for name in ("median", "p99"):
        result[f"{name}_ratio"] = result["saturated"][f"{name}_ms"] / result["idle"][f"{name}_ms"]
    return result


def received(node):
    return sum(peer["bytesrecv"] for peer in node.rpc("getpeerinfo"))


def wait_for_full_rate(buyer):
    """Until the first channels are open and the pipe is full: 8 MiB in 50 ms."""
    deadline = time.monotonic() + JOB_TIMEOUT_S
    last = received(buyer)
    while time.monotonic() < deadline:
        time.sleep(0.05)
        now = received(buyer)
        if now - last > 8 * MIB:
            return
        last = now
    raise AssertionError("the download did not come to its rate")


def run(options, folder):
    result = measure(options, folder)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{'':10} {'blocks':>7} {'median':>10} {'p99':>10}")
    for name in ("idle", "saturated"):
        row = result[name]
        print(f"{name:10} {row['blocks']:>7} {row['median_ms']:>7.2f} ms {row['p99_ms']:>7.2f} ms")
    print(f"{'ratio':10} {'':>7} {result['median_ratio']:>10.2f} {result['p99_ratio']:>10.2f}   "
          f"beside a download of {result['during_blocks_mb_s']:.0f} MB/s")


def add_mode(modes):
    mode = modes.add_parser("classes", help="the latency of blocks, idle and beside a download")
    mode.set_defaults(run=run)
    mode.add_argument("--rounds", type=int, default=5, help="times that both phases are run, in turn (default: 5)")
    mode.add_argument("--blocks", type=int, default=120, help="blocks of each phase at most (default: 120)")
    mode.add_argument("--interval-ms", type=float, default=30, help="pause between two (default: 30)")
    mode.add_argument("--files", type=int, default=4, help="files to download (default: 4)")
    mode.add_argument("--size-mib", type=int, default=1024, help="size of each (default: 1024)")
