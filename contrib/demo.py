"""Does Sluice's whole job on this machine, over real sockets between real processes, through sluice-cli alone.

A creator publishes an encrypted file, seeders carry it, a buyer buys the key on chain, downloads from the seeders while
paying them per chunk, and opens the identical file; the seeders settle on chain. Every drop is accounted for at the end.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from decimal import Decimal

BIN = os.environ.get("SLUICE_BIN_DIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "bin")
# Regtest's coins belong to this public phrase (doc/protocol.md): whoever stakes on regtest spends them.
RICH_PHRASE = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
READY = re.compile(r"^Sluice is ready: .*rpc 127\.0\.0\.1:(\d+), p2p 127\.0\.0\.1:(\d+)")
START_TIMEOUT_S = 60
COMMAND_TIMEOUT_S = 1800
DEFAULT_FILE_BYTES = 64 << 20


class DemoError(Exception):
    pass


class Node:
    """One sluiced process with its own data directory, wallet and node key."""

    def __init__(self, demo, name, *args):
        self.demo = demo
        self.name = name
        self.data_dir = os.path.join(demo.folder, name)
        self.args = args
        self.process = None
        self.p2p_port = None

    def start(self, connect=()):
        os.makedirs(self.data_dir, exist_ok=True)
        with open(os.path.join(self.data_dir, "sluice.conf"), "w", encoding="ascii") as conf:
            conf.write("# Written by contrib/demo. Ports of 0 let the system choose free ones; who is connected to whom is part of the demo.\nchain=regtest\nport=0\nrpcport=0\nfindproviders=0\n")
            conf.writelines(f"addnode=127.0.0.1:{node.p2p_port}\n" for node in connect)
        command = [os.path.join(BIN, "sluiced"), f"-datadir={self.data_dir}", *self.args]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        timer = threading.Timer(START_TIMEOUT_S, self.process.kill)
        timer.start()
        lines = []
        for line in self.process.stdout:
            lines.append(line.rstrip())
            if match := READY.match(line):
                timer.cancel()
                self.p2p_port = int(match.group(2))
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        timer.cancel()
        raise DemoError(f"{self.name} did not start: " + " / ".join(lines[-3:]))

    def end(self):
        """Stops the process; kills it if it does not stop."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def raw(self, *args, stdin=None):
        """Runs sluice-cli without showing it."""
        command = [os.path.join(BIN, "sluice-cli"), f"-datadir={self.data_dir}", *args]
        return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=COMMAND_TIMEOUT_S, check=False)

    def json(self, *args):
        done = self.raw(*args)
        if done.returncode != 0:
            raise DemoError(f"{self.name}: {' '.join(args)}: {done.stderr.strip()}")
        return json.loads(done.stdout)


