#!/usr/bin/env python3
"""The seller is away: the buyer gets its money back by itself after the window, and no grant is possible any more."""

from decimal import Decimal

from framework import SluiceTest, assert_equal, assert_refused, main

REFUND_WINDOW = 120   # blocks, of regtest


class RefundTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        seller = self.node("seller", connect=[staker])
        buyer = self.node("buyer", connect=[staker])
        self.fund(staker, seller, 10, buyer, 50)
        with self.mining(staker):
            claim = self.publish(seller, self.file("song", 100_000), 7)
        buyer.wait_until(lambda: buyer.rpc("listclaims"), "the claim")
        seller.stop()

        before = self.total(buyer)
        bought = buyer.rpc("buykey", claim)
        assert_equal(Decimal(bought["price"]), Decimal(7), "price")
        assert_equal(self.purchase_state(buyer, bought["purchase"]), "unconfirmed", "state at first")
        staker.wait_for_transaction(bought["txid"])
        self.generate(staker, 3, sync=[buyer])
        assert_equal(self.purchase_state(buyer, bought["purchase"]), "pending", "state without a seller")
        locked = Decimal(buyer.rpc("getbalances")["locked"]["purchases"])
        assert Decimal(7) <= locked < Decimal("7.01"), f"{locked} is locked in the purchase"
        error = assert_refused(lambda: buyer.rpc("refundpurchase", bought["purchase"]), says=str(bought["refund_height"]))
        assert_refused(lambda: self.get(buyer, claim, self.path("song-opened")), says="wait for the seller")

        # One block before the refund height nothing happens; then the buyer's node refunds by itself.
        left = bought["refund_height"] - buyer.rpc("getblockcount")
        assert REFUND_WINDOW - 3 <= left < 2 * REFUND_WINDOW, f"the refund is {left} blocks away"
        self.generate(staker, left - 1, sync=[buyer])
        assert_equal(buyer.rpc("getrawmempool"), [], f"transactions before the refund height ({error.message})")
        self.generate(staker, 1, sync=[buyer])
        refund = buyer.wait_until(lambda: buyer.rpc("getrawmempool"), "the refund")[0]
        staker.wait_for_transaction(refund)
        self.generate(staker, 1, sync=[buyer])
        self.wait_for_purchase(buyer, bought["purchase"], "refunded")
        balances = buyer.rpc("getbalances")
        assert_equal(Decimal(balances["locked"]["purchases"]), Decimal(0), "locked after the refund")
        cost = before - Decimal(balances["total"])
        # Two transactions' fees and the burned fee of one record, all far below the price; the price itself came back.
        assert 0 < cost < Decimal("0.01"), f"the refund cost {cost}"
        assert_refused(lambda: buyer.rpc("refundpurchase", bought["purchase"]), says="refunded")

        # The seller comes back: too late.
        seller.start(f"-addnode=127.0.0.1:{staker.p2p_port}")
        seller.wait_for_tip(staker.rpc("getbestblockhash"))
        self.generate(staker, 2, sync=[seller, buyer])
        for node in (staker, seller, buyer):
            assert_equal(node.rpc("getrawmempool"), [], f"mempool of {node.name}")
        assert_equal(self.purchase_state(buyer, bought["purchase"]), "refunded", "state in the end")
        self.assert_conserved([staker, seller, buyer])

        # Nothing keeps the buyer from buying again.
        with self.mining(staker):
            self.buy(buyer, claim)
        self.settle_chain(staker, [seller, buyer])
        self.assert_conserved([staker, seller, buyer])


if __name__ == "__main__":
    main(RefundTest)
