#!/usr/bin/env python3
"""kill -9 of every role in the middle of a purchase and of a download: all goes on after the restart, and nothing is paid twice."""

import os
from decimal import Decimal

from framework import CHUNK_BYTES, MIB, SluiceTest, assert_equal, main

SEED_PRICE = Decimal("0.001")   # SLU for each MiB
SIZE = 96 * MIB
SLOW = "-maxdownload=32768"   # KiB/s: what is to be interrupted takes seconds


class RestartTest(SluiceTest):
    def run(self):
        self.staker = self.node("staker", staker=True)
        self.seller = self.node("seller", connect=[self.staker])
        self.seeders = [self.node(f"seeder{i}", connect=[self.staker, self.seller]) for i in (1, 2)]
        self.buyer = self.node("buyer", connect=[self.staker, *self.seeders])
        self.others = [self.seller, *self.seeders, self.buyer]
        self.fund(self.staker, self.seller, 10, self.seeders[0], 1, self.seeders[1], 1, self.buyer, 50)
        self.source = self.file("film.bin", SIZE)
        with self.mining(self.staker):
            self.claim = self.publish(self.seller, self.source, 7, SEED_PRICE)
            for seeder in self.seeders:
                self.seed(seeder, self.claim)
        self.settle_chain(self.staker, self.others)
        self.before = self.total(self.buyer)
        self.purchase()
        self.download()
        self.publishing()
        self.orderly_stop()

    def restart(self, node, *connect, options=()):
        """Starts a killed node again; the nodes in `connect` are its only fixed peers."""
        node.start(*[f"-addnode=127.0.0.1:{other.p2p_port}" for other in connect], *options)
        if connect:
            node.wait_for_peers(len(connect))

    def purchase(self):
        staker, seller, buyer = self.staker, self.seller, self.buyer
        # The buyer dies right after it bought: what it has on disk goes out when it is back.
        bought = buyer.rpc("buykey", self.claim)
        buyer.kill()
        self.restart(buyer, staker, *self.seeders)
        assert_equal(self.purchase_state(buyer, bought["purchase"]), "unconfirmed", "state after the buyer's restart")
        assert buyer.rpc("buykey", self.claim)["purchase"] == bought["purchase"], "the key was bought twice"
        staker.wait_for_transaction(bought["txid"])

        # The staker dies with the purchase in its mempool: the others tell it again.
        staker.kill()
        self.restart(staker)
        self.connect(buyer, staker)
        staker.wait_for_transaction(bought["txid"])

        # The seller dies before the block with the purchase, and grants when it is back.
        seller.kill()
        self.generate(staker, 1, sync=[buyer])
        assert_equal(self.purchase_state(buyer, bought["purchase"]), "pending", "state without a seller")
        self.restart(seller, staker)
        grant = staker.wait_until(lambda: staker.rpc("getrawmempool"), "the grant")
        assert_equal(len(grant), 1, "grants")

        # All die with the grant unconfirmed; it is made again, or found again.
        for node in (staker, seller, buyer):
            node.kill()
        self.restart(staker)
        self.restart(buyer, staker)
        self.restart(seller, staker)
        again = staker.wait_until(lambda: staker.rpc("getrawmempool"), "the grant after all were killed")
        assert_equal(len(again), 1, "grants after the restart")
        self.generate(staker, 1, sync=[buyer, seller])
        self.wait_for_purchase(buyer, bought["purchase"], "granted")
        self.generate(staker, 2, sync=[buyer, seller])
        for node in (staker, seller, buyer):
            assert_equal(node.rpc("getrawmempool"), [], f"mempool of {node.name}")
        spent = self.before - self.total(buyer)
        assert Decimal(7) < spent < Decimal("7.01"), f"the buyer spent {spent} for a key of 7"

    def download(self):
        staker, buyer, seeders = self.staker, self.buyer, self.seeders
        for seeder in seeders:
            self.connect(seeder, staker)
            self.connect(buyer, seeder)
        target = self.path("opened.bin")

        # The buyer dies while its channels wait for a block, with a chunk on credit.
        job = buyer.rpc("getcontent", self.claim, target)["job"]
        buyer.wait_until(lambda: self.done(buyer, job) >= CHUNK_BYTES, "the first chunk")
        for txid in buyer.wait_until(lambda: buyer.rpc("getrawmempool"), "the opening of the channels"):
            staker.wait_for_transaction(txid)
        buyer.kill()
        self.generate(staker, 1, sync=seeders)
        self.restart(buyer, staker, *seeders, options=[SLOW])
        buyer.wait_for_tip(staker.rpc("getbestblockhash"))

        # It dies again on the way; so do both seeders, and the staker.
        job = buyer.rpc("getcontent", self.claim, target)["job"]
        while self.here(buyer) < 4 * MIB:
            pass
        for seeder in seeders:
            seeder.pause()
        seen = self.here(buyer)
        assert seen < SIZE, "the download ended before it could be interrupted"
        buyer.wait_until(lambda: buyer.rpc("listcontent")[0]["synced"] * CHUNK_BYTES >= seen, "what came to be on disk")
        for node in (buyer, *seeders, staker):
            node.kill()

        # Without any seeder, the buyer knows what it has.
        self.restart(staker)
        self.restart(buyer, staker)
        kept = self.here(buyer)
        assert seen <= kept < SIZE, f"{kept} bytes were kept of {seen}"
        job = buyer.rpc("getcontent", self.claim, target)["job"]
        assert self.done(buyer, job) in (0, kept), "progress does not begin with what is here"
        for seeder in seeders:
            self.restart(seeder, staker)
            self.connect(buyer, seeder)
        with self.mining(staker):
            result = buyer.wait_for_job(job)
        self.assert_same_file(self.source, target)
        sent = sum(peer["bytessent"] for seeder in seeders for peer in seeder.rpc("getpeerinfo"))
        assert sent <= (SIZE - kept) * 1.05 + 4 * MIB, f"{sent} bytes were sent again, {SIZE - kept} were missing"

        # Nothing is paid twice: in all, the price of the file and a chunk or two for each kill.
        due = SEED_PRICE * (SIZE + 2 * MIB) / MIB
        takes = [Decimal(seeder.rpc("settlechannels")["amount"]) for seeder in seeders]
        assert all(take > 0 for take in takes), f"one seeder earned nothing: {takes}"
        paid = sum(Decimal(channel["paid"]) for channel in buyer.rpc("listchannels")["paying"])
        assert paid <= due * Decimal("1.05"), f"{paid} was paid, {due} was due ({result})"
        self.connect(self.seller, staker)
        self.settle_chain(staker, self.others)
        self.assert_conserved([staker, *self.others])
        spent = self.before - self.total(buyer)
        assert spent < Decimal("7.02") + due * Decimal("1.05"), f"the buyer spent {spent} in all"

    def publishing(self):
        """The creator dies while it seals: the next start clears what was half-written, and publishing again works."""
        seller, staker = self.seller, self.staker
        # Time stands still for the chain; where the sealing is interrupted is left to chance.
        source = self.file("large.bin", 96 * MIB, 5)
        seller.rpc("publishcontent", source, "1")
        seller.kill()
        self.restart(seller, staker)
        left = [name for name in os.listdir(seller.chain_dir("content")) if name.startswith("staging")]
        assert_equal(left, [], "what the killed sealing left")
        with self.mining(staker):
            claim = self.publish(seller, source, 1)
        assert_equal(seller.rpc("getclaim", claim)["live"], True, "the claim")
        for content in seller.rpc("listcontent"):
            assert content["complete"], f"a content that is not whole: {content}"

    def orderly_stop(self):
        """SIGTERM and stop end a node at once, also with jobs under way, with status 0."""
        buyer, staker = self.buyer, self.staker
        with self.mining(staker):
            claim = self.publish(self.seller, self.file("more.bin", 20 * MIB, 6), "0.5")
            self.connect(buyer, self.seller)
            self.buy(buyer, claim)
        for number, end in enumerate((buyer.stop, buyer.terminate)):
            # Its own target each time: a fast machine may be done before the node stops.
            buyer.rpc("getcontent", claim, self.path(f"more-opened-{number}"))
            self.seller.rpc("publishcontent", self.source, "1")
            end()
            self.restart(buyer, staker)
            self.connect(buyer, self.seller)
        with self.mining(staker):
            self.get(buyer, claim, self.path("more-opened-2"))
        self.assert_same_file(self.path("more.bin"), self.path("more-opened-2"))

    @staticmethod
    def done(node, job):
        return node.rpc("getjob", job)["progress"]["done"]

    @staticmethod
    def here(node):
        return node.rpc("listcontent")[0]["have"] * CHUNK_BYTES


if __name__ == "__main__":
    main(RestartTest)
