#!/usr/bin/env python3
"""A fresh node syncs hundreds of blocks over several epochs, also when it is killed on the way; all nodes agree on the ledger."""

from framework import SluiceTest, assert_equal, main

BLOCKS = 300


class SyncTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        first = self.node("first", connect=[staker])
        for _ in range(6):
            staker.rpc("sendtoaddress", first.rpc("getnewaddress"), "1.5")
            self.generate(staker, BLOCKS // 6)
        tip = staker.rpc("getbestblockhash")
        first.wait_for_tip(tip)
        info = staker.rpc("gettxoutsetinfo")
        assert info["conserved"] and info["height"] == BLOCKS, info
        genesis_epoch = staker.rpc("getblockheader", staker.rpc("getblockhash", 1))["epoch"]
        assert staker.rpc("getblockchaininfo")["epoch"] >= genesis_epoch + 2, "the blocks span too few epochs"
        assert_equal(first.rpc("getbalances")["spendable"], "9", "balance of the follower")

        # From nothing, from a node that is no staker.
        fresh = self.node("fresh", connect=[first])
        fresh.wait_for_tip(tip)
        assert_equal(fresh.rpc("gettxoutsetinfo"), info, "ledger of the fresh node")
        fresh.wait_until(lambda: not fresh.rpc("getblockchaininfo")["syncing"], "the end of the sync")
        assert_equal(fresh.rpc("getblockchaininfo")["initialblockdownload"], False, "initialblockdownload")

        # Killed as soon as each part is there; what is on disk is a whole ledger each time.
        killed = self.node("killed", "-debug", wallet=False)
        heights = []
        for height in (1, 40, 120):
            killed.rpc("addnode", f"127.0.0.1:{first.p2p_port}", "onetry")
            while killed.rpc("getblockcount") < height:
                pass
            killed.kill()
            killed.start()
            ledger = killed.rpc("gettxoutsetinfo")
            assert ledger["conserved"], f"the ledger after kill -9: {ledger}"
            heights.append(ledger["height"])
        assert heights == sorted(heights), f"blocks were lost: {heights}"
        self.connect(killed, first)
        killed.wait_for_tip(tip)
        assert_equal(killed.rpc("gettxoutsetinfo"), info, "ledger of the killed node")

        # A wallet restored at the end finds its coins.
        again = self.node("again", connect=[first], phrase=first.phrase)
        again.wait_for_tip(tip)
        assert_equal(again.rpc("getbalances"), first.rpc("getbalances"), "balances of one phrase")
        self.generate(staker, 3, sync=[first, fresh, killed, again])


if __name__ == "__main__":
    main(SyncTest)
