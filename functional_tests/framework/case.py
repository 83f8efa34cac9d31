"""The base of a functional test: makes a folder, starts nodes, mines, and keeps the logs of a failure."""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import traceback

from .node import Node

# Regtest's genesis coins belong to this public phrase; staker 0 has all the stake.
RICH_PHRASE = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
START_TIME_S = 1767225600 + 3600  # an hour after regtest's genesis
AHEAD_S = 50                      # other nodes' clocks run ahead of the staker's, so that its blocks are never early


class SluiceTest:
    """Override `run`. `self.node(...)` starts nodes; they end with the test, however it ends."""

    def __init__(self, bin_dir, folder):
        self.bin_dir = bin_dir
        self.folder = folder
        self.nodes = []

    def run(self):
        raise NotImplementedError

    def node(self, name, *args, connect=(), wallet=True, staker=False, start=True):
        """A new node with an empty wallet, connected to the nodes in `connect`. A staker has regtest's genesis coins."""
        arguments = [f"-mocktime={START_TIME_S + (0 if staker else AHEAD_S)}", *args]
        if staker:
            arguments.append("-staker=0")
        node = Node(name, self.bin_dir, os.path.join(self.folder, name), arguments)
        self.nodes.append(node)
        node.staker = staker
        if not start:
            return node
        node.start(*[f"-addnode=127.0.0.1:{other.p2p_port}" for other in connect])
        if staker:
            node.rpc("restorewallet", RICH_PHRASE)
        elif wallet:
            node.phrase = node.rpc("createwallet")["phrase"]
        if connect:
            node.wait_for_peers(len(connect))
        return node

    def connect(self, a, b):
        a.rpc("addnode", f"127.0.0.1:{b.p2p_port}", "add")
        a.wait_until(lambda: any(p["addr"].endswith(f":{b.p2p_port}") for p in a.rpc("getpeerinfo")), f"a connection to {b.name}")

    def generate(self, staker, count=1, sync=()):
        """Makes blocks and waits until the nodes in `sync` have them. Returns the hashes."""
        hashes = []
        for _ in range(count):
            block = staker.rpc("generateblocks", 1)[0]
            hashes.append(block["hash"])
            for node in self.nodes:
                if node.process is not None and not node.staker:
                    node.rpc("setmocktime", block["time"] + AHEAD_S)
        for node in sync:
            node.wait_for_tip(hashes[-1])
        return hashes

    def fund(self, staker, node, amount, sync=()):
        """Pays a node from the genesis coins and confirms it."""
        staker.rpc("sendtoaddress", node.rpc("getnewaddress"), str(amount))
        return self.generate(staker, 1, sync=[*sync, node])

    def file(self, name, size, seed=0):
        """A file of `size` repeatable bytes that do not compress; returns its path."""
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            left, counter = size, 0
            while left > 0:
                block = hashlib.shake_128(f"{seed}/{counter}".encode()).digest(min(left, 1 << 20))
                file.write(block)
                left -= len(block)
                counter += 1
        return path

    @staticmethod
    def sha256(path):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


def assert_equal(left, right, what="values"):
    assert left == right, f"{what}: {left!r} is not {right!r}"


def main(test_class):
    """Runs the test and exits: 0 passed, 1 failed (logs are kept and their folder is named)."""
    parser = argparse.ArgumentParser(description=sys.modules[test_class.__module__].__doc__)
    default_bin = os.path.join(os.path.dirname(__file__), "..", "..", "build", "bin")
    parser.add_argument("--bin-dir", default=default_bin, help="where sluiced and sluice-cli are (build/bin)")
    parser.add_argument("--keep", action="store_true", help="keep the nodes' folders also after success")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix=f"sluice-{test_class.__name__}-")
    test = test_class(os.path.abspath(options.bin_dir), folder)
    passed = False
    try:
        test.run()
        for node in test.nodes:
            node.stop()
        passed = True
    except Exception:
        traceback.print_exc()
        for node in test.nodes:
            log = os.path.join(node.data_dir, "regtest", "debug.log")
            print(f"--- {node.name}: the end of {log}", file=sys.stderr)
            if os.path.exists(log):
                with open(log, encoding="utf-8", errors="replace") as file:
                    sys.stderr.writelines(file.readlines()[-40:])
    finally:
        for node in test.nodes:
            node.end()
    if passed and not options.keep:
        shutil.rmtree(folder)
    else:
        print(f"The nodes' folders are kept in {folder}", file=sys.stderr)
    print(f"{test_class.__name__}: {'passed' if passed else 'FAILED'}")
    sys.exit(0 if passed else 1)
