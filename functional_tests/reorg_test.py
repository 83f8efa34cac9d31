#!/usr/bin/env python3
"""Reorganisations: a purchase and its grant are undone and come back; two stakers' branches meet and the longer one wins."""

from decimal import Decimal

from framework import MIB, SluiceTest, assert_equal, main


class ReorgTest(SluiceTest):
    def run(self):
        self.sale_undone_and_back()
        self.settlement_undone_and_back()
        self.two_branches()

    def sale_undone_and_back(self):
        staker = self.node("staker", staker=True)
        seller = self.node("seller", connect=[staker])
        buyer = self.node("buyer", connect=[staker, seller])
        nodes = [staker, seller, buyer]
        self.fund(staker, seller, 10, buyer, 50)
        source = self.file("song", 400_000)
        with self.mining(staker):
            claim = self.publish(seller, source, 7)
        self.settle_chain(staker, nodes[1:])
        fork = staker.rpc("getbestblockhash")

        bought = buyer.rpc("buykey", claim)
        staker.wait_for_transaction(bought["txid"])
        with_purchase = self.generate(staker, 1, sync=nodes[1:])[0]
        grant = staker.wait_until(lambda: staker.rpc("getrawmempool"), "the grant")[0]
        with_grant = self.generate(staker, 1, sync=nodes[1:])[0]
        self.wait_for_purchase(buyer, bought["purchase"], "granted")
        after = {node.name: self.total(node) for node in nodes[1:]}

        # The grant's block alone is undone: the purchase is back to waiting, the grant waits for a block again.
        for node in nodes:
            node.rpc("invalidateblock", with_grant)
            assert_equal(node.rpc("getbestblockhash"), with_purchase, f"tip of {node.name}")
        assert_equal(staker.rpc("getrawmempool"), [grant], "the staker's mempool")

        # Then the purchase's too: both wait, in this order.
        for node in nodes:
            node.rpc("invalidateblock", with_purchase)
            assert_equal(node.rpc("getbestblockhash"), fork, f"tip of {node.name}")
            assert_equal(set(node.rpc("getrawmempool")), {bought["txid"], grant}, f"mempool of {node.name}")
        assert staker.rpc("gettxoutsetinfo")["conserved"]

        # Another branch confirms both, in one block.
        other = self.generate(staker, 1, sync=nodes[1:])[0]
        assert other not in (with_purchase, with_grant)
        assert_equal(set(staker.rpc("getblock", other)["tx"][1:]), {bought["txid"], grant}, "transactions of the new branch")
        self.wait_for_purchase(buyer, bought["purchase"], "granted")
        assert_equal({node.name: self.total(node) for node in nodes[1:]}, after, "balances on the new branch")
        self.get(buyer, claim, self.path("song-opened"))
        self.assert_same_file(source, self.path("song-opened"))

        # And back to the first branch, which is longer.
        for node in nodes:
            node.rpc("reconsiderblock", with_purchase)
            assert_equal(node.rpc("getbestblockhash"), with_grant, f"tip of {node.name}")
        self.wait_for_purchase(buyer, bought["purchase"], "granted")
        assert_equal({node.name: self.total(node) for node in nodes[1:]}, after, "balances on the first branch again")
        self.settle_chain(staker, nodes[1:])
        self.assert_conserved(nodes)
        for node in nodes:
            node.stop()
        self.nodes.clear()

    def settlement_undone_and_back(self):
        staker = self.node("staker2", staker=True)
        creator = self.node("creator", connect=[staker])
        seeder = self.node("seeder", connect=[staker, creator])
        payer = self.node("payer", connect=[staker, seeder])
        nodes = [staker, creator, seeder, payer]
        self.fund(staker, creator, 10, seeder, 1, payer, 50)
        source = self.file("paid", 2 * MIB)
        with self.mining(staker):
            claim = self.publish(creator, source, 1, "0.001")
            self.seed(seeder, claim)
            self.buy(payer, claim)
            self.get(payer, claim, self.path("paid-opened"))
        self.settle_chain(staker, nodes[1:])
        before = self.total(seeder)
        settled = seeder.rpc("settlechannels")
        staker.wait_for_transaction(settled["txids"][0])
        block = self.generate(staker, 1, sync=nodes[1:])[0]
        after = {node.name: self.total(node) for node in nodes[1:]}
        assert_equal(after["seeder"] - before, Decimal(settled["amount"]), "what the settlement brought")

        # Undone: it waits again, and is not made a second time; then it comes back with another block.
        for node in nodes:
            node.rpc("invalidateblock", block)
            assert_equal(node.rpc("getrawmempool"), settled["txids"], f"mempool of {node.name}")
        assert_equal(seeder.rpc("settlechannels")["txids"], [], "a second settlement while the first waits")
        self.generate(staker, 2, sync=nodes[1:])
        assert_equal({node.name: self.total(node) for node in nodes[1:]}, after, "balances on the new branch")
        for node in nodes:
            node.rpc("reconsiderblock", block)
        self.settle_chain(staker, nodes[1:])
        self.assert_conserved(nodes)
        # The payer goes on with a new channel.
        other = self.file("paid-next", MIB, 7)
        with self.mining(staker):
            claim = self.publish(creator, other, 1, "0.001")
            self.seed(seeder, claim)
            self.buy(payer, claim)
            self.get(payer, claim, self.path("paid-next-opened"))
        self.assert_same_file(other, self.path("paid-next-opened"))
        self.settle_chain(staker, nodes[1:])
        assert Decimal(seeder.rpc("settlechannels")["amount"]) > 0, "nothing was earned after the reorganisation"
        self.settle_chain(staker, nodes[1:])
        self.assert_conserved(nodes)
        for node in nodes:
            node.stop()
        self.nodes.clear()

    def two_branches(self):
        left = self.node("left", staker=True)
        alice = self.node("alice", connect=[left])
        # The same operator keys in two nodes, which must not stand in one slot on two branches: the second takes them up once it is synced.
        right = self.node("right", connect=[left])
        common = self.generate(left, 2, sync=[alice, right])[-1]
        right.stop()
        right.args.append("-staker=0")
        right.staker = True
        right.mock_time = left.mock_time
        right.start()

        # The shorter branch pays Alice.
        txid = left.rpc("sendtoaddress", alice.rpc("getnewaddress"), "3")
        left_tip = self.generate(left, 2, sync=[alice])[-1]
        assert_equal(alice.rpc("getbalances")["spendable"], "3", "spendable on the left branch")
        # On the right it is a minute later, so that its blocks are in other slots.
        right.set_mock_time(left.mock_time + 60)
        right_tip = self.generate(right, 4)[-1]
        assert right.rpc("getblockcount") > left.rpc("getblockcount") + 1, "the right branch is not longer"

        # They meet; the left node gives its keys up before.
        left.stop()
        left.args.remove("-staker=0")
        left.staker = False
        left.mock_time = alice.mock_time
        left.start()
        assert_equal(left.rpc("getbestblockhash"), left_tip, "tip of the left node")
        self.connect(alice, left)
        self.connect(left, right)
        for node in (left, alice):
            node.wait_for_tip(right_tip)
        tips = {tip["hash"]: tip for tip in left.rpc("getchaintips")}
        assert_equal((tips[left_tip]["status"], tips[left_tip]["branchlen"]), ("valid-fork", 2), "the branch that lost")
        assert_equal(tips[right_tip]["status"], "active", "the branch that won")
        assert left.rpc("getblockheader", common)["confirmations"] > 0
        assert_equal(left.rpc("getblockheader", left_tip)["confirmations"], -1, "confirmations of the branch that lost")

        # Nothing is lost: the payment waits again, finds its way to the right, and the next block has it.
        assert_equal(left.rpc("getrawmempool"), [txid], "mempool after the reorganisation")
        balances = alice.rpc("getbalances")
        assert_equal((balances["spendable"], balances["total"]), ("0", "3"), "Alice's balance after the reorganisation")
        right.wait_for_transaction(txid)
        self.generate(right, 1, sync=[alice, left])
        assert_equal(alice.rpc("getbalances")["spendable"], "3", "spendable in the end")
        infos = [node.rpc("gettxoutsetinfo") for node in (left, right, alice)]
        assert infos[0] == infos[1] == infos[2], f"the nodes disagree: {infos}"
        assert_equal(self.total(left) + Decimal(3), Decimal(infos[0]["total_amount"]), "all coins")


if __name__ == "__main__":
    main(ReorgTest)
