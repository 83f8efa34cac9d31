#include "chain/indexes.h"

#include "chain_test_util.h"

namespace sluice::chain {
namespace {

crypto::SecretKey TestKey(std::string_view name) {
    return *crypto::SecretKey::FromBytes(crypto::TaggedHash("Sluice/test", AsBytes(name)).bytes);
}

constexpr Amount kPrice{50'000};
constexpr Amount kAllowance{5'000};

// Sells and settles on a test chain. Money comes from the owner's genesis coins.
class Market {
  public:
    explicit Market(TestNode& node) : m_node(node) {}

    PublishRecord Record(std::string title) const {
        PublishRecord record;
        record.content = {ContentRoot(crypto::TaggedHash("root", AsBytes(title)).bytes), 1'000};
        record.title_key = TestKey("title").Public();
        record.price = kPrice;
        record.seller_key = TestKey("seller").XOnly();
        record.payout_script = OwnerScript();
        record.title = std::move(title);
        return record;
    }
    TransactionRef Publish(uint32_t coin, const PublishRecord& record) const { return Publish(coin, record, {}, {}); }
    // Spends an anchor, too, if given.
    TransactionRef Publish(uint32_t coin, const PublishRecord& record, std::optional<OutPoint> anchor,
                           TxOutput anchor_output) const {
        const Bytes bytes = EncodeRecord(record);
        MutableTransaction tx;
        std::vector<TxOutput> spent{m_node.GenesisOutput(coin)};
        tx.inputs.push_back({m_node.GenesisCoin(coin), {}, 0xfffffffd, {}});
        uint64_t in = spent[0].value.drops;
        if (anchor) {
            tx.inputs.push_back({*anchor, {}, 0xfffffffd, {}});
            spent.push_back(anchor_output);
            in += anchor_output.value.drops;
        }
        const Amount deposit = consensus::MinAnchor(m_node.params(), bytes.size());
        const uint64_t fees = consensus::RecordFee(m_node.params(), bytes.size()).drops + 2'000;
        tx.outputs = {{Amount(), RecordScript(bytes)},
                      {deposit, OwnerScript()},
                      {Amount(in - deposit.drops - fees), OwnerScript()}};
        return SignAll(std::move(tx), spent);
    }
    consensus::LockTemplate PurchaseLock() const {
        return *consensus::MakeLockTemplate(TestKey("buyer").XOnly(), TestKey("seller").XOnly(), Height(5'000));
    }
    TransactionRef Purchase(uint32_t coin, const OutPoint& publish) const {
        Bytes annex(consensus::kPurchaseAnnexBytes, 7);
        annex[0] = 0x50;
        return Lock(coin, PurchaseRecord{publish, 0, TestKey("buyer").XOnly(), Height(5'000)}, PurchaseLock(),
                    {Bytes(64), annex});
    }
    consensus::LockTemplate ChannelLock() const {
        return *consensus::MakeLockTemplate(TestKey("payer").XOnly(), TestKey("payee").XOnly(), Height(5'000));
    }
    TransactionRef OpenChannel(uint32_t coin) const {
        return Lock(coin, ChannelRecord{TestKey("payer").XOnly(), TestKey("payee").XOnly(), Height(5'000)},
                    ChannelLock(), {});
    }
    TransactionRef Grant(const TransactionRef& purchase) const {
        return Unlock(purchase, GrantRecord{{purchase->Output(1)}}, PurchaseLock(), "buyer", "seller");
    }
    TransactionRef Settle(const TransactionRef& channel) const {
        return Unlock(channel, SettleRecord{{123}}, ChannelLock(), "payer", "payee");
    }

  private:
    TransactionRef Lock(uint32_t coin, const sluice::Record& record, const consensus::LockTemplate& lock,
                        WitnessStack witness) const {
        const Bytes bytes = EncodeRecord(record);
        MutableTransaction tx;
        tx.inputs.push_back({m_node.GenesisCoin(coin), {}, 0xfffffffd, std::move(witness)});
        const Amount locked(kPrice.drops + kAllowance.drops);
        const uint64_t fees = consensus::RecordFee(m_node.params(), bytes.size()).drops + 2'000;
        tx.outputs = {{Amount(), RecordScript(bytes)},
                      {locked, lock.output_script},
                      {Amount(m_node.GenesisOutput(coin).value.drops - locked.drops - fees), OwnerScript()}};
        return SignAll(std::move(tx), {m_node.GenesisOutput(coin)});
    }
    TransactionRef Unlock(const TransactionRef& locking, const sluice::Record& record,
                          const consensus::LockTemplate& lock, std::string_view owner, std::string_view payee) const {
        const OutPoint outpoint = locking->Output(1);
        const TxOutput& locked = locking->outputs()[1];
        MutableTransaction tx;
        tx.version = consensus::kLockSpendVersion;
        tx.inputs.push_back({outpoint, {}, consensus::kLockSpendSequence, {}});
        tx.outputs = {{kPrice, OwnerScript()}, {Amount(), RecordScript(EncodeRecord(record))}};
        const consensus::SpendingTransaction spending(tx, {locked});
        const auto payee_signature = TestKey(payee).Sign(
            *spending.SignatureHash(0, consensus::kSighashDefault, consensus::ScriptPathData{lock.pay_leaf_hash}));
        const auto owner_signature =
            TestKey(owner).Sign(consensus::SingleOutputSighash(outpoint, locked, lock, tx.outputs[0]));
        tx.inputs[0].witness = consensus::PayWitness(lock, owner_signature, payee_signature);
        return MakeTransaction(std::move(tx));
    }

    TestNode& m_node;
};

class IndexesTest : public ::testing::Test {
  protected:
    BlockRef Confirm(const std::vector<TransactionRef>& transactions) {
        for (const TransactionRef& tx : transactions) {
            const auto verdict = m_node.Accept(tx);
            EXPECT_TRUE(verdict) << verdict.error().ToString();
        }
        const BlockRef block = m_node.Mine();
        EXPECT_EQ(block->transactions.size(), transactions.size() + 1);
        m_node.ExpectRecountEquals();
        return block;
    }
    const Indexes& indexes() { return m_node.chain().indexes(); }

    TestNode m_node;
    Market m_market{m_node};
};

TEST_F(IndexesTest, FindTransactionsOfTheActiveChainAlone) {
    const auto tx = m_node.PayGenesisCoin(0);
    const BlockRef block = Confirm({tx});
    const auto found = indexes().FindTx(tx->txid());
    ASSERT_TRUE(found && *found);
    EXPECT_EQ(**found, (TxLocation{block->header.Hash(), Height(1), 1}));
    EXPECT_TRUE(*indexes().FindTx(TestGenesis().MakeBlock().transactions[0]->txid()));
    ASSERT_TRUE(m_node.chain().InvalidateBlock(block->header.Hash(), m_node.now));
    EXPECT_FALSE(*indexes().FindTx(tx->txid()));
}

TEST_F(IndexesTest, TheFeedIsPagedFromTheNewestOn) {
    std::vector<TransactionRef> published;
    for (uint32_t i = 0; i < 5; ++i) {
        published.push_back(m_market.Publish(i, m_market.Record("title " + std::to_string(i))));
        Confirm({published.back()});
    }
    std::vector<OutPoint> seen;
    std::optional<ChainPlace> cursor;
    for (;;) {
        const auto page = indexes().Feed(cursor, 2);
        ASSERT_TRUE(page);
        if (page->empty()) break;
        for (const PublishEntry& entry : *page) seen.push_back(entry.anchor);
        cursor = page->back().place;
    }
    ASSERT_EQ(seen.size(), 5u);
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(seen[i], published[4 - i]->Output(1));
}

TEST_F(IndexesTest, ClaimsAreFoundByTheFirstDigitsOfTheirIds) {
    std::vector<ClaimId> claims;
    for (uint32_t i = 0; i < 5; ++i) {
        const auto tx = m_market.Publish(i, m_market.Record("title " + std::to_string(i)));
        Confirm({tx});
        claims.push_back(consensus::MakeClaimId(tx->Output(1)));
    }
    std::sort(claims.begin(), claims.end());
    EXPECT_EQ(*indexes().ClaimsByPrefix("", 10), claims);
    EXPECT_EQ(indexes().ClaimsByPrefix("", 2)->size(), 2u);
    for (const ClaimId& claim : claims) {
        for (const size_t digits : {size_t{1}, size_t{6}, size_t{7}, size_t{63}, size_t{64}}) {
            const std::string prefix = claim.Hex().substr(0, digits);
            std::vector<ClaimId> expected;
            for (const ClaimId& one : claims)
                if (one.Hex().starts_with(prefix)) expected.push_back(one);
            EXPECT_EQ(*indexes().ClaimsByPrefix(prefix, 10), expected) << prefix;
        }
    }
    std::string none = claims[0].Hex().substr(0, 8);
    none.back() = none.back() == '0' ? '1' : '0';
    EXPECT_TRUE(indexes().ClaimsByPrefix(none, 10)->empty());
}

TEST_F(IndexesTest, ContentIsFoundByWhoeverPublishedIt) {
    PublishRecord record = m_market.Record("title");
    record.preview = ContentId{ContentRoot(crypto::TaggedHash("clear", {}).bytes), 5};
    const auto tx = m_market.Publish(0, record);
    const BlockRef block = Confirm({tx});
    for (const ContentId& content : {record.content, *record.preview}) {
        const auto found = indexes().PublishesWith(content);
        ASSERT_TRUE(found);
        ASSERT_EQ(found->size(), 1u);
        EXPECT_EQ((*found)[0].anchor, tx->Output(1));
        EXPECT_TRUE(indexes().PublishesWith({content.root, content.size_bytes + 1})->empty());
    }
    ASSERT_TRUE(m_node.chain().InvalidateBlock(block->header.Hash(), m_node.now));
    EXPECT_TRUE(indexes().PublishesWith(record.content)->empty());
}

TEST_F(IndexesTest, AnUpdateIsListedWithItsClaim) {
    const auto first = m_market.Publish(0, m_market.Record("first"));
    Confirm({first});
    PublishRecord record = m_market.Record("second");
    record.updates = consensus::MakeClaimId(first->Output(1));
    const auto second = m_market.Publish(1, record, first->Output(1), first->outputs()[1]);
    const BlockRef block = Confirm({second});
    const auto list = indexes().PublishesOf(*record.updates);
    ASSERT_TRUE(list);
    ASSERT_EQ(list->size(), 2u);
    EXPECT_EQ((*list)[0].anchor, first->Output(1));
    EXPECT_FALSE((*list)[0].update);
    EXPECT_EQ((*list)[1].anchor, second->Output(1));
    EXPECT_TRUE((*list)[1].update);
    const auto spender = indexes().SpenderOf(first->Output(1));
    ASSERT_TRUE(spender && *spender);
    EXPECT_EQ(**spender, (SpenderEntry{second->txid(), 1, block->header.height}));
    EXPECT_FALSE(*indexes().SpenderOf(m_node.GenesisCoin(1))) << "plain coins are not indexed";
}

TEST_F(IndexesTest, APurchaseOfAnUnconfirmedPublishIsNotRelayed) {
    const auto publish = m_market.Publish(0, m_market.Record("new"));
    ASSERT_EQ(m_node.Code(publish), "");
    const auto verdict = m_node.Accept(m_market.Purchase(1, publish->Output(1)));
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, "purchase-of-unconfirmed");
    EXPECT_EQ(verdict.error().what, consensus::Invalid::What::kPolicy);
    m_node.Mine();
    EXPECT_EQ(m_node.Code(m_market.Purchase(1, publish->Output(1))), "");
}

TEST_F(IndexesTest, AReorganisationThatTakesThePublishAwayDropsItsPurchases) {
    const auto publish = m_market.Publish(0, m_market.Record("gone"));
    const BlockRef block = Confirm({publish});
    const auto purchase = m_market.Purchase(1, publish->Output(1));
    ASSERT_EQ(m_node.Code(purchase), "");
    const auto left = m_node.chain().InvalidateBlock(block->header.Hash(), m_node.now);
    ASSERT_TRUE(left);
    EXPECT_TRUE(m_node.chain().mempool().Find(publish->txid()));
    EXPECT_FALSE(m_node.chain().mempool().Find(purchase->txid()));
    EXPECT_TRUE(m_node.chain().mempool().SanityCheck());
}

TEST_F(IndexesTest, AGrantIsFoundByPurchaseClaimTierAndBuyer) {
    const auto publish = m_market.Publish(0, m_market.Record("film"));
    Confirm({publish});
    const ClaimId claim = consensus::MakeClaimId(publish->Output(1));
    const auto purchase = m_market.Purchase(1, publish->Output(1));
    Confirm({purchase});
    const auto purchases = indexes().PurchasesOf(claim, {}, 10);
    ASSERT_TRUE(purchases);
    ASSERT_EQ(purchases->size(), 1u);
    EXPECT_EQ((*purchases)[0].lock, purchase->Output(1));
    EXPECT_TRUE(indexes().PurchasesOf(claim, (*purchases)[0].place, 10)->empty());
    EXPECT_TRUE(indexes().GrantsOf(claim)->empty());

    const auto grant = m_market.Grant(purchase);
    const BlockRef block = Confirm({grant});
    for (const auto& list : {indexes().GrantsOf(claim), indexes().GrantsOf(claim, uint16_t{0}),
                             indexes().GrantsOf(claim, uint16_t{0}, TestKey("buyer").XOnly())}) {
        ASSERT_TRUE(list);
        ASSERT_EQ(list->size(), 1u);
        EXPECT_EQ((*list)[0].txid, grant->txid());
        EXPECT_EQ((*list)[0].input, 0u);
    }
    EXPECT_TRUE(indexes().GrantsOf(claim, uint16_t{1})->empty());
    EXPECT_TRUE(indexes().GrantsOf(claim, uint16_t{0}, TestKey("seller").XOnly())->empty());
    EXPECT_EQ((*indexes().FindGrant(purchase->Output(1)))->txid, grant->txid());
    EXPECT_EQ((*indexes().SpenderOf(purchase->Output(1)))->txid, grant->txid());

    ASSERT_TRUE(m_node.chain().InvalidateBlock(block->header.Hash(), m_node.now));
    EXPECT_TRUE(indexes().GrantsOf(claim)->empty());
    EXPECT_FALSE(*indexes().SpenderOf(purchase->Output(1)));
    EXPECT_TRUE(*indexes().FindPurchase(purchase->Output(1)));
}

TEST_F(IndexesTest, OneBlockMayHoldAChannelAndItsSettlement) {
    const auto channel = m_market.OpenChannel(0);
    const auto settle = m_market.Settle(channel);
    Confirm({channel, settle});
    const auto list = indexes().Settles({}, 10);
    ASSERT_TRUE(list);
    ASSERT_EQ(list->size(), 1u);
    EXPECT_EQ((*list)[0].txid, settle->txid());
    EXPECT_EQ((*list)[0].channels, (std::vector<SettledChannel>{{channel->Output(1), 123}}));
    EXPECT_EQ((*indexes().SpenderOf(channel->Output(1)))->txid, settle->txid());
}

TEST_F(IndexesTest, TakenBackAndPutAgainTheyAreTheSame) {
    const auto publish = m_market.Publish(0, m_market.Record("film"));
    const Dump empty = m_node.TakeDump();
    const BlockRef first = Confirm({publish, m_market.OpenChannel(2)});
    const auto purchase = m_market.Purchase(1, publish->Output(1));
    Confirm({purchase});
    Confirm({m_market.Grant(purchase)});
    const Dump full = m_node.TakeDump();
    ASSERT_TRUE(m_node.chain().InvalidateBlock(first->header.Hash(), m_node.now));
    EXPECT_EQ(m_node.TakeDump(), empty);
    ASSERT_TRUE(m_node.chain().ReconsiderBlock(first->header.Hash(), m_node.now));
    EXPECT_EQ(m_node.TakeDump(), full);
}

}  // namespace
}  // namespace sluice::chain
