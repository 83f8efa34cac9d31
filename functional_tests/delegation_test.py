#!/usr/bin/env python3
"""Stake: a wallet delegates to staker 1, earns once that is elected by it, and takes back exactly what it was shown."""

import json
from decimal import Decimal

from framework import SluiceTest, assert_equal, assert_refused, main
from framework.case import AHEAD_S, START_TIME_S

GENESIS_TIME_S = START_TIME_S - 3600
EPOCH_SLOTS = 200
UNKNOWN = "00112233445566ff"
STAKE = Decimal(2_000_000)


class DelegationTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        holder = self.node("holder", connect=[staker])
        everyone = [staker, holder]
        self.fund(staker, holder, 500_000, holder, 500_000, holder, 500_000, holder, 500_001)
        self.restart_as(staker, holder, 1)
        chosen = staker.rpc("getstakinginfo")["staker"]
        self.restart_as(staker, holder, 0)

        # The wallet refuses what would earn nothing, in one line that says why.
        assert_refused(lambda: holder.rpc("delegate", UNKNOWN, "5"), says="not registered")
        assert_refused(lambda: holder.rpc("delegate", "zz", "5"))
        assert_refused(lambda: holder.rpc("delegate", chosen, "0"))
        assert_refused(lambda: holder.rpc("delegate", chosen, "3000000"), says="SLU")
        assert_refused(lambda: holder.rpc("undelegate"), says="no stake")

        # Delegated by the command for people.
        sent = json.loads(holder.cli("stake", "delegate", str(STAKE), chosen, "--json"))
        self.settle_chain(staker, [holder])
        delegation, = holder.rpc("getstakestatus")["delegations"]
        assert_equal((delegation["staker"], Decimal(delegation["amount"]), delegation["staker_status"]), (chosen, STAKE, "active"), "the delegation")
        assert_equal(delegation["txid"], sent["txid"], "its transaction")
        first = delegation["earns_from_epoch"]
        assert_equal(first, delegation["since_epoch"] + 3, "the first epoch that it earns in")
        balances = holder.rpc("getbalances")
        assert_equal((Decimal(balances["staked"]), Decimal(balances["accrued"])), (STAKE, Decimal(0)), "staked and accrued")
        assert_refused(lambda: holder.rpc("sendtoaddress", staker.rpc("getnewaddress"), "2"), says="SLU")  # never out of stake
        coin, = [each for each in holder.rpc("listunspent") if "staker" in each]
        assert_equal((coin["spendable"], Decimal(coin["accrued"])), (False, Decimal(0)), "the stake among the coins")
        assert chosen in holder.cli("stake", "status")
        lines = dict(line.rsplit(maxsplit=2)[:2] for line in holder.cli("balance").splitlines())
        assert_equal((Decimal(lines["staked"]), Decimal(lines["accrued by stake"]), Decimal(lines["bonds"])), (STAKE, Decimal(0), Decimal(0)), "balance")

        # Until the third epoch after its own it elects nobody.
        self.mine_into(staker, holder, first)
        assert_equal(Decimal(holder.rpc("getstakestatus")["accrued"]), Decimal(0), "accrued before the first epoch that counts")
        # From then on it elects staker 1. What an epoch brought is there once the epoch is over.
        self.restart_as(staker, holder, 1)
        self.generate(staker, 5, sync=[holder])
        assert_equal(self.epoch(staker), first, "the epoch")
        assert_equal(Decimal(holder.rpc("getstakestatus")["accrued"]), Decimal(0), "accrued before the end of the first epoch")
        self.mine_into(staker, holder, first + 1)
        accrued = Decimal(holder.rpc("getstakestatus")["accrued"])
        assert accrued > 0, "nothing was earned"
        self.mine_into(staker, holder, first + 2)
        more = Decimal(holder.rpc("getstakestatus")["accrued"])
        assert more > accrued, f"{more} SLU after two epochs, {accrued} after one"
        self.assert_conserved(everyone)

        # Back, to the drop.
        before = self.total(holder)
        assert_equal(Decimal(holder.rpc("getbalances")["accrued"]), more, "the balance of what is accrued")
        back = json.loads(holder.cli("stake", "undelegate", "all", "--json"))
        fee = Decimal(back["fee"])
        assert_equal((Decimal(back["stake"]), Decimal(back["accrued"])), (STAKE, more), "what is claimed")
        assert_equal(Decimal(back["received"]), STAKE + more - fee, "what comes back")
        self.settle_chain(staker, [holder])
        self.assert_conserved(everyone)
        assert_equal(self.total(holder) - before, more - fee, "what the holder gained")
        assert_equal(holder.rpc("getstakestatus")["delegations"], [], "delegations")
        entry = holder.rpc("gettransaction", back["txid"])
        assert_equal((Decimal(entry["accrued"]), Decimal(entry["fee"])), (more, fee), "its entry in the history")

    @staticmethod
    def epoch(staker):
        return (staker.mock_time - GENESIS_TIME_S) // EPOCH_SLOTS

    @staticmethod
    def restart_as(staker, holder, index):
        """The one node that makes blocks goes on with the keys of another staker: nothing is made at the same time."""
        staker.stop()
        staker.args = [f"-staker={index}"]
        staker.start()
        holder.wait_for_peers(1)
        staker.wait_for_peers(1)

    def mine_into(self, staker, holder, epoch):
        """Makes blocks until the next one belongs to `epoch` or a later one, only few of them."""
        slot = epoch * EPOCH_SLOTS
        near = GENESIS_TIME_S + slot - 40
        if near > staker.mock_time:
            holder.set_mock_time(near + AHEAD_S)
            staker.set_mock_time(near)
        while staker.mock_time - GENESIS_TIME_S + 1 < slot:
            self.generate(staker, 1, sync=[holder])


if __name__ == "__main__":
    main(DelegationTest)
