#!/usr/bin/env python3
"""A folder sold in segments: one track is bought and opens alone, then the whole; paths that could do harm are refused; updates, editions, transfer and retirement."""

import json
import os
from decimal import Decimal

from framework import SluiceTest, assert_equal, assert_refused, main


class SegmentsTest(SluiceTest):
    def run(self):
        self.staker = self.node("staker", staker=True)
        self.creator = self.node("creator", connect=[self.staker])
        self.buyer = self.node("buyer", connect=[self.staker, self.creator])
        self.heir = self.node("heir", connect=[self.staker, self.creator])
        self.everyone = [self.staker, self.creator, self.buyer, self.heir]
        self.fund(self.staker, self.creator, 10, self.buyer, 50, self.heir, 5)
        with self.mining(self.staker):
            self.paths_that_do_harm()
            claim = self.one_track()
            self.the_whole(claim)
            self.per_file()
            claim = self.new_version()
            self.new_edition(claim)
            self.terms_alone(claim)
            self.transfer_and_retire(claim)
        self.settle_chain(self.staker, self.everyone[1:])
        self.assert_conserved(self.everyone)

    def files_under(self, folder):
        return sorted(os.path.relpath(os.path.join(parent, name), folder) for parent, _, names in os.walk(folder) for name in names)

    def paths_that_do_harm(self):
        """Whoever seals cannot make them. (Whoever opens: tests/content/manifest_test.cpp.)"""
        os.makedirs(self.path("bad"))
        self.file("bad/a.txt", 10)
        for name, target in (("link", "/etc/passwd"), ("out", "../album")):
            os.symlink(target, self.path(f"bad/{name}"))
            assert_refused(lambda: self.publish(self.creator, self.path("bad"), "1"), says="symbolic link")
            os.remove(self.path(f"bad/{name}"))
        for name in ("A.TXT", "cafe\u0301", "a\nb", "a\\b"):
            self.file("bad/caf\u00e9", 10)
            self.file(f"bad/{name}", 10)
            assert_refused(lambda: self.publish(self.creator, self.path("bad"), "1"), says=("case", "control", "backslash"))
            os.remove(self.path(f"bad/{name}"))
        assert_refused(lambda: self.creator.rpc("publishcontent", path="relative", price="1"), says="absolute")

    def one_track(self):
        for track in range(1, 4):
            self.file(f"album/tracks/{track:02}.flac", 400_000 + track, track)
        self.file("album/booklet.pdf", 50_000, 9)
        self.file("album/empty.txt", 0)
        cli = self.creator.cli("publish", self.path("album"), "--price", "5", "--title", "album", "--no-preview", "--json",
                               "--segment", "tracks/01.flac=1", "--segment", "tracks/*=2.5", "--segment", "*.pdf=0.5")
        claim = json.loads(cli)["claim"]
        self.wait_for_claim(self.buyer, claim)
        shown = self.buyer.rpc("getclaim", claim)
        assert_equal([(s["tier"], s["price"]) for s in shown["segments"]], [(1, "1"), (2, "2.5"), (3, "0.5")], "segments")
        assert_equal([s["chunks"] for s in shown["segments"]], [2, 4, 1], "chunks of the segments")
        assert "tracks" not in str(shown), "the record names files"
        assert "TIER" in self.buyer.cli("show", claim), "show does not list the segments"
        assert_refused(lambda: self.buyer.rpc("buykey", claim=claim, tier=4), says="tier 4")

        before = self.total(self.buyer)
        self.buy(self.buyer, claim, tier=1)
        spent = before - self.total(self.buyer)
        assert Decimal(1) < spent < Decimal("1.01"), f"a track of 1 SLU cost {spent}"
        assert_equal(self.buyer.rpc("buykey", claim=claim, tier=1)["already_bought"], True, "bought before")
        target = self.path("track-alone")
        self.get(self.buyer, claim, target)
        assert_equal(self.files_under(target), ["empty.txt", "tracks/01.flac"], "what one segment opens")
        self.assert_same_file(self.path("album/tracks/01.flac"), f"{target}/tracks/01.flac")
        stored = [one["have"] for one in self.buyer.rpc("listcontent") if one["root"] == shown["content"]["root"]]
        assert_equal(stored, [1 + 2], "chunks that were fetched: the manifest's and the track's")
        # A second segment opens with the first.
        self.buy(self.buyer, claim, tier=3)
        target = self.path("track-and-booklet")
        self.get(self.buyer, claim, target)
        assert_equal(self.files_under(target), ["booklet.pdf", "empty.txt", "tracks/01.flac"], "what two segments open")
        return claim

    def the_whole(self, claim):
        self.buy(self.buyer, claim)
        target = self.path("whole")
        self.get(self.buyer, claim, target)
        assert_equal(self.files_under(target), self.files_under(self.path("album")), "what the title key opens")
        for name in self.files_under(target):
            self.assert_same_file(self.path(f"album/{name}"), f"{target}/{name}")

    def per_file(self):
        cli = self.creator.cli("publish", self.path("album"), "--price", "3", "--title", "each", "--no-preview", "--json", "--segments", "per-file",
                               "--segment-price", "0.7")
        claim = json.loads(cli)["claim"]
        prices = [s["price"] for s in self.creator.rpc("getclaim", claim)["segments"]]
        assert_equal(prices, ["0.7"] * 4, "a segment for each file with bytes")
        assert_refused(lambda: self.creator.rpc("publishcontent", path=self.path("album"), price="1", segments=[{"path": "none", "price": "1"}]),
                       says="'none'")

    def new_version(self):
        claim = self.publish(self.creator, self.file("book.txt", 100_000, 1), "2", title="book", make_previews=False)
        self.buy(self.buyer, claim)
        result = self.creator.wait_for_job(self.creator.rpc("updatecontent", claim=claim, path=self.file("book2.txt", 120_000, 2), title="book, revised",
                                                            make_previews=False)["job"])
        assert_equal(result["claim"], claim, "the claim stays")
        self.buyer.wait_until(lambda: self.buyer.rpc("getclaim", claim)["title"] == "book, revised", "the update")
        shown = self.buyer.rpc("getclaim", claim)
        assert_equal(Decimal(shown["price"]), Decimal(2), "the price stays")
        # Earlier buyers open it, and do not pay again.
        assert_equal(self.buyer.rpc("buykey", claim=claim)["already_bought"], True, "bought under older terms")
        target = self.path("revised")
        self.get(self.buyer, claim, target)
        self.assert_same_file(self.path("book2.txt"), target)
        # The version before may go from the store now.
        contents = {c["size"]: c["pinned"] for c in self.creator.rpc("listcontent") if c.get("claim") == claim}
        self.creator.wait_until(lambda: sorted(c["pinned"] for c in self.creator.rpc("listcontent") if c.get("claim") == claim) == [False, True],
                                f"the old version to be unpinned: {contents}")
        return claim

    def new_edition(self, claim):
        self.creator.cli("update", claim, self.file("book3.txt", 90_000, 3), "--new-edition", "--price", "4", "--no-preview")
        self.buyer.wait_until(lambda: Decimal(self.buyer.rpc("getclaim", claim)["price"]) == 4, "the edition")
        # What was bought opens what it was bought for.
        target = self.path("still-revised")
        self.get(self.buyer, claim, target)
        self.assert_same_file(self.path("book2.txt"), target)
        assert_equal(self.buy(self.buyer, claim)["already_bought"], False, "a new edition is bought anew")
        target = self.path("edition")
        self.get(self.buyer, claim, target)
        self.assert_same_file(self.path("book3.txt"), target)

    def terms_alone(self, claim):
        root = self.creator.rpc("getclaim", claim)["content"]["root"]
        self.creator.cli("update", claim, "--price", "6", "--description", "Cheaper it was never", "--tag", "prose")
        shown = self.creator.rpc("getclaim", claim)
        assert_equal((shown["content"]["root"], Decimal(shown["price"]), shown["tags"]), (root, Decimal(6), ["prose"]), "terms")
        assert_refused(lambda: self.creator.rpc("updatecontent", claim=claim, new_edition=True), says="path")
        assert_refused(lambda: self.buyer.rpc("updatecontent", claim=claim, price="1"), says="not this wallet's")

    def transfer_and_retire(self, claim):
        before = self.total(self.creator)
        self.creator.cli("transfer", claim, self.heir.rpc("getnewaddress"))
        assert self.total(self.creator) < before, "the deposit went with the claim"
        self.heir.wait_until(lambda: any(c["claim"] == claim for c in self.heir.rpc("listclaims", own=True)), "the claim to be the heir's")
        assert_equal([c["claim"] for c in self.creator.rpc("listclaims", own=True) if c["claim"] == claim], [], "the giver's claims")
        assert_refused(lambda: self.creator.rpc("retireclaim", claim), says="not this wallet's")
        # The title key did not come with it: the new owner publishes an edition of its own.
        assert_refused(lambda: self.heir.rpc("updatecontent", claim=claim, price="1"), says="new edition")
        self.heir.cli("update", claim, self.file("book4.txt", 70_000, 4), "--new-edition", "--price", "1.5", "--no-preview")
        self.connect(self.buyer, self.heir)
        self.buyer.wait_until(lambda: Decimal(self.buyer.rpc("getclaim", claim)["price"]) == Decimal("1.5"), "the heir's edition")
        earned = self.total(self.heir)
        self.buy(self.buyer, claim)
        target = self.path("heirs-edition")
        self.get(self.buyer, claim, target)
        self.assert_same_file(self.path("book4.txt"), target)
        self.heir.wait_until(lambda: self.total(self.heir) > earned + 1, "the price to be the heir's")

        before = self.total(self.heir)
        result = json.loads(self.heir.cli("retire", claim, "--json"))
        assert Decimal(result["returned"]) > 0, "the deposit did not come back"
        assert self.total(self.heir) > before - Decimal("0.001"), "retiring cost more than a fee"
        self.buyer.wait_until(lambda: all(c["claim"] != claim for c in self.buyer.rpc("listclaims", 100)), "the claim to leave the feed")
        # Buyers keep what they have.
        self.get(self.buyer, claim, target + ".again")
        assert_equal(self.heir.rpc("listclaims", own=True), [], "the heir's claims")


if __name__ == "__main__":
    main(SegmentsTest)