class Demo:
    def __init__(self, options):
        self.options = options
        self.steps = []
        self.nodes = []
        self.folder = None
        self.out = sys.stderr if options.json else sys.stdout

    # Showing

    def say(self, text=""):
        print(text, file=self.out, flush=True)

    def step(self, name, started):
        seconds = time.monotonic() - started
        self.steps.append({"name": name, "seconds": round(seconds, 3)})
        self.say(f"  \u2713 {name} ({seconds:.1f} s)\n")

    def run(self, node, name, *args, stdin=None, must_fail=False):
        """Shows a command, runs it as a person would, shows what it printed, and notes the time."""
        shown = " ".join(f"'{a}'" if re.search(r"[\s*]", a) else a for a in args)
        self.say(f"[{node.name}] $ sluice-cli -datadir={node.data_dir} {shown}")
        started = time.monotonic()
        done = node.raw(*args, stdin=stdin)
        printed = (done.stdout + done.stderr).strip()
        for line in printed.splitlines():
            self.say(f"    {line}")
        if (done.returncode == 0) == must_fail:
            raise DemoError(f"{node.name}: '{args[0]}' " + ("succeeded, which it must not" if must_fail else f"failed with status {done.returncode}: {printed}"))
        self.step(name, started)
        return done.stdout

    # The job

    def job(self):
        options = self.options
        if options.dir:
            self.folder = os.path.abspath(options.dir)
            if os.path.exists(self.folder) and os.listdir(self.folder):
                raise DemoError(f"--dir {options.dir} is not empty: choose a new folder")
            os.makedirs(self.folder, exist_ok=True)
        else:
            self.folder = tempfile.mkdtemp(prefix="sluice-demo-")
        source = self.input()
        self.say(f"Working in {self.folder}")

        started = time.monotonic()
        staker = Node(self, "staker", "-staker=0")
        creator = Node(self, "creator")
        seeders = [Node(self, f"seeder{i + 1}") for i in range(options.seeders)]
        buyer = Node(self, "buyer")
        self.nodes = [staker, creator, *seeders, buyer]
        staker.start()
        creator.start(connect=[staker])
        for seeder in seeders:
            seeder.start(connect=[staker, creator])
        buyer.start(connect=[staker, *seeders])
        self.step(f"{len(self.nodes)} nodes run: {', '.join(n.name for n in self.nodes)}", started)

        self.run(staker, "the staker's wallet, from regtest's public phrase", "restorewallet", stdin=RICH_PHRASE + "\n")
        for node in self.nodes[1:]:
            self.run(node, f"{node.name} has a wallet", "createwallet")
        for node, amount in [(creator, "10"), *[(seeder, "1") for seeder in seeders], (buyer, str(100 + options.price * 2))]:
            address = node.raw("getnewaddress").stdout.strip()
            self.run(staker, f"{node.name} has {amount} SLU", "send", address, amount)
        self.settled_tip()
        before = self.balances()

        title = os.path.basename(source)
        published = self.run(creator, "published: sealed, hashed and confirmed", "publish", source, "--price", str(options.price),
                             "--seed-price", "0.0001", "--title", title)
        found = re.search(r"\b[0-9a-f]{64}\b", published)
        if not found:
            raise DemoError("publish did not print a claim id")
        claim = found.group(0)
        for seeder in seeders:
            self.run(seeder, f"{seeder.name} carries the sealed content", "seed", claim)
        self.run(buyer, "the buyer sees it in the feed", "feed")
        self.run(buyer, "and what it is", "show", claim)
        target = os.path.join(self.folder, "opened-" + title)
        self.run(buyer, "without the key it does not open", "get", claim, "-o", target, must_fail=True)
        if os.path.exists(target):
            raise DemoError("the buyer got a file before the grant")
        self.run(buyer, "bought: paid on chain, and the key came with the grant", "buy", claim, "--wait")
        self.run(buyer, "downloaded from the seeders, paid per chunk, and opened", "get", claim, "-o", target)
        hashes = self.compare(source, target)
        for seeder in seeders:
            self.run(seeder, f"{seeder.name} settled on chain", "settle", "--wait")
        self.settled_tip()
        after = self.balances()
        table = self.table(before, after, [creator, *seeders, buyer], staker)
        if not self.options.path and all(after["totals"][one.name] <= before["totals"][one.name] for one in seeders):
            raise DemoError("no seeder earned anything")   # of a tiny file of yours, settling may cost more than it brings
        self.say(f"Opened file: {target}")
        self.say(f"  SHA-256 of the original  {hashes['original']}\n  SHA-256 of the opened    {hashes['opened']}")
        return {"ok": True, "claim": claim, "folder": self.folder, "opened": target, "steps": self.steps, "balances": table,
                "sha256": hashes, "build_seconds": int(os.environ.get("SLUICE_BUILD_SECONDS", "0"))}

    def input(self):
        if self.options.path:
            path = os.path.abspath(self.options.path)
            if not os.path.exists(path):
                raise DemoError(f"{self.options.path} does not exist: name a file or a folder, or none")
            return path
        path = os.path.join(self.folder, "film.bin")
        started = time.monotonic()
        with open(path, "wb") as file:
            for _ in range(DEFAULT_FILE_BYTES >> 20):
                file.write(os.urandom(1 << 20))
        self.step("a file of 64 MiB", started)
        return path

    def settled_tip(self):
        """Waits until every node has the same tip and nothing is unconfirmed, so that balances add up."""
        started = time.monotonic()
        staker = self.nodes[0]
        height = staker.json("getblockcount")
        while time.monotonic() - started < 120:
            height = staker.json("waitforblockheight", str(height + 1), "30000")["height"]
            if all(node.json("getmempoolinfo")["size"] == 0 for node in self.nodes):
                self.step("every transaction is in a block", started)
                return
        raise DemoError("transactions stay unconfirmed for two minutes")

    def balances(self):
        """Balances and supply of all nodes at one and the same block."""
        for _ in range(50):
            tip = self.nodes[0].raw("getbestblockhash").stdout.strip()
            totals = {node.name: Decimal(node.json("getbalances")["total"]) for node in self.nodes}
            supply = self.nodes[0].json("gettxoutsetinfo")
            tips = {node.raw("getbestblockhash").stdout.strip() for node in self.nodes}
            if tips == {tip} and supply["bestblock"] == tip and all(n.json("getmempoolinfo")["size"] == 0 for n in self.nodes):
                return {"totals": totals, "minted": Decimal(supply["minted"]), "burned": Decimal(supply["burned"]),
                        "unspent": Decimal(supply["total_amount"]), "genesis": Decimal(supply["genesis"]), "pots": Decimal(supply["pots"])}
        raise DemoError("the nodes do not agree on a tip")

    def table(self, before, after, people, staker):
        minted = after["minted"] - before["minted"]
        burned = after["burned"] - before["burned"]
        earned = after["pots"] - before["pots"]   # by stake, and paid out when it is spent
        change = {name: after["totals"][name] - before["totals"][name] for name in after["totals"]}
        fees = change[staker.name] - (minted - earned)
        self.say("\n  {:<12}{:>22}{:>22}{:>20}".format("SLU", "before", "after", "change"))
        for node in people:
            self.say("  {:<12}{:>22}{:>22}{:>+20.8f}".format(node.name, f"{before['totals'][node.name]:.8f}", f"{after['totals'][node.name]:.8f}", change[node.name]))
        self.say("  {:<12}{:>22}{:>22}{:>+20.8f}".format("staker", f"{before['totals'][staker.name]:.8f}", f"{after['totals'][staker.name]:.8f}", change[staker.name]))
        self.say("  {:<12}{:>64.8f}".format("  fees", fees))
        self.say("  {:<12}{:>64.8f}".format("  commission", minted - earned))
        self.say("  {:<12}{:>22}{:>22}{:>+20.8f}".format("stake earned", f"{before['pots']:.8f}", f"{after['pots']:.8f}", earned))
        self.say("  {:<12}{:>22}{:>22}{:>+20.8f}".format("burned", f"{before['burned']:.8f}", f"{after['burned']:.8f}", burned))
        total_change = sum(change.values())
        owned_is_unspent = sum(after["totals"].values()) == after["unspent"]
        supply_adds_up = after["genesis"] + after["minted"] == after["unspent"] + after["pots"] + after["burned"]
        conserved = total_change + earned == minted - burned and owned_is_unspent and supply_adds_up
        self.say(f"  sum of changes {total_change + earned:+.8f} = minted {minted:.8f} - burned {burned:.8f}: {'conserved to the drop' if conserved else 'NOT CONSERVED'}\n")
        if not conserved:
            raise DemoError("money is not conserved")
        return {"before": {k: str(v) for k, v in before["totals"].items()}, "after": {k: str(v) for k, v in after["totals"].items()},
                "change": {k: str(v) for k, v in change.items()}, "fees": str(fees), "minted": str(minted), "burned": str(burned), "stake_earned": str(earned),
                "conserved": conserved}

    def compare(self, source, target):
        started = time.monotonic()
        hashes = {"original": digest(source), "opened": digest(target)}
        if hashes["original"] != hashes["opened"]:
            raise DemoError("the opened file is not the original")
        self.step("the opened file is the original", started)
        return hashes

    def end(self):
        for node in reversed(self.nodes):
            node.end()
        if self.folder and not self.options.keep and not self.options.dir and self.succeeded:
            for node in self.nodes:
                shutil.rmtree(node.data_dir, ignore_errors=True)

    succeeded = False


