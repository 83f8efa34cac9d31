#!/usr/bin/env python3
"""What a download may cost is the buyer's to say: too dear, too little money and nobody there each end in one clear line, and cost nothing."""

import os
from decimal import Decimal

from framework import MIB, SluiceTest, assert_equal, assert_refused, main

SIZE = 3 * MIB


class DownloadLimitsTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        creator = self.node("creator", connect=[staker])
        seeder = self.node("seeder", connect=[staker, creator])
        buyer = self.node("buyer", connect=[staker])
        self.fund(staker, creator, 10, seeder, 1, buyer, 6)
        source = self.file("film.bin", SIZE)
        with self.mining(staker):
            claim = self.publish(creator, source, 5, "0.005")
            self.seed(seeder, claim)
            self.buy(buyer, claim)
        self.settle_chain(staker, [creator, seeder, buyer])
        target = self.path("opened")

        # Nobody has it: the job waits and says for what; a second one for the same waits beside it.
        job = buyer.rpc("getcontent", claim, target)["job"]
        buyer.wait_until(lambda: buyer.rpc("getjob", job)["progress"]["waiting_for"], "what it waits for")
        assert "a peer that has it" in buyer.rpc("getjob", job)["progress"]["waiting_for"]
        # The same command watches the same job; another path is another job, and can be stopped alone.
        assert_equal(buyer.rpc("getcontent", claim, target)["job"], job, "the job of the same path")
        second = buyer.rpc("getcontent", claim, target + "2")["job"]
        assert_equal([one["job"] for one in buyer.rpc("listjobs")], [second, job], "the jobs, newest first")
        buyer.rpc("stopjob", second)
        assert_refused(lambda: buyer.wait_for_job(second), says="stopped")
        assert_equal(buyer.rpc("getjob", job)["state"], "running", "the job that was not stopped")
        before = self.total(buyer)
        self.connect(buyer, seeder)
        with self.mining(staker):
            buyer.wait_for_job(job)
        self.assert_same_file(source, target)
        self.settle_chain(staker, [seeder, buyer])
        paid = before - self.total(buyer)
        assert paid < Decimal("0.005"), f"the opening of a channel cost {paid}"   # what the channel holds is the buyer's still

        # Another buyer, from the same seeder.
        other = self.node("other", connect=[staker, seeder])
        self.fund(staker, other, 6)
        with self.mining(staker):
            self.buy(other, claim)
        self.settle_chain(staker, [seeder, other])
        before = other.rpc("getbalances")
        for limits, says in (({"max_price_per_mib": "0.001"}, "0.005"), ({"max_price_per_mib": "0"}, "0.005"), ({"max_cost": "0.001"}, ("0.001", "cost"))):
            job = other.rpc("getcontent", claim=claim, path=self.path("x"), **limits)["job"]
            assert_refused(lambda job=job: other.wait_for_job(job), says=says)
        assert_equal(other.rpc("getbalances"), before, "balances after refused downloads")
        assert_equal(other.rpc("getrawmempool"), [], "transactions of refused downloads")
        assert not os.path.exists(self.path("x"))

        # Without money for a channel.
        other.rpc("sendtoaddress", staker.rpc("getnewaddress"), other.rpc("getbalances")["spendable"], True)
        self.settle_chain(staker, [seeder, other])
        job = other.rpc("getcontent", claim, self.path("x"))["job"]
        assert_refused(lambda: other.wait_for_job(job), says=("funds", "spendable", "have"))
        self.fund(staker, other, 1)
        with self.mining(staker):
            self.get(other, claim, self.path("x"))
        self.assert_same_file(source, self.path("x"))
        self.settle_chain(staker, [seeder, other, buyer])


if __name__ == "__main__":
    main(DownloadLimitsTest)
