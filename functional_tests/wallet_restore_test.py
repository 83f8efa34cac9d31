#!/usr/bin/env python3
"""From the phrase alone, in a new data directory: coins, bought keys, claims, sales, and what channels still hold."""

from decimal import Decimal

from framework import MIB, SluiceTest, assert_equal, assert_refused, main

CHANNEL_WINDOW = 200   # blocks, of regtest; the wallet adds a tenth and some


class WalletRestoreTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        creator = self.node("creator", connect=[staker])
        seeder = self.node("seeder", connect=[staker, creator])
        buyer = self.node("buyer", connect=[staker, seeder])
        late = self.node("late", connect=[staker, creator, seeder])
        self.fund(staker, creator, 10, seeder, 1, buyer, 50, late, 20)
        source = self.file("film.bin", MIB)
        with self.mining(staker):
            claim = self.publish(creator, source, 5, "0.001")
            self.seed(seeder, claim)
            self.buy(buyer, claim)
            self.get(buyer, claim, self.path("opened"))
        self.settle_chain(staker, [creator, seeder, buyer, late])
        balances = {node.name: node.rpc("getbalances") for node in (creator, buyer)}
        assert Decimal(balances["buyer"]["locked"]["channels"]) > 0, "no channel is open"
        assert Decimal(balances["creator"]["locked"]["claims"]) > 0, "no deposit is locked"
        for node in (creator, buyer):
            node.stop()
            self.nodes.remove(node)

        # The buyer: the same money, and the key, without buying again.
        buyer2 = self.node("buyer2", connect=[staker, seeder], phrase=buyer.phrase)
        assert_equal(buyer2.rpc("getbalances"), balances["buyer"], "the buyer's balances")
        assert_refused(lambda: buyer2.rpc("restorewallet", buyer.phrase), says="wallet")
        with self.mining(staker):
            self.get(buyer2, claim, self.path("opened-again"))
        self.assert_same_file(source, self.path("opened-again"))

        # The creator: the claim is still its own, and a sale is granted by the restored wallet.
        creator2 = self.node("creator2", connect=[staker], phrase=creator.phrase)
        assert_equal(creator2.rpc("getbalances"), balances["creator"], "the creator's balances")
        with self.mining(staker):
            self.buy(late, claim)
            self.get(late, claim, self.path("opened-late"))
        self.assert_same_file(source, self.path("opened-late"))
        self.settle_chain(staker, [creator2, seeder, buyer2, late])
        assert self.total(creator2) > Decimal(balances["creator"]["total"]) + Decimal("4.9")

        # The seeder is lost with its vouchers: what the channels hold comes back to their payers, by itself.
        seeder.stop()
        self.nodes.remove(seeder)
        locked = [Decimal(node.rpc("getbalances")["locked"]["channels"]) for node in (buyer2, late)]
        assert all(amount > 0 for amount in locked), f"locked in channels: {locked}"
        self.generate(staker, CHANNEL_WINDOW * 12 // 10, sync=[creator2, buyer2, late])
        self.settle_chain(staker, [creator2, buyer2, late])
        for node in (buyer2, late):
            assert_equal(Decimal(node.rpc("getbalances")["locked"]["channels"]), Decimal(0), f"locked in channels of {node.name}")

        # A phrase that is none is refused in one line.
        stranger = self.node("stranger", connect=[staker], wallet=False)
        assert_refused(lambda: stranger.rpc("restorewallet", "abandon " * 11 + "abandon"), says="checksum")
        assert_refused(lambda: stranger.rpc("restorewallet", "not words at all"))
        assert_refused(lambda: stranger.rpc("getbalances"), says="createwallet")


if __name__ == "__main__":
    main(WalletRestoreTest)