def digest(path):
    """SHA-256 of a file; of a folder: over the sorted relative paths with each file's SHA-256."""
    if os.path.isdir(path):
        listing = hashlib.sha256()
        for folder, _, files in sorted(os.walk(path)):
            for name in sorted(files):
                full = os.path.join(folder, name)
                listing.update(f"{os.path.relpath(full, path)} {digest(full)}\n".encode())
        return listing.hexdigest()
    result = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            result.update(block)
    return result.hexdigest()


def parse_price(text):
    price = Decimal(text)
    if not price.is_finite() or price <= 0 or price > 1_000_000 or price.as_tuple().exponent < -8:
        raise argparse.ArgumentTypeError("give a price above 0 and up to 1000000 SLU with at most 8 decimal places")
    return price


def main():
    parser = argparse.ArgumentParser(prog="contrib/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", metavar="FILE|FOLDER", help="what to publish (default: a new file of 64 MiB)")
    parser.add_argument("--seeders", type=int, default=2, metavar="N", help="how many seeders, 1 to 8 (default 2)")
    parser.add_argument("--price", type=parse_price, default=Decimal(5), metavar="SLU", help="price of the key (default 5)")
    parser.add_argument("--dir", help="work in this new folder and keep it (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep the nodes' folders also after success")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout; everything else goes to stderr")
    options = parser.parse_args()
    if not 1 <= options.seeders <= 8:
        parser.error("--seeders: give 1 to 8")
    demo = Demo(options)
    for stop_signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop_signal, signal.default_int_handler)
    result = {"ok": False}
    try:
        result = demo.job()
        demo.succeeded = True
        demo.say("Everything held.")
    except (DemoError, OSError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        result = {"ok": False, "error": str(error), "steps": demo.steps, "folder": demo.folder}
        demo.say(f"\nThe demo failed: {error}")
        if demo.folder:
            demo.say(f"The nodes' folders and logs are in {demo.folder}")
    except KeyboardInterrupt:
        result = {"ok": False, "error": "interrupted", "steps": demo.steps, "folder": demo.folder}
        demo.say("\nInterrupted.")
    finally:
        for stop_signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(stop_signal, signal.SIG_IGN)
        demo.end()
    if options.json:
        print(json.dumps(result))
    sys.exit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
