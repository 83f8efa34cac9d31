#!/usr/bin/env python3
"""Two nodes with the same operator keys sign two blocks for one slot: the evidence burns the bond, once, whoever reports it; the nodes halt."""

import os
import shutil
from decimal import Decimal

from framework import SluiceTest, assert_equal, assert_refused, main


class SlashingTest(SluiceTest):
    def run(self):
        bank = self.node("bank", staker=True)
        first = self.node("first", connect=[bank], wallet=False)
        keys = first.rpc("makestakerkeys")
        registered = bank.rpc("registerstaker", vrf_key=keys["vrf_key"], signing_key=keys["signing_key"], bond="1000.00000019")
        staker = registered["staker"]
        self.generate(bank, 1, sync=[first])
        bank.rpc("delegate", staker, "3000000")
        self.generate(bank, 1, sync=[first])
        start = bank.rpc("getepochinfo")["epoch"]
        while bank.rpc("getepochinfo")["epoch"] < start + 3:
            self.generate(bank, 10, sync=[first])

        # Another data directory on this machine: the lock on the file refuses it; a copy of the file cannot be seen.
        second = self.node("second", wallet=False, start=False)
        copy = os.path.join(self.folder, "copy.json")
        shutil.copy(keys["key_file"], copy)
        os.chmod(copy, 0o644)
        assert "other users" in self.refused_start(second, f"-stakerkeys={copy}"), "keys that everybody can read"
        os.chmod(copy, 0o600)
        second.start(f"-stakerkeys={copy}", f"-addnode=127.0.0.1:{bank.p2p_port}")
        second.wait_for_tip(bank.rpc("getbestblockhash"))
        third = self.node("third", wallet=False, start=False)
        assert "in use by another sluiced" in self.refused_start(third, f"-stakerkeys={copy}"), "the same file twice"

        # Apart, both make a block for the same slot.
        self.disconnect(second, bank)
        self.disconnect(first, bank)
        bank.rpc("sendtoaddress", bank.rpc("getnewaddress"), "1")
        raw = bank.rpc("getrawtransaction", bank.rpc("getrawmempool")[0])
        second.rpc("sendrawtransaction", raw)
        one = first.rpc("generateblocks", 1)[0]
        two = second.rpc("generateblocks", 1)[0]
        assert_equal(one["slot"], two["slot"], "slots")
        assert one["hash"] != two["hash"], "the blocks differ"

        before = bank.rpc("gettxoutsetinfo")
        bank.set_mock_time(one["time"] + 1)   # its clock is not behind the blocks
        self.connect(first, bank)
        self.connect(second, bank)
        evidence = bank.wait_until(lambda: [tx for tx in bank.rpc("getrawmempool", True).items() if self.is_evidence(bank, tx[0])], "the evidence")
        assert_equal(len(evidence), 1, "evidence transactions")
        for node in (first, second):
            node.wait_until(lambda node=node: "halted" in node.rpc("getstakinginfo"), "the halt")
            assert_refused(lambda node=node: node.rpc("generateblocks", 1), says="halted")
        self.generate(bank, 1, sync=[first, second])
        assert_equal(bank.rpc("getstaker", staker)["status"], "slashed", "status")
        after = bank.rpc("gettxoutsetinfo")
        fee = Decimal("50.00000000")   # 5 % of 1000.00000019, rounded down
        burned = Decimal(after["burned"]) - Decimal(before["burned"])
        assert_equal(burned, Decimal("1000.00000019") - fee, "burned")
        assert after["conserved"], "money"
        # Once per id: nothing more is sent.
        self.generate(bank, 2, sync=[first, second])
        assert_equal([tx for tx in bank.rpc("getrawmempool") if self.is_evidence(bank, tx)], [], "evidence again")
        # Those who delegated keep their coins.
        bank.rpc("undelegate", "all", staker)
        self.generate(bank, 1, sync=[first, second])

    @staticmethod
    def is_evidence(node, txid):
        return "evidence" in str(node.rpc("getrawtransaction", txid, True))

    def refused_start(self, node, *args):
        """Standard error of a start that fails."""
        status, text = node.start(*args, expect_failure=True)
        assert status != 0
        return text


if __name__ == "__main__":
    main(SlashingTest)
