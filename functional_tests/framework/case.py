"""The base of a functional test: makes a folder, starts nodes, mines, and keeps the logs of a failure."""

import argparse
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import traceback
from decimal import Decimal

from .node import Node, RpcError

# Regtest's genesis coins belong to this public phrase; staker 0 has all the stake.
RICH_PHRASE = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
START_TIME_S = 1767225600 + 3600  # an hour after regtest's genesis
AHEAD_S = 50                      # other nodes' clocks run ahead of the staker's, so that its blocks are never early
DROP = Decimal("0.00000001")
MIB = 1 << 20
CHUNK_BYTES = 256 << 10           # of sealed content; also the credit that a new payer gets
SLICE_BYTES = CHUNK_BYTES - 16    # of plaintext in a chunk


class SluiceTest:
    """Override `run`. `self.node(...)` starts nodes; they end with the test, however it ends."""

    def __init__(self, bin_dir, folder):
        self.bin_dir = bin_dir
        self.folder = folder
        self.nodes = []
        self.mining_lock = threading.Lock()

    def run(self):
        raise NotImplementedError

    # Nodes

    def node(self, name, *args, connect=(), wallet=True, staker=False, start=True, phrase=None):
        """A new node, connected to the nodes in `connect`. Its wallet is empty; or restored from `phrase`; a staker's has regtest's genesis coins."""
        arguments = list(args)
        if staker:
            arguments.append("-staker=0")
            phrase = phrase or RICH_PHRASE
        node = Node(name, self.bin_dir, os.path.join(self.folder, name), arguments)
        node.staker = staker
        node.phrase = phrase
        others = [other.mock_time for other in self.nodes if not other.staker]
        node.mock_time = START_TIME_S if staker else max(others, default=START_TIME_S + AHEAD_S)
        self.nodes.append(node)
        if not start:
            return node
        node.start(*[f"-addnode=127.0.0.1:{other.p2p_port}" for other in connect])
        if connect:
            node.wait_for_peers(len(connect))
        if phrase:
            if connect:   # what the wallet is to find lies in blocks that have to be here
                node.wait_for_tip(connect[0].rpc("getbestblockhash"))
            node.rpc("restorewallet", phrase)
        elif wallet:
            node.phrase = node.rpc("createwallet")["phrase"]
        return node

    def connect(self, a, b):
        """Connects a to b and keeps them connected."""
        a.rpc("addnode", f"127.0.0.1:{b.p2p_port}", "add")
        a.wait_until(lambda: self.is_connected(a, b), f"a connection to {b.name}")

    def disconnect(self, a, b):
        """Ends the connection that a keeps to b."""
        with contextlib.suppress(RpcError):
            a.rpc("addnode", f"127.0.0.1:{b.p2p_port}", "remove")
        for peer in a.rpc("getpeerinfo"):
            if peer["nodeid"] == b.node_id():
                with contextlib.suppress(RpcError):
                    a.rpc("disconnectnode", str(peer["id"]))
        for one, other in ((a, b), (b, a)):
            one.wait_until(lambda one=one, other=other: not self.is_connected(one, other), f"the end of the connection to {other.name}")

    @staticmethod
    def is_connected(a, b):
        return any(peer["nodeid"] == b.node_id() for peer in a.rpc("getpeerinfo"))

    # Blocks

    def generate(self, staker, count=1, sync=()):
        """Makes blocks and waits until the nodes in `sync` have them. Returns the hashes."""
        hashes = []
        for _ in range(count):
            with self.mining_lock:
                block = staker.rpc("generateblocks", 1)[0]
                hashes.append(block["hash"])
                staker.mock_time = block["time"]
                for node in self.nodes:
                    if not node.staker:
                        node.set_mock_time(block["time"] + AHEAD_S)
        for node in sync:
            node.wait_for_tip(hashes[-1])
        return hashes

    def settle_chain(self, staker, nodes):
        """Makes blocks until no node has anything unconfirmed, and all have the same tip."""
        everyone = [staker, *nodes]
        for _ in range(20):
            waiting = {txid for node in everyone for txid in node.rpc("getrawmempool")}
            for txid in waiting:
                staker.wait_for_transaction(txid)
            tip = self.generate(staker, 1, sync=nodes)[-1]
            if all(not node.rpc("getrawmempool") for node in everyone) and all(node.rpc("getbestblockhash") == tip for node in everyone):
                return
        raise AssertionError("transactions stay unconfirmed")

    @contextlib.contextmanager
    def mining(self, staker):
        """While inside, the staker makes a block whenever its mempool has something in it."""
        ending = threading.Event()
        failures = []

        def mine():
            seen = 0
            while not ending.is_set():
                try:
                    if staker.rpc("getmempoolinfo")["size"] > 0:
                        self.generate(staker)
                    else:
                        seen = staker.rpc("waitevents", seen, 200)["last"]
                except Exception as failure:  # pylint: disable=broad-except  (told when the block ends)
                    failures.append(failure)
                    return
        thread = threading.Thread(target=mine)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()
        assert not failures, f"mining ended: {failures[0]!r}"

    def fund(self, staker, *pairs):
        """fund(staker, alice, 5, bob, 7): pays nodes from the genesis coins and confirms it in one block."""
        nodes, amounts = pairs[0::2], pairs[1::2]
        for node, amount in zip(nodes, amounts):
            staker.rpc("sendtoaddress", node.rpc("getnewaddress"), str(amount))
        return self.generate(staker, 1, sync=nodes)

    # Money

    @staticmethod
    def total(node):
        return Decimal(node.rpc("getbalances")["total"])

    def assert_conserved(self, nodes):
        """All coins there are belong to these wallets, to the drop. The nodes have one tip and nothing is unconfirmed."""
        info = nodes[0].rpc("gettxoutsetinfo")
        for node in nodes:
            assert_equal(node.rpc("getbestblockhash"), info["bestblock"], f"tip of {node.name}")
            assert_equal(node.rpc("getrawmempool"), [], f"mempool of {node.name}")
        assert info["conserved"] is True, f"the ledger does not add up: {info}"
        genesis, minted, burned, unspent, pots = (Decimal(info[k]) for k in ("genesis", "minted", "burned", "total_amount", "pots"))
        assert_equal(genesis + minted, unspent + burned + pots, "genesis + minted and unspent + burned + pots")
        totals = {node.name: self.total(node) for node in nodes}
        assert_equal(sum(totals.values()), unspent, f"the sum of all balances ({totals}) and all unspent outputs")

    # Content

    def publish(self, node, path, price, seed_price="0", **named):
        """Publishes and waits for the confirmation (somebody has to mine). Returns the claim id."""
        job = node.rpc("publishcontent", path=path, price=str(price), seed_price=str(seed_price), **named)["job"]
        return node.wait_for_job(job)["claim"]

    def wait_for_claim(self, node, claim):
        """Waits until the node knows it: the publisher hears of its confirmation first."""
        node.wait_until(lambda: any(c["claim"] == claim for c in node.rpc("listclaims", 100)), f"claim {claim[:12]}")

    def seed(self, node, claim, **named):
        self.wait_for_claim(node, claim)
        return node.wait_for_job(node.rpc("seedcontent", claim=claim, **named)["job"])

    def get(self, node, claim, path, **named):
        return node.wait_for_job(node.rpc("getcontent", claim=claim, path=path, **named)["job"])

    def buy(self, node, claim, **named):
        """Buys and waits for the grant (somebody has to mine). Returns what buykey gave."""
        self.wait_for_claim(node, claim)
        bought = node.rpc("buykey", claim=claim, **named)
        self.wait_for_purchase(node, bought["purchase"], "granted")
        return bought

    @staticmethod
    def purchase_state(node, purchase):
        return node.rpc("waitpurchase", purchase, 1)["state"]

    def wait_for_purchase(self, node, purchase, state):
        node.wait_until(lambda: self.purchase_state(node, purchase) == state, f"the purchase to be {state}")

    # Files

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, size, seed=0):
        """A file of `size` repeatable bytes that do not compress; returns its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            left, counter = size, 0
            while left > 0:
                block = hashlib.shake_128(f"{seed}/{counter}".encode()).digest(min(left, MIB))
                file.write(block)
                left -= len(block)
                counter += 1
        return path

    @staticmethod
    def sha256(path):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(MIB):
                digest.update(block)
        return digest.hexdigest()

    def assert_same_file(self, left, right):
        assert_equal(os.path.getsize(left), os.path.getsize(right), f"sizes of {left} and {right}")
        assert_equal(self.sha256(left), self.sha256(right), f"SHA-256 of {left} and {right}")


def assert_equal(left, right, what="values"):
    assert left == right, f"{what}: {left!r} is not {right!r}"


def assert_one_line(text, what="message"):
    """An error for people: one line, not empty, not overlong."""
    assert text.strip() and "\n" not in text.strip() and len(text) < 1000, f"{what} is not one clear line: {text!r}"


def assert_refused(call, code=None, says=None):
    """Runs `call`, which must end with an RpcError of that code whose one line contains `says` (of a tuple: any). Returns the error."""
    try:
        result = call()
    except RpcError as error:
        assert_one_line(error.message)
        assert code is None or error.code == code, f"error code {error.code} is not {code}: {error.message}"
        wanted = (says,) if isinstance(says, str) else says
        assert not wanted or any(text in error.message for text in wanted), f"{error.message!r} does not say {wanted!r}"
        return error
    raise AssertionError(f"this succeeded, which it must not: {result!r}")


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
    except Exception:  # pylint: disable=broad-except  (whatever failed, its logs are shown)
        traceback.print_exc()
        for node in test.nodes:
            log = node.chain_dir("debug.log")
            print(f"--- {node.name}: the end of {log}", file=sys.stderr)
            if node.process is not None and node.process.poll() is not None:
                print(f"{node.name} ended with status {node.process.returncode}: " + "\n".join(node.output[-20:]), file=sys.stderr)
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
