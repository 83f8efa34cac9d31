#!/usr/bin/env python3
"""Every command with bad input: one clear line, an exit status that is not 0, and nothing half-written."""

import os
import resource
import socket
import subprocess

from framework import MIB, SluiceTest, assert_equal, assert_one_line, main


class BadInputTest(SluiceTest):
    def run(self):
        self.options_and_conf()
        self.directories_and_ports()
        self.staker = self.node("staker", staker=True)
        self.alice = self.node("alice", connect=[self.staker])
        self.fund(self.staker, self.alice, 5)
        self.amounts_and_addresses()
        self.publishing()
        self.claims_and_purchases()
        self.getting()
        self.wallets()
        self.full_disk()
        for node in (self.staker, self.alice):
            assert_equal(node.rpc("getrawmempool"), [], f"mempool of {node.name}")

    # sluiced

    def start_fails(self, *args, says, name="broken", conf=None, preexec=None):
        """Starts sluiced with these arguments; it must end by itself with one line that contains `says`."""
        data_dir = self.path(name)
        os.makedirs(data_dir, exist_ok=True)
        if conf is not None:
            with open(os.path.join(data_dir, "sluice.conf"), "wb") as file:
                file.write(conf if isinstance(conf, bytes) else conf.encode())
        command = [os.path.join(self.bin_dir, "sluiced"), f"-datadir={data_dir}", "-port=0", "-rpcport=0", *args]
        done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace", timeout=60, check=False,
                              preexec_fn=preexec)
        assert done.returncode != 0, f"{args} started"
        assert_one_line(done.stderr)
        assert_equal(done.stdout, "", f"stdout of {args}")
        assert says in done.stderr, f"{args}: {done.stderr!r} does not say {says!r}"
        if conf is not None:
            os.remove(os.path.join(data_dir, "sluice.conf"))

    def options_and_conf(self):
        for args, says in ((["-nosuchoption"], "-nosuchoption"), (["-port=70000"], "65535"), (["-port=x"], "-port"), (["-dbcache=0"], "-dbcache"),
                           (["-dbcache"], "-dbcache"), (["word"], "word"), (["-chain=nosuch"], "nosuch"), (["-chain=main"], "not started"),
                           (["-chain=../x"], "chain"), (["-staker=99"], "99"), (["-staker=-1"], "-staker"), (["-seedprice=-1"], "-seedprice"),
                           (["-maxpricepermib=1e3"], "-maxpricepermib"), (["-addnode=no address"], "no address"), (["-addnode="], "-addnode"),
                           (["-bind=10.255.255.1"], "10.255.255.1"), (["-mocktime=0"], "-mocktime"), (["-par=1000"], "-par"),
                           ([f"-conf={self.path('nothing.conf')}"], "nothing.conf"), (["-datadir="], "-datadir")):
            self.start_fails(*args, says=says)
        for conf, says in (("nosuch=1\n", "sluice.conf:1"), ("\n# comment\nport=x\n", "sluice.conf:3"), ("just words\n", "sluice.conf:1"),
                           ("[main\n", "sluice.conf:1"), ("datadir=/x\n", "command line"), (b"port=\xff\xfe\n", "sluice.conf:1"), ("[regtest]\nchain=main\n", "sluice.conf:2")):
            self.start_fails(says=says, conf=conf)

    def directories_and_ports(self):
        # A file where the folder should be, and a path below a file.
        plain = self.file("plain", 10)
        for path in (plain, plain + "/below", "/proc/nothing/here"):
            self.start_fails(f"-datadir={path}", says=plain if plain in path else "/proc/nothing")
        # In use by another sluiced.
        first = self.node("first", wallet=False)
        self.start_fails(f"-datadir={first.data_dir}", says="in use")
        assert_equal(first.rpc("getblockcount"), 0, "the first node after the second was refused")
        # Ports in use, by sluiced or by anything.
        for port in (first.p2p_port, first.rpc_port):
            for option in ("-port", "-rpcport"):
                self.start_fails(f"{option}={port}", says=str(port))
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.start_fails(f"-rpcport={port}", says=str(port))
        first.stop()
        # Damaged keys of the node are not replaced silently.
        with open(first.chain_dir("node_key"), "wb") as file:
            file.write(b"short")
        self.start_fails(f"-datadir={first.data_dir}", says="node_key")
        self.nodes.remove(first)

    # sluice-cli

    def refused(self, node, *args, says, stdin=None):
        done = node.cli(*args, check=False, stdin=stdin)
        assert done.returncode != 0, f"{args} succeeded: {done.stdout}"
        assert_equal(done.stdout, "", f"stdout of {args}")
        lines = [line for line in done.stderr.splitlines() if not line.startswith("Getting the ")]   # what it would cost
        assert_one_line("\n".join(lines))
        assert lines[0].startswith("error: "), done.stderr
        wanted = (says,) if isinstance(says, str) else says
        assert any(text in done.stderr for text in wanted), f"{args}: {done.stderr!r} does not say {says!r}"

    def amounts_and_addresses(self):
        alice = self.alice
        address = self.staker.rpc("getnewaddress")
        for amount, says in (("0", ("0", "amount")), ("-1", "-1"), ("21000001", "21000001"), ("0.000000001", "8"), ("1e3", "1e3"), ("", ("amount", "AMOUNT")), ("one", "one"),
                             ("1,5", "1,5"), ("99999999999999999999", "9999"), ("6", ("6", "funds", "spendable")), ("5", ("fee", "5")), ("nan", "nan"), ("0x10", "0x10")):
            self.refused(alice, "send", address, amount, says=says)
            self.refused(alice, "sendtoaddress", address, amount, says=says)
        main_address = "slu1" + address[5:]
        typo = address[:-1] + ("q" if address[-1] != "q" else "p")
        for wrong in ("", "x", main_address, typo, address.upper()[:-2], "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"):
            self.refused(alice, "sendtoaddress", wrong, "1", says="address")
        self.refused(alice, "sendtoaddress", address, says="amount")
        self.refused(alice, "sendtoaddress", says="address")
        assert_equal(alice.rpc("getbalances")["spendable"], "5", "the balance after all this")

    def publishing(self):
        alice = self.alice
        good = self.file("good", 1000)
        os.symlink("/nowhere/at/all", self.path("dangling"))
        os.makedirs(self.path("hollow"))
        os.mkfifo(self.path("pipe"))
        before = self.content_files(alice)
        for path, says in ((self.path("nothing"), "does not exist"), (self.file("empty", 0), "empty"), (good + "/below", "good"), (self.path("dangling"), "dangling"),
                           (self.path("hollow"), "the folder has no files"), (self.path("pipe"), "pipe"), ("/dev/zero", "/dev/zero"), ("", ("path", "PATH"))):
            self.refused(alice, "publish", path, "--price", "1", says=says) if path else self.refused(alice, "publishcontent", "", "1", says=says)
        for price in ("0", "-1", "21000001", "0.000000001", "much", "1e8"):
            self.refused(alice, "publish", good, "--price", price, says=("price", price))
            self.refused(alice, "publishcontent", good, price, says=("price", price))
        self.refused(alice, "publish", good, says="--price")
        self.refused(alice, "publish", good, "--price", "1", "--free", says="--free")
        self.refused(alice, "publish", good, "--price", "1", "--seed-price", "-1", says="seed-price")
        self.refused(alice, "publish", good, "--price", "1", "--title", "x" * 1000, says="title")
        self.refused(alice, "publish", good, "--price", "1", "--title", "\x1b]0;x\x07", says="title has control characters")
        self.refused(alice, "publish", good, "--price", "1", "--description", "x" * 5000, says="description")
        self.refused(alice, "publish", good, "--price", "1", "--tag", "x" * 500, says="tag")
        self.refused(alice, "publish", good, "--price", "1", *[a for i in range(100) for a in ("--tag", f"t{i}")], says="tags")
        self.refused(alice, "publish", good, "extra", "--price", "1", says="extra")
        # Without money for the deposit.
        poor = self.node("poor", connect=[self.staker])
        self.refused(poor, "publish", good, "--price", "1", says="deposit")
        assert_equal(self.content_files(alice), before, "files of content after all this")
        assert_equal(self.content_files(poor), [], "files of content of the poor")
        assert_equal(alice.rpc("listclaims"), [], "claims after all this")

    @staticmethod
    def content_files(node):
        return sorted(os.listdir(node.chain_dir("content")))

    def claims_and_purchases(self):
        alice = self.alice
        with self.mining(self.staker):
            self.claim = self.publish(self.staker, self.file("film", 300_000), 6)
            self.cheap = self.publish(self.staker, self.file("song", 300_000, 1), 1)
        alice.wait_until(lambda: len(alice.rpc("listclaims")) == 2, "the claims")
        for command in (["show"], ["buy"], ["seed"], ["get", "-o", self.path("x")]):
            for claim, says in (("00" * 32, "not known"), ("abc", "6"), ("not a claim", "not a claim"), ("", ("claim", "CLAIM")), ("f" * 65, "claim")):
                self.refused(alice, *command, claim, says=says)
        self.refused(alice, "buy", self.claim, says=("6", "funds", "spendable"))
        self.refused(alice, "buy", self.cheap, "--max-price", "0.5", says="0.5")
        self.refused(alice, "buy", self.cheap, "--tier", "1", says="tier")
        self.refused(alice, "buy", self.cheap, "--tier", "-1", says="tier")
        for purchase in ("x", "00" * 32 + ":0", "00" * 32):
            self.refused(alice, "refund", purchase, says=("purchase", "not of this wallet"))
        assert_equal(alice.rpc("listpurchases"), [], "purchases after all this")

    def getting(self):
        alice = self.alice
        self.refused(alice, "get", self.cheap, "-o", self.path("song-opened"), says="buy it first")
        with self.mining(self.staker):
            self.buy(alice, self.cheap)
        exists = self.file("exists", 3)
        self.refused(alice, "get", self.cheap, "-o", exists, says="exists")
        self.refused(alice, "get", self.cheap, "-o", self.path("no/such/folder"), says="does not exist")
        self.refused(alice, "get", self.cheap, "-o", exists + "/below", says="exists")
        self.refused(alice, "get", self.cheap, "-o", self.path("y"), "--max-cost", "-1", says="max-cost")
        with open(exists, "rb") as file:
            assert_equal(len(file.read()), 3, "the file that was there")
        assert not os.path.exists(self.path("song-opened"))

    def wallets(self):
        alice = self.alice
        self.refused(alice, "createwallet", says="wallet")
        self.refused(alice, "restorewallet", stdin="abandon\n", says=("wallet", "words"))
        empty = self.node("bare", wallet=False)
        for args in (["balance"], ["getnewaddress"], ["send", self.alice.rpc("getnewaddress"), "1"], ["publish", self.path("good"), "--price", "1"]):
            self.refused(empty, *args, says="createwallet")
        for phrase in ("", "abandon", "abandon " * 12, "zoo " * 11 + "nosuchword", "\0"):
            self.refused(empty, "restorewallet", stdin=phrase + "\n", says=("phrase", "word", "checksum"))
        empty.cli("createwallet")

    def full_disk(self):
        """A limit on the size of files stands in for a full disk: sealing fails and leaves nothing; the node goes on."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, 3 * MIB))
        tight = self.node("tight", start=False)
        tight.start(f"-addnode=127.0.0.1:{self.staker.p2p_port}", preexec=limit)
        tight.wait_for_peers(1)
        tight.rpc("createwallet")
        self.fund(self.staker, tight, 5)
        before = self.content_files(tight)
        self.refused(tight, "publish", self.file("large", 5 * MIB), "--price", "1", says=("disk", "space", "large"))
        assert_equal(self.content_files(tight), before, "files of content after a full disk")
        assert_equal(tight.rpc("getbalances")["spendable"], "5", "balance after a full disk")
        with self.mining(self.staker):
            claim = self.publish(tight, self.file("small", MIB), 1)
        assert_equal(tight.rpc("getclaim", claim)["live"], True, "a claim that fits")

        # A download that does not fit fails and leaves no file; with room it goes on.
        big = self.file("big", 5 * MIB, 2)
        target = self.path("big-opened")
        with self.mining(self.staker):
            claim = self.publish(self.staker, big, "0.5")
            self.buy(tight, claim)
        self.refused(tight, "get", claim, "-o", target, says=("disk", "space", "large"))
        assert_equal([name for name in os.listdir(self.folder) if name.startswith("big-opened")], [], "files of the failed download")
        tight.stop()
        tight.start(f"-addnode=127.0.0.1:{self.staker.p2p_port}")
        tight.cli("get", claim, "-o", target)
        self.assert_same_file(big, target)


if __name__ == "__main__":
    main(BadInputTest)
