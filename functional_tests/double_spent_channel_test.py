#!/usr/bin/env python3
"""A payer spends a channel's funding twice before it confirms: the seeder loses at most its credit, and nobody anything else."""

from decimal import Decimal

from framework import CHUNK_BYTES, SLICE_BYTES, SluiceTest, assert_equal, main

SIZE = 20 * SLICE_BYTES   # whole chunks, so that what a seeder gives on credit is one of them


class DoubleSpentChannelTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        seeder = self.node("seeder", connect=[staker])
        cheat = self.node("cheat", connect=[staker, seeder])
        accomplice = self.node("accomplice", connect=[staker])
        self.fund(staker, seeder, 10, cheat, 50)
        source = self.file("film.bin", SIZE)
        with self.mining(staker):
            claim = self.publish(seeder, source, 5, "0.001")
            # The publisher asks what it advises, so that it is a paid seeder too.
            self.seed(seeder, claim, price_per_mib="0.001")
            self.buy(cheat, claim)
        self.settle_chain(staker, [seeder, cheat, accomplice])
        seeder_before = self.total(seeder)
        # The same wallet once more, which will make the other transaction.
        twin = self.node("twin", connect=[staker], phrase=cheat.phrase)
        assert_equal(self.total(twin), self.total(cheat), "the twin's balance")

        # The seeder hears of the channel's opening; the staker does not.
        self.disconnect(seeder, staker)
        self.disconnect(cheat, staker)
        target = self.path("stolen")
        job = cheat.rpc("getcontent", claim, target)["job"]
        opening = cheat.wait_until(lambda: cheat.rpc("getrawmempool"), "the channel's opening")[0]
        seeder.wait_for_transaction(opening)
        cheat.wait_until(lambda: cheat.rpc("getjob", job)["progress"]["done"] >= CHUNK_BYTES, "what the seeder gives on credit")
        assert_equal(staker.rpc("getrawmempool"), [], "the staker's mempool")

        # The same coins go elsewhere, and that gets into a block.
        spendable = Decimal(twin.rpc("getbalances")["spendable"])
        other = twin.rpc("sendtoaddress", accomplice.rpc("getnewaddress"), str(spendable - Decimal("0.01")))
        staker.wait_for_transaction(other)
        tip = self.generate(staker, 1, sync=[accomplice])[-1]
        self.connect(seeder, staker)
        self.connect(cheat, staker)
        for node in (seeder, cheat):
            node.wait_for_tip(tip)
            assert_equal(node.rpc("getrawmempool"), [], f"mempool of {node.name}")
        self.generate(staker, 3, sync=[seeder, cheat])

        assert_equal(cheat.rpc("getjob", job)["progress"]["done"], CHUNK_BYTES, "bytes that were not paid")
        assert_equal(seeder.rpc("settlechannels")["txids"], [], "settlements of a channel that is not there")
        assert_equal(self.total(seeder), seeder_before, "the seeder's balance")
        self.settle_chain(staker, [seeder, cheat, accomplice, twin])
        assert_equal(self.total(twin), self.total(cheat), "the twin's balance")
        twin.stop()   # it shares its coins with the cheat
        self.assert_conserved([staker, seeder, cheat, accomplice])


if __name__ == "__main__":
    main(DoubleSpentChannelTest)
