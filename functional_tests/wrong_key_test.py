#!/usr/bin/env python3
"""A creator seals with another key than the one it sells: the buyer is told, and nothing half-opened is left."""

import os

from framework import SluiceTest, assert_equal, assert_refused, main


class WrongKeyTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        cheat = self.node("cheat", connect=[staker])
        buyer = self.node("buyer", connect=[staker, cheat])
        self.fund(staker, cheat, 10, buyer, 50)
        os.makedirs(self.path("folder"))
        self.file("folder/a", 300_000)
        with self.mining(staker):
            for name, source in (("file", self.file("promised", 600_000)), ("folder", self.path("folder"))):
                claim = self.publish(cheat, source, 2, seal_key="11" * 32, title=f"a cheating {name}")
                self.buy(buyer, claim)
                target = self.path(f"opened-{name}")
                assert_refused(lambda claim=claim, target=target: self.get(buyer, claim, target), says="does not open the content")
                assert_equal([f for f in os.listdir(self.folder) if f.startswith("opened-")], [], "files left by the failed opening")
        # The node goes on.
        self.settle_chain(staker, [cheat, buyer])
        self.assert_conserved([staker, cheat, buyer])


if __name__ == "__main__":
    main(WrongKeyTest)
