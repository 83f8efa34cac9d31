#!/usr/bin/env python3
"""A staker's life with hot keys alone on the staking node: registered and paid for elsewhere, produces, rotates, retires; the bond comes back after its lock."""

import os
from decimal import Decimal

from framework import SluiceTest, assert_equal, assert_refused, main

EPOCH_SLOTS = 200
UNBONDING_SLOTS = 2000


class StakingTest(SluiceTest):
    def run(self):
        self.bank = self.node("bank", staker=True)          # has the coins, and the stake so far
        self.operator = self.node("operator", connect=[self.bank], wallet=False)
        self.register()
        self.produce()
        self.rotate()
        self.commission()
        self.retire()
        self.release()
        self.assert_conserved([self.bank])

    def epoch(self):
        return self.bank.rpc("getepochinfo")["epoch"]

    def to_epoch(self, epoch):
        """Makes blocks until the next slot lies in `epoch`."""
        while self.bank.rpc("getepochinfo")["epoch"] < epoch:
            self.generate(self.bank, 10, sync=[self.operator])

    def confirm(self, txid):
        self.bank.wait_for_transaction(txid)
        self.generate(self.bank, 1, sync=[self.operator])

    def register(self):
        bank, operator = self.bank, self.operator
        assert_refused(lambda: operator.rpc("generateblocks", 1), says="does not stake")
        keys = operator.rpc("makestakerkeys")
        assert_equal(operator.rpc("makestakerkeys"), keys, "keys asked for twice")
        assert_equal(oct(os.stat(keys["key_file"]).st_mode & 0o777), "0o600", "mode of the key file")
        pair = {"vrf_key": keys["vrf_key"], "signing_key": keys["signing_key"]}
        for bad, says in (({"commission": "10.1"}, "0 to 10"), ({"bond": "999.99999999"}, "1000"), ({"vrf_key": "00" * 32}, "vrf_key"),
                          ({"payout": "nowhere"}, "payout")):
            assert_refused(lambda bad=bad: bank.rpc("registerstaker", **{**pair, **bad}), says=says)
        assert_refused(lambda: operator.rpc("registerstaker"), says="createwallet")
        before = self.total(bank)
        registered = bank.rpc("registerstaker", commission="5", **pair)
        self.staker = registered["staker"]
        assert_refused(lambda: bank.rpc("getstaker", self.staker), says="yet")
        self.confirm(registered["txid"])
        assert_equal(bank.rpc("getstaker", self.staker)["status"], "active", "status")
        assert_equal(Decimal(bank.rpc("getstaker", self.staker)["bond"]), Decimal(1000), "bond")
        assert before - self.total(bank) < Decimal("0.01"), "the bond is still the wallet's"
        # The node with the keys finds out by itself whose they are.
        operator.wait_until(lambda: operator.rpc("getstakinginfo").get("staker") == self.staker, "the keys' staker")
        assert_refused(lambda: bank.rpc("registerstaker", **pair), says="belongs to staker")

    def produce(self):
        bank, operator = self.bank, self.operator
        assert_refused(lambda: bank.rpc("delegate", "00" * 8, "10"), says="staker")
        self.confirm(bank.rpc("delegate", self.staker, "2000000")["txid"])
        made = self.epoch()
        # Stake made in epoch c counts from c+3 on, not in c+2.
        self.to_epoch(made + 2)
        assert_equal(Decimal(bank.rpc("getstaker", self.staker)["weight"]), Decimal(0), "weight two epochs later")
        self.to_epoch(made + 3)
        staker = bank.rpc("getstaker", self.staker)
        assert_equal(Decimal(staker["weight"]), Decimal(2000000), "weight three epochs later")
        self.make(5)

    def make(self, blocks):
        """Blocks of the operator's."""
        for _ in range(blocks):
            self.bank.set_mock_time(self.operator.mock_time + 100)   # the bank's clock is not behind the blocks
            block = self.operator.rpc("generateblocks", 1)[0]
            self.operator.mock_time = block["time"]
            self.bank.wait_for_tip(block["hash"])
            header = self.bank.rpc("getblockheader", block["hash"])
            assert_equal(header["staker"], self.staker, "producer")
            slot = self.operator.rpc("getslotinfo", block["slot"])
            assert_equal((slot["outcome"], slot["block"]), ("produced", block["hash"]), "outcome of the slot")
        self.operator.set_mock_time(self.bank.mock_time + 50)   # nor is the operator's behind what the bank makes next

    def rotate(self):
        bank, operator = self.bank, self.operator
        old = operator.rpc("makestakerkeys")
        new = operator.rpc("makestakerkeys", True)["next"]
        assert new["vrf_key"] != old["vrf_key"], "the next keys are new ones"
        assert_refused(lambda: bank.rpc("rotatestaker", self.staker), says="not on this node")
        self.confirm(bank.rpc("rotatestaker", staker=self.staker, vrf_key=new["vrf_key"], signing_key=new["signing_key"])["txid"])
        since = self.epoch()
        self.make(2)   # with the old keys
        operator.kill()
        operator.start(f"-addnode=127.0.0.1:{bank.p2p_port}")
        operator.wait_for_peers(1)
        self.to_epoch(since + 2)
        self.make(3)   # with the new ones
        keys = operator.rpc("makestakerkeys")
        assert_equal((keys["vrf_key"], keys["next"]), (new["vrf_key"], None), "keys after the rotation")

    def commission(self):
        bank = self.bank
        assert_refused(lambda: bank.rpc("rotatestaker", self.staker, "11"), says="0 to 10")
        self.confirm(bank.rpc("rotatestaker", self.staker, "10")["txid"])
        assert_equal(bank.rpc("getstaker", self.staker)["commission_percent"], "10.0", "commission")
        assert_equal(bank.rpc("getstaker", self.staker)["vrf_key"], self.operator.rpc("makestakerkeys")["vrf_key"], "keys stay")

    def retire(self):
        bank, operator = self.bank, self.operator
        retired = bank.rpc("retirestaker", self.staker)
        self.confirm(retired["txid"])
        since = self.epoch()
        assert_equal(bank.rpc("getstaker", self.staker)["status"], "exiting", "status")
        assert_refused(lambda: bank.rpc("delegate", self.staker, "10"), says="exiting")
        self.make(1)   # still elected
        self.to_epoch(since + 2)
        assert_refused(lambda: operator.rpc("generateblocks", 1), says="no stake")
        assert_refused(lambda: bank.rpc("releasebond", self.staker), says="slot")

    def release(self):
        bank = self.bank
        free_at = bank.rpc("getstaker", self.staker)["bond_free_at_slot"]
        for node in (self.operator, bank):
            node.set_mock_time(bank.mock_time + UNBONDING_SLOTS + 100)
        self.generate(bank, 1, sync=[self.operator])
        assert bank.rpc("getepochinfo")["slot"] > free_at, "the lock is over"
        self.confirm(bank.rpc("releasebond", self.staker)["txid"])
        assert_equal(bank.rpc("getstaker", self.staker)["status"], "retired", "status")
        # Delegated coins are free all the time.
        self.confirm(bank.rpc("undelegate", "all", self.staker)["txid"])


if __name__ == "__main__":
    main(StakingTest)
