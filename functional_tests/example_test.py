#!/usr/bin/env python3
"""The template for a functional test: two nodes, a payment, a block. Copy it and change `run`."""

from framework import SluiceTest, assert_equal, assert_refused, main


class ExampleTest(SluiceTest):
    def run(self):
        # A node that stakes (it has regtest's genesis coins) and one that follows it.
        staker = self.node("staker", staker=True)
        alice = self.node("alice", connect=[staker])

        # Nothing happens by itself: time stands still until blocks are made.
        txid = staker.rpc("sendtoaddress", alice.rpc("getnewaddress"), "12.5")
        alice.wait_for_transaction(txid)
        assert_equal(alice.rpc("getbalances")["spendable"], "0", "spendable before the block")

        self.generate(staker, 1, sync=[alice])
        assert_equal(alice.rpc("getbalances")["spendable"], "12.5", "spendable after the block")

        # Errors are part of the interface: one line that says what is wrong.
        assert_refused(lambda: alice.rpc("sendtoaddress", alice.rpc("getnewaddress"), "1000"), -6, "1000")


if __name__ == "__main__":
    main(ExampleTest)
