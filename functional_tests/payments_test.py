#!/usr/bin/env python3
"""What a download costs is said before and kept to; what it earned is in the accounts, survives the machine, and is settled by itself."""

import os
from decimal import Decimal

from framework import CHUNK_BYTES, MIB, SLICE_BYTES, SluiceTest, assert_equal, assert_refused, main

CHUNKS = 48
ASK = Decimal("0.001")
FLOOR = Decimal("0.0006")


class PaymentsTest(SluiceTest):
    def run(self):
        self.staker = self.node("staker", staker=True)
        self.creator = self.node("creator", connect=[self.staker])
        self.usb = self.path("usb")
        os.mkdir(self.usb)
        self.copy = os.path.join(self.usb, "vouchers")
        self.seeder = self.node("seeder", f"-voucherbackup={self.copy}", connect=[self.staker, self.creator])
        self.buyer = self.node("buyer", connect=[self.staker, self.seeder])
        self.everyone = [self.creator, self.seeder, self.buyer]
        self.fund(self.staker, self.creator, 10, self.seeder, 1, self.buyer, 20)
        self.source = self.file("film.bin", CHUNKS * SLICE_BYTES)
        with self.mining(self.staker):
            self.claim = self.publish(self.creator, self.source, 5, "0.002")
            self.seed(self.seeder, self.claim, price_per_mib=str(ASK), min_price_per_mib=str(FLOOR))
            self.buy(self.buyer, self.claim)
        self.settle_chain(self.staker, self.everyone)

        cost = self.cost_is_said_and_kept_to()
        self.accounts_say_what_was_paid(cost)
        self.machine_is_lost_and_the_copy_brings_the_earnings()
        self.what_is_worth_it_is_settled_by_itself()
        self.settle_chain(self.staker, self.everyone)
        self.assert_conserved([self.staker, *self.everyone])

    def cost_is_said_and_kept_to(self):
        estimate = self.buyer.rpc("estimatedownloadcost", claim=self.claim)
        assert_equal(estimate["missing_bytes"], CHUNKS * CHUNK_BYTES, "what is missing")
        high = Decimal(estimate["cost"]["high"])
        assert Decimal(estimate["cost"]["low"]) <= high, f"the estimate is upside down: {estimate}"
        assert_refused(lambda: self.buyer.rpc("estimatedownloadcost", claim="ff" * 32), says="claim")
        nobody = self.buyer.rpc("estimatedownloadcost", claim=self.claim, max_price_per_mib="0.0000001", wait=200)
        assert_equal(nobody["cost"], None, "an estimate under every ask")
        before = self.total(self.buyer)
        limit = Decimal("0.05")
        with self.mining(self.staker):
            got = self.get(self.buyer, self.claim, self.path("opened"), max_cost=str(limit))
        self.assert_same_file(self.source, self.path("opened"))
        paid = Decimal(got["paid"])
        size_mib = Decimal(CHUNKS * CHUNK_BYTES) / MIB
        assert FLOOR * size_mib <= paid < ASK * size_mib, f"{paid} was paid: nothing was haggled"
        assert paid <= high, f"{paid} was paid, {high} was the estimate"
        self.settle_chain(self.staker, self.everyone)
        # Everything that left the wallet: the payer's own coins in channels are still its own.
        fees = before - self.total(self.buyer)
        assert paid + fees <= limit, f"{paid} and {fees} in fees are over the limit of {limit}"
        assert_equal(self.buyer.rpc("estimatedownloadcost", claim=self.claim)["missing_bytes"], 0, "what is missing now")
        return paid

    def accounts_say_what_was_paid(self, paid):
        self.seeder.wait_until(lambda: Decimal(self.seeder.rpc("getearnings")["earned"]) == paid, "the accounts")
        for by, key in (("title", "claim"), ("peer", "node"), ("day", "day"), ("all", "claim")):
            rows = self.seeder.rpc("getearnings", by)["rows"]
            assert_equal([Decimal(row["earned"]) for row in rows], [paid], f"earnings by {by}")
            assert key in rows[0], f"earnings by {by}: {rows}"
        assert_equal(self.seeder.rpc("getearnings", "peer")["rows"][0]["node"], self.buyer.node_id(), "who paid")
        earning = self.seeder.rpc("listchannels")["earning"]
        assert_equal(sum(Decimal(channel["earned"]) for channel in earning), paid, "the vouchers")
        assert all(channel["worth_settling"] for channel in earning)
        paying = self.buyer.rpc("listchannels")["paying"]
        assert_equal({channel["state"] for channel in paying}, {"open"}, "states of channels")
        for words, says in ((["channels"], "earning"), (["earnings", "--by", "day"], "SLU"), (["earnings"], "in all"), (["cost", self.claim], "missing")):
            text = self.seeder.cli(*words)
            assert says in text, f"sluice-cli {' '.join(words)} says: {text}"

    def machine_is_lost_and_the_copy_brings_the_earnings(self):
        owed = sum(Decimal(channel["earned"]) for channel in self.seeder.rpc("listchannels")["earning"])
        before = self.total(self.seeder)
        self.seeder.kill()
        self.nodes.remove(self.seeder)
        # A new machine with the same phrase, and the stick.
        fresh = self.node("fresh", connect=[self.staker, self.buyer], phrase=self.seeder.phrase)
        assert_equal(fresh.rpc("settlechannels")["txids"], [], "settlements without the vouchers")
        assert_refused(lambda: fresh.rpc("restorevouchers", self.source), says="backup")
        assert_equal(fresh.rpc("restorevouchers", self.copy)["channels"], 1, "restored channels")
        settled = fresh.rpc("settlechannels")
        if not settled["txids"]:   # it may have been settled by itself already
            settled = None
        self.everyone = [self.creator, fresh, self.buyer]
        self.staker.wait_until(lambda: self.staker.rpc("getmempoolinfo")["size"] > 0, "the settlement")
        self.settle_chain(self.staker, self.everyone)
        gained = self.total(fresh) - before
        assert Decimal(0) < owed - gained < Decimal("0.0001"), f"{gained} of {owed} came"
        if settled:
            assert_equal(Decimal(settled["amount"]), gained, "what the settlement brought")
        self.seeder = fresh

    def what_is_worth_it_is_settled_by_itself(self):
        keen = self.node("keen", "-settleafter=1", connect=[self.staker, self.creator])
        other = self.node("other", connect=[self.staker, keen])
        self.everyone += [keen, other]
        self.fund(self.staker, keen, 1, other, 20)
        with self.mining(self.staker):
            self.seed(keen, self.claim, price_per_mib=str(ASK))
            self.buy(other, self.claim)
            self.get(other, self.claim, self.path("opened-other"))
        self.assert_same_file(self.source, self.path("opened-other"))
        for _ in range(60):   # every block makes it look
            if all(channel["phase"] in ("settling", "closed") for channel in keen.rpc("listchannels")["earning"]):
                break
            self.generate(self.staker, 1, sync=self.everyone)
            keen.rpc("waitevents", keen.rpc("waitevents", 0, 0)["last"], 100)
        else:
            raise AssertionError("nothing was settled without being asked")
        self.settle_chain(self.staker, self.everyone)
        assert_equal(keen.rpc("settlechannels")["txids"], [], "what is left to settle")


if __name__ == "__main__":
    main(PaymentsTest)
