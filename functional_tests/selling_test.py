#!/usr/bin/env python3
"""A node that sells with hot keys alone: no wallet, no phrase; the money goes to the creator's cold script. Killed in the middle of a sale, it goes on."""

import os
from decimal import Decimal

from framework import SluiceTest, assert_equal, assert_refused, main


class SellingTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        home = self.node("home", "-seller=0", connect=[staker])
        shop = self.node("shop", connect=[staker], wallet=False)
        buyer = self.node("buyer", connect=[staker, shop])
        self.fund(staker, home, 10, buyer, 50)
        with self.mining(staker):
            claims = [self.publish(home, self.file(f"film{i}", 300_000 + i, i), 3, title=f"film {i}") for i in range(2)]
        for node in (shop, buyer):
            for claim in claims:
                self.wait_for_claim(node, claim)

        # The keys go from home to the shop, in a file that nobody else reads.
        keys = self.path("keys")
        assert_refused(lambda: shop.rpc("exportsellerkeys", "all", keys), says="no seller keys")
        assert_equal(home.rpc("exportsellerkeys", "all", keys)["titles"], 2, "titles in the file")
        assert_equal(os.stat(keys).st_mode & 0o777, 0o600, "mode of the key file")
        assert_refused(lambda: home.rpc("exportsellerkeys", "all", keys), says="exists")
        assert_refused(lambda: home.rpc("exportsellerkeys", claims[0], "relative"), says="absolute")
        damaged = self.path("damaged")
        with open(keys, "rb") as file, open(damaged, "wb") as other:
            data = bytearray(file.read())
            data[len(data) // 2] ^= 1
            other.write(data)
        os.chmod(damaged, 0o600)
        assert_refused(lambda: shop.rpc("importsellerkeys", damaged), says="checksum")
        os.chmod(keys, 0o644)
        assert_refused(lambda: shop.rpc("importsellerkeys", keys), says="chmod 600")
        os.chmod(keys, 0o600)
        assert_equal(shop.rpc("importsellerkeys", keys), {"changed": 2, "titles": 2}, "import")
        assert_equal(shop.rpc("importsellerkeys", keys)["changed"], 0, "a second import")
        assert_equal({k["claim"] for k in shop.rpc("listsellerkeys")}, set(claims), "the shop's titles")
        assert "film 1" in shop.cli("seller", "list")

        # Home has the keys too and does not sell (-seller=0); nobody else does while the shop is away.
        shop.kill()
        bought = buyer.rpc("buykey", claims[0])
        staker.wait_for_transaction(bought["txid"])
        self.generate(staker, 3, sync=[home, buyer])
        assert_equal(self.purchase_state(buyer, bought["purchase"]), "pending", "with the shop away")
        assert_equal(home.rpc("getsalesinfo")["selling"], False, "home sells")
        home.stop()

        # The shop comes back and finds the purchase; killed before a block has the grant, it sends the same one again.
        shop.start(f"-addnode=127.0.0.1:{staker.p2p_port}")
        grant = shop.wait_until(lambda: shop.rpc("getsalesinfo")["grants"], "the grant")[0]
        shop.kill()
        shop.start(f"-addnode=127.0.0.1:{staker.p2p_port}")
        shop.wait_until(lambda: shop.rpc("getsalesinfo")["grants"] == [grant], "the same grant")
        assert grant in shop.rpc("getrawmempool"), "the grant is not sent again"
        staker.wait_for_transaction(grant)
        self.generate(staker, 1, sync=[shop, buyer])
        self.wait_for_purchase(buyer, bought["purchase"], "granted")
        assert_equal(shop.rpc("getsalesinfo")["grants"], [], "grants on their way")
        assert_refused(lambda: shop.rpc("getbalances"), says="createwallet")

        # Purchases of several buyers are granted together, and survive the shop's death at any moment.
        self.generate(staker, 1, sync=[shop, buyer])
        second = buyer.rpc("buykey", claims[1])
        staker.wait_for_transaction(second["txid"])
        shop.kill()
        with self.mining(staker):
            shop.start(f"-addnode=127.0.0.1:{staker.p2p_port}")
            self.wait_for_purchase(buyer, second["purchase"], "granted")
        again = buyer.rpc("buykey", claims[1])
        assert_equal((again["already_bought"], again["purchase"]), (True, second["purchase"]), "bought again")

        # The prices are at home, where the phrase is: exactly, and nothing is at the shop.
        home.start(f"-addnode=127.0.0.1:{staker.p2p_port}")
        self.settle_chain(staker, [home, shop, buyer])
        assert self.total(home) > Decimal("15.99"), f"home has {self.total(home)}"
        self.assert_conserved([staker, home, buyer])


if __name__ == "__main__":
    main(SellingTest)
