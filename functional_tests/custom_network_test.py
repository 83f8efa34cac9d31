#!/usr/bin/env python3
"""A network of one's own: three nodes stake by the clock from a genesis file, agree, survive restarts, and its coins are spent."""

import json
import os
import stat
import subprocess
import time

from framework import Node, SluiceTest, assert_equal, assert_one_line, main
from framework.case import RICH_PHRASE

NETWORK = "mynet"
OWNER = "5120" + "3b82b2b2a9185315da6f80da5f06d0440d8a5e1457fa93387c2d919c86ec8786"   # the phrase's first address
STAKERS = 3
SLOT_MS = 100
BLOCKS = 8


class CustomNetworkTest(SluiceTest):
    def run(self):
        self.make_keys()
        self.bad_genesis()
        hash_of_genesis = self.make_genesis("my.genesis", "a public text")
        nodes = [self.custom_node(i) for i in range(STAKERS)]
        self.start_all(nodes)
        for node in nodes:
            assert_equal(node.rpc("getblockhash", 0), hash_of_genesis, f"genesis of {node.name}")
            assert_equal(node.rpc("getblockchaininfo")["chain"], NETWORK, "the network's name")
        self.command_line(nodes[0], hash_of_genesis)
        self.agree(nodes, BLOCKS)
        for node in nodes:
            node.wait_until(lambda node=node: node.rpc("getstakinginfo")["blocks_produced"] > 0, "a block of its own")
        self.spend(nodes)
        self.restart(nodes)
        self.checkpoints(nodes)
        self.refuse(nodes[0])

    def util(self, *args, status=0):
        """Runs sluice-util; what it printed, or the one line of its error."""
        done = subprocess.run([os.path.join(self.bin_dir, "sluice-util"), *args], capture_output=True, text=True, timeout=120, check=False)
        assert_equal(done.returncode, status, f"exit status of {args}: {done.stderr}")
        if status == 0:
            return done.stdout
        assert_one_line(done.stderr)
        return done.stderr

    def keys(self, i):
        return self.path(f"staker{i}.keys")

    def make_keys(self):
        for i in range(STAKERS):
            told = self.util("staker-keys", "--for-genesis", "--out", self.keys(i))
            with open(self.path(f"staker{i}.json"), "w", encoding="ascii") as file:
                file.write(told)
            assert_equal(json.loads(self.util("staker-keys-show", self.keys(i))), json.loads(told), "the keys shown again")
            assert_equal(stat.S_IMODE(os.stat(self.keys(i)).st_mode), 0o600, "permissions of the keys")
        assert "exists" in self.util("staker-keys", "--out", self.keys(0), status=1)

    def template(self, *args):
        return json.loads(self.util("genesis-template", "--network", "regtest", "--name", NETWORK, "--hrp", "my", *args))

    def write_json(self, name, content):
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump(content, file)
        return self.path(name)

    def make_genesis(self, name, nonce_text):
        """Makes the file and returns the genesis hash."""
        stakers = [argument for i in range(STAKERS) for argument in ("--staker", self.path(f"staker{i}.json"))]
        content = self.template(*stakers, "--owner", OWNER)
        content["nonce_text"] = nonce_text
        content["parameters"].update(slot_duration_ms=SLOT_MS, active_slots_numerator=1, active_slots_denominator=10, epoch_slots=100,
                                     nonce_cutoff_slots=40, genesis_time_ms=int(time.time() * 1000))
        told = json.loads(self.util("genesis", "--json", self.write_json(name + ".json", content), "--out", self.path(name)))
        assert_equal((told["network"], told["total"], told["bonds"], told["stakers"]), (NETWORK, "10000000", "3000", STAKERS), "what it tells")
        assert_equal(json.loads(self.util("genesis-show", self.path(name))), told, "the file shown again")
        # What is printed in full makes the same network again.
        with open(self.path("again.json"), "w", encoding="utf-8") as file:
            file.write(self.util("genesis-show", self.path(name), "--json"))
        assert_equal(json.loads(self.util("genesis", "--json", self.path("again.json"), "--out", self.path("again.genesis"))), told, "made again")
        self.assert_same_file(self.path(name), self.path("again.genesis"))
        return told["genesis_hash"]

    def bad_genesis(self):
        output = self.path("bad.genesis")
        refused = lambda content: self.util("genesis", "--json", self.write_json("bad.json", content), "--out", output, status=1)
        good = self.template("--staker", self.path("staker0.json"), "--owner", OWNER)
        assert "there is no staker" in refused(self.template())
        assert "over the genesis supply" in refused({**good, "allocations": good["allocations"] + [{"to": OWNER, "amount": "0.00000001"}]})
        assert "two stakers have the id" in refused({**good, "stakers": good["stakers"] * 2})
        assert "'regtest' is built in" in refused({**good, "parameters": {**good["parameters"], "network": "regtest"}})
        with open(self.path("bad.json"), "w", encoding="utf-8") as file:
            file.write('{"stakers": [], "stakers": []}')
        assert 'the field "stakers" twice' in self.util("genesis", "--json", self.path("bad.json"), "--out", output, status=1)
        assert not os.path.exists(output), "a file was made of a bad genesis"

    def custom_node(self, i, *options):
        arguments = ["-chain=custom", "-genesis=" + self.path("my.genesis"), "-bind=127.0.0.1", *options]
        if i < STAKERS:
            arguments.append("-stakerkeys=" + self.keys(i))
        node = Node(f"node{i}", self.bin_dir, self.path(f"node{i}"), arguments, chain=NETWORK)
        node.staker = False
        self.nodes.append(node)
        return node

    @staticmethod
    def start_all(nodes):
        """Starts those that do not run; each is connected to those before it."""
        for i, node in enumerate(nodes):
            if node.process is None:
                node.start(*[f"-addnode=127.0.0.1:{other.p2p_port}" for other in nodes[:i]])
        for node in nodes:
            node.wait_for_peers(len(nodes) - 1)

    def command_line(self, node, hash_of_genesis):
        """sluice-cli finds the node by the network's name and by its file."""
        assert os.path.isdir(os.path.join(node.data_dir, NETWORK)), "the data folder has not the network's name"
        for chain in ([f"-chain={NETWORK}"], ["-chain=custom", "-genesis=" + self.path("my.genesis")]):
            command = [os.path.join(self.bin_dir, "sluice-cli"), f"-datadir={node.data_dir}", *chain, "getblockhash", "0"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            assert_equal(done.stdout.strip(), hash_of_genesis, f"what sluice-cli {chain} says")

    @staticmethod
    def agree(nodes, height):
        """Waits until all nodes have one tip of at least that height. Returns the height."""
        def same():
            tips = {node.rpc("getbestblockhash") for node in nodes}
            return len(tips) == 1 and nodes[0].rpc("getblockcount") >= height
        nodes[0].wait_until(same, f"one tip from height {height} on")
        return nodes[0].rpc("getblockcount")

    def spend(self, nodes):
        """The owner of the genesis coins pays somebody."""
        owner, other = nodes[0], nodes[1]
        owner.rpc("restorewallet", RICH_PHRASE)
        other.rpc("createwallet")
        address = other.rpc("getnewaddress")
        assert address.startswith("my1"), f"{address} has not the network's prefix"
        txid = owner.rpc("sendtoaddress", address, "12.5")
        for node in nodes:
            node.wait_until(lambda node=node: node.rpc("getrawtransaction", txid, True).get("confirmations", 0) > 0, "the payment")
        other.wait_until(lambda: other.rpc("getbalances")["spendable"] == "12.5", "the money")

    def restart(self, nodes):
        """One after the other and all at once, cleanly and with kill -9: they agree again, and go on."""
        height = nodes[0].rpc("getblockcount")
        nodes[1].stop()
        self.start_all(nodes)
        height = self.agree(nodes, height + 2)
        deepest = nodes[0].rpc("getblockhash", height // 2)
        nodes[0].terminate()
        nodes[1].stop()
        nodes[2].kill()
        self.start_all(nodes)
        self.agree(nodes, height + 3)
        for node in nodes:
            assert_equal(node.rpc("getblockhash", height // 2), deepest, f"a block of {node.name} from before the restart")
            assert node.rpc("gettxoutsetinfo")["conserved"] is True, f"the ledger of {node.name} does not add up"
        assert_equal(nodes[1].rpc("getbalances")["spendable"], "12.5", "the money after the restart")

    def checkpoints(self, nodes):
        """A fresh node takes the chain that has its checkpoint, and one with another checkpoint stops below it."""
        peer = f"-addnode=127.0.0.1:{nodes[0].p2p_port}"
        fourth, sixth = nodes[0].rpc("getblockhash", 4), nodes[0].rpc("getblockhash", 6)
        follower = self.custom_node(STAKERS, f"-checkpoint={fourth}:4", f"-assumevalid={sixth}")
        stranger = self.custom_node(STAKERS + 1, f"-checkpoint={'ab' * 32}:5")
        follower.start(peer)
        stranger.start(peer)
        stranger.wait_for_height(4)
        follower.wait_for_height(nodes[0].rpc("getblockcount"))
        self.agree([nodes[0], follower], nodes[0].rpc("getblockcount") + 2)
        assert_equal(stranger.rpc("getblockcount"), 4, "height of the node whose checkpoint is on no chain")
        stranger.stop()
        follower.stop()

    def refuse(self, node):
        """Another genesis in the same folder, and keys that others can read."""
        node.stop()
        arguments = node.args
        self.make_genesis("other.genesis", "another public text")
        node.args = ["-chain=custom", "-genesis=" + self.path("other.genesis"), "-bind=127.0.0.1"]
        status, output = node.start(expect_failure=True)
        assert_equal(status, 1, "exit status with another genesis")
        assert "holds the chain of another network" in output, output
        with open(self.path("damaged.genesis"), "wb") as damaged, open(self.path("my.genesis"), "rb") as good:
            content = bytearray(good.read())
            content[100] ^= 1
            damaged.write(content)
        node.args = ["-chain=custom", "-genesis=" + self.path("damaged.genesis")]
        status, output = node.start(expect_failure=True)
        assert status == 1 and "damaged.genesis" in output, output
        assert_one_line(output)
        node.args = arguments
        os.chmod(self.keys(0), 0o640)
        status, output = node.start(expect_failure=True)
        assert status == 1 and "chmod 600" in output, output
        os.chmod(self.keys(0), 0o600)
        node.start()


if __name__ == "__main__":
    main(CustomNetworkTest)
