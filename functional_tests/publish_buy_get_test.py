#!/usr/bin/env python3
"""The whole job: publish, seed, buy, get from two seeders, settle; for a file of some MiB, a folder and a single byte."""

import os
from decimal import Decimal

from framework import MIB, SluiceTest, assert_equal, assert_refused, main

SEED_PRICE = Decimal("0.001")   # SLU for each MiB
SIZE = 6 * MIB + 12345


class PublishBuyGetTest(SluiceTest):
    def run(self):
        self.staker = self.node("staker", staker=True)
        self.creator = self.node("creator", connect=[self.staker])
        self.seeders = [self.node(f"seeder{i}", connect=[self.staker, self.creator]) for i in (1, 2)]
        # Not connected to the creator: what the buyer gets comes from the seeders.
        self.buyer = self.node("buyer", connect=[self.staker, *self.seeders])
        self.everyone = [self.staker, self.creator, *self.seeders, self.buyer]
        self.fund(self.staker, self.creator, 10, self.seeders[0], 1, self.seeders[1], 1, self.buyer, 50)
        with self.mining(self.staker):
            self.file_of_some_mib()
            self.folder_with_files()
            self.one_byte()
        self.settle_chain(self.staker, self.everyone[1:])
        self.assert_conserved(self.everyone)

    def sell(self, path, price, name):
        """Publishes, seeds from both seeders, and buys. Returns the claim and where the buyer opens it."""
        claim = self.publish(self.creator, path, price, SEED_PRICE, title=name)
        for seeder in self.seeders:
            self.seed(seeder, claim)
        target = self.path(f"opened-{name}")
        assert_refused(lambda: self.get(self.buyer, claim, target), says="buy it first")
        assert not os.path.exists(target), "something was opened before the key was bought"
        self.buy(self.buyer, claim)
        return claim, target

    def file_of_some_mib(self):
        before = self.total(self.buyer)
        source = self.file("film.bin", SIZE)
        claim, target = self.sell(source, "5", "film.bin")
        assert_equal([c["title"] for c in self.buyer.rpc("listclaims")], ["film.bin"], "the feed")
        shown = self.buyer.rpc("getclaim", claim[:12])
        assert_equal(shown["claim"], claim, "claim by its first digits")
        assert_equal(Decimal(shown["price"]), Decimal(5), "price shown")

        result = self.get(self.buyer, claim, target)
        self.assert_same_file(source, target)
        paid = Decimal(result["paid"])
        due = SEED_PRICE * (SIZE + 23 * 16) / MIB
        assert due <= paid <= due * Decimal("1.05") + Decimal("0.0001"), f"paid {paid} to seeders, {due} was due"

        # Each of the seeders served a part, and is paid for it on chain.
        takes = [self.settle_all(seeder) for seeder in self.seeders]
        assert all(take > 0 for take in takes), f"one seeder earned nothing: {takes}"
        assert sum(takes) <= paid, f"the seeders took {sum(takes)} of {paid} paid"
        for seeder, take in zip(self.seeders, takes):
            assert self.total(seeder) > Decimal(1), f"{seeder.name} did not gain by {take}"
        spent = before - self.total(self.buyer)
        assert Decimal(5) + paid <= spent < Decimal("5.01") + paid, f"the buyer spent {spent} for a key of 5 and {paid} of traffic"
        # It is there already: no path is overwritten, and a second copy costs nothing.
        assert_refused(lambda: self.get(self.buyer, claim, target), says="exists")
        assert_equal(Decimal(self.get(self.buyer, claim, target + ".again")["paid"]), Decimal(0), "paid for a second copy")
        self.assert_same_file(source, target + ".again")

    def folder_with_files(self):
        self.file("album/one.bin", 300_000, 1)
        self.file("album/deep/er/two.bin", 262_128, 2)
        self.file("album/empty", 0)
        with open(self.file("album/sp\u00e4t am Abend.txt", 10, 3), "a", encoding="utf-8") as file:
            file.write("text\n")
        os.chmod(self.path("album/one.bin"), 0o755)
        _, target = self.sell(self.path("album"), "1", "album")
        claim = self.buyer.rpc("listclaims")[0]["claim"]
        self.get(self.buyer, claim, target)
        assert_equal(self.listing(target), self.listing(self.path("album")), "the folder")

    def one_byte(self):
        source = self.path("byte")
        with open(source, "wb") as file:
            file.write(b"!")
        claim, target = self.sell(source, "0.5", "byte")
        self.get(self.buyer, claim, target)
        with open(target, "rb") as file:
            assert_equal(file.read(), b"!", "the byte")

    def listing(self, folder):
        """Relative path -> (SHA-256, is executable)."""
        files = {}
        for parent, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(parent, name)
                files[os.path.relpath(path, folder)] = (self.sha256(path), bool(os.stat(path).st_mode & 0o100))
        return files

    @staticmethod
    def settle_all(seeder):
        """Settles until nothing is left, which is not an error: a channel's last voucher, or a second channel, may come after the first settlement."""
        take = Decimal(0)
        for _ in range(4):
            settled = seeder.rpc("settlechannels")
            if not settled["txids"]:
                return take
            take += Decimal(settled["amount"])
            seeder.wait_until(lambda: seeder.rpc("getmempoolinfo")["size"] == 0, "the settlement in a block")
        raise AssertionError(f"{seeder.name} settles without end")

if __name__ == "__main__":
    main(PublishBuyGetTest)
