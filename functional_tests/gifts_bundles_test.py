#!/usr/bin/env python3
"""Keys bought for somebody else, keys of several titles sold as one, tips; all found again from phrase and chain alone."""

from decimal import Decimal

from framework import SluiceTest, assert_equal, assert_refused, main


class GiftsBundlesTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        creator = self.node("creator", connect=[staker])
        payer = self.node("payer", connect=[staker, creator])
        friend = self.node("friend", connect=[staker, creator])
        stranger = self.node("stranger", connect=[staker, creator])
        self.fund(staker, creator, 10, payer, 50)
        sources = [self.file(f"song{i}", 200_000 + 1000 * i, i) for i in range(3)]
        with self.mining(staker):
            claims = [self.publish(creator, source, 2, title=f"song {i}") for i, source in enumerate(sources)]
            for node in (payer, friend, stranger):
                for claim in claims:
                    self.wait_for_claim(node, claim)
            friend2 = self.gift(staker, creator, payer, friend, stranger, claims[0], sources[0])
            payer2 = self.bundle(staker, creator, payer, claims, sources)
            self.tip(creator, payer2, claims[0])
        self.settle_chain(staker, [creator, payer2, friend2, stranger])
        self.assert_conserved([staker, creator, payer2, friend2, stranger])

    def gift(self, staker, creator, payer, friend, stranger, claim, source):
        address = friend.rpc("getgiftaddress")["address"]
        assert address.startswith("rslugift1"), address
        assert_refused(lambda: payer.rpc("buykey", claim=claim, **{"for": friend.rpc("getnewaddress")}), says="gift address")
        assert_refused(lambda: payer.rpc("buykey", claim=claim, **{"for": address[:-1] + ("q" if address[-1] != "q" else "p")}), says="mistyped")
        bought = payer.rpc("buykey", claim=claim, **{"for": address})
        assert bought["gift"] and not bought["already_bought"], bought
        given = payer.rpc("listgifts")["given"]
        assert_equal([(g["purchase"], g["state"]) for g in given], [(bought["purchase"], "waiting")], "given, at first")
        # The friend's node is away all the while.
        friend.stop()
        self.nodes.remove(friend)
        payer.wait_until(lambda: [g["state"] for g in payer.rpc("listgifts")["given"]] == ["sent"], "the key to be passed on")
        txid = payer.rpc("listgifts")["given"][0]["txid"]
        payer.wait_until(lambda: txid not in payer.rpc("getrawmempool"), "the gift in a block")

        # From the phrase and the chain, on a fresh node.
        friend2 = self.node("friend2", connect=[staker, creator], phrase=friend.phrase)
        received = friend2.rpc("listgifts")["received"]
        assert_equal([(g["claim"], g["state"], g["purchase"]) for g in received], [(claim, "good", bought["purchase"])], "received")
        self.get(friend2, claim, self.path("given"))
        self.assert_same_file(source, self.path("given"))
        assert_refused(lambda: friend2.rpc("buykey", claim), says="has the key already")
        assert "song 0" in friend2.cli("gifts")

        # Nobody else can open it.
        assert_equal(stranger.rpc("listgifts"), {"received": [], "given": []}, "a stranger's gifts")
        assert_refused(lambda: self.get(stranger, claim, self.path("stolen")), says="buy it first")

        # A forged gift: the payer passes the key of another purchase on as this one's. It is shown as false.
        assert_refused(lambda: payer.rpc("sendgift", bought["purchase"], "nonsense"), says="gift address")
        return friend2

    def bundle(self, staker, creator, payer, claims, sources):
        assert_refused(lambda: payer.rpc("publishbundle", title="not mine", price="1", claims=claims[:1]), says="not of this wallet")
        assert_refused(lambda: creator.rpc("publishbundle", title="twice", price="1", claims=[claims[1], claims[1]]), says="twice")
        assert_refused(lambda: creator.rpc("publishbundle", title="none", price="1", claims=[]), says="1 to 48")
        published = creator.cli("bundle", "--title", "two songs", "--price", "3", claims[1], claims[2])
        bundle = published.split()[-1]
        self.wait_for_claim(payer, bundle)
        promised = payer.rpc("getclaim", bundle)["bundle"]
        assert_equal([t["claim"] for t in promised], claims[1:], "what the record promises")

        assert_refused(lambda: self.get(payer, claims[1], self.path("early")), says="buy it first")
        self.buy(payer, bundle)
        def all_good(node):
            listed = node.rpc("listbundles")
            return listed and [t["state"] for t in listed[0]["titles"]] == ["good", "good"]
        payer.wait_until(lambda: all_good(payer), "the bundle's content")
        for i in (1, 2):
            self.get(payer, claims[i], self.path(f"bundled{i}"))
            self.assert_same_file(sources[i], self.path(f"bundled{i}"))
        assert_refused(lambda: payer.rpc("buykey", claims[1]), says="has the key already")
        assert_equal(len(payer.rpc("listpurchases")), 2, "purchases: a gift and a bundle")

        # The phrase gives it all again.
        payer.wait_until(lambda: not payer.rpc("getrawmempool"), "everything in blocks")
        payer.stop()
        self.nodes.remove(payer)
        payer2 = self.node("payer2", connect=[staker, creator], phrase=payer.phrase)
        payer2.wait_until(lambda: all_good(payer2), "the bundle's content, again")
        self.get(payer2, claims[2], self.path("restored"))
        self.assert_same_file(sources[2], self.path("restored"))
        self.get(payer2, claims[0], self.path("restored-gift"))
        assert_equal([g["state"] for g in payer2.rpc("listgifts")["given"]], ["sent"], "gifts given, from the chain")
        return payer2

    def tip(self, creator, payer, claim):
        before = self.total(creator)
        tipped = payer.rpc("tip", claim[:12], "0.5")
        assert_equal(tipped["title"], "song 0", "who is tipped")
        creator.wait_until(lambda: self.total(creator) == before + Decimal("0.5"), "the tip")
        address = creator.rpc("getnewaddress")
        payer.cli("tip", address, "0.25")
        creator.wait_until(lambda: self.total(creator) == before + Decimal("0.75"), "the second tip")
        assert_refused(lambda: payer.rpc("tip", "nobody", "1"), says="neither a claim")
        assert_refused(lambda: payer.rpc("tip", claim, "0.00000001"), says="not relayed")


if __name__ == "__main__":
    main(GiftsBundlesTest)
