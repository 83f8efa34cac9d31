#include <thread>

#include "fork_fixture.h"

// Headers in batches: cost, floods, equivocation and evidence.

namespace sluice::chain {
namespace {

using What = HeaderOutcome::What;

// Runs tasks on `threads` threads, from the last to the first on each, so that order cannot be relied on.
HeaderRunner OnThreads(size_t threads) {
    return [threads](size_t count, const std::function<void(size_t)>& task) {
        std::vector<std::jthread> pool;
        for (size_t t = 0; t < threads; ++t)
            pool.emplace_back([&, t] {
                for (size_t i = count; i-- > 0;)
                    if (i % threads == t) task(i);
            });
    };
}
ChainOptions WithRunner(HeaderRunner runner) {
    ChainOptions options;
    options.header_runner = std::move(runner);
    return options;
}

std::vector<uint64_t> Slots(uint64_t first, uint64_t last) {
    std::vector<uint64_t> slots;
    for (uint64_t slot = first; slot <= last; ++slot) slots.push_back(slot);
    return slots;
}

BlockHeader Signed(ForkNode& node, BlockHeader header) {
    header.signature = node.keys().signing.Sign(header.SigningHash(node.chain().genesis_hash()));
    return header;
}
// Another header of the same staker for the same slot.
BlockHeader Variant(ForkNode& node, const BlockHeader& of, uint8_t n) {
    BlockHeader header = of;
    header.tx_root.bytes[0] ^= n;
    return Signed(node, header);
}

class HeaderBatches : public testing::Test {
  protected:
    // 60 headers, over an epoch boundary.
    HeaderBatches() : headers(chain::HeadersOf(maker.MakeAtEach(Slots(71, 130)))), now(maker.now) {}
    ForkNode maker;
    std::vector<BlockHeader> headers;
    UnixMillis now;
};

TEST_F(HeaderBatches, OnSeveralThreadsTheyAreTakenAsInOrder) {
    ForkNode in_order(2), parallel(2, WithRunner(OnThreads(3)));
    for (ForkNode* node : {&in_order, &parallel}) {
        const auto result = node->chain().ProcessHeaders(headers, now);
        ASSERT_TRUE(result);
        EXPECT_EQ(result->accepted, headers.size());
        EXPECT_EQ(node->chain().best_header()->state, maker.chain().tip()->state);
        EXPECT_EQ(node->chain().header_work().signatures.load(), headers.size());
        EXPECT_EQ(node->chain().header_work().gammas.load(), headers.size());
        EXPECT_EQ(node->chain().header_work().vrf_proofs.load(), headers.size());
    }
}

// Each header of a batch with each kind of fault: what comes before it is taken, nothing after it is, and the reason is
// that of one header at a time.
TEST_F(HeaderBatches, TheFirstFaultEndsThemWhateverItIs) {
    struct Fault {
        std::string code;
        std::function<void(BlockHeader&)> make;
    };
    const std::vector<Fault> faults = {
        {"bad-version", [](BlockHeader& header) { header.version = 7; }},
        {"bad-height", [](BlockHeader& header) { ++header.height; }},
        {"bad-staker", [](BlockHeader& header) { header.staker.bytes[0] ^= 1; }},
        {"bad-header-signature", [](BlockHeader& header) { header.tx_root.bytes[0] ^= 1; }},
        {"bad-vrf-proof",
         [&](BlockHeader& header) {
             header.vrf_proof.bytes[50] ^= 1;
             header = Signed(maker, header);
         }},
        {"bad-vrf-proof",
         [&](BlockHeader& header) {
             header.vrf_proof.bytes.fill(0xff);
             header = Signed(maker, header);
         }},
    };
    for (const Fault& fault : faults) {
        for (const size_t at : {0u, 1u, 29u, 30u, 59u}) {
            ForkNode node(2, WithRunner(OnThreads(2)));
            std::vector<BlockHeader> batch = headers;
            fault.make(batch[at]);
            // Those after it build on it, with valid signatures.
            for (size_t i = at + 1; i < batch.size(); ++i) {
                batch[i].prev = batch[i - 1].Hash();
                batch[i] = Signed(maker, batch[i]);
            }
            const auto result = node.chain().ProcessHeaders(batch, now);
            ASSERT_TRUE(result && result->stopped) << fault.code << " at " << at;
            EXPECT_EQ(result->stopped->what, What::kInvalid);
            EXPECT_EQ(result->stopped->reason.code, fault.code);
            EXPECT_EQ(result->accepted, at);
            EXPECT_EQ(node.chain().headers().open_count(), at + 1);
        }
    }
}

TEST_F(HeaderBatches, ABadSignatureAnywhereIsFoundBeforeAnyVrfWorkOnWhatFollows) {
    ForkNode node(2);
    headers[10].signature.bytes[5] ^= 1;
    const auto result = node.chain().ProcessHeaders(headers, now);
    ASSERT_TRUE(result && result->stopped);
    EXPECT_EQ(result->accepted, 10u);
    EXPECT_EQ(node.chain().header_work().signatures.load(), 11u);
    EXPECT_EQ(node.chain().header_work().vrf_proofs.load(), 10u);
}

// [10^6 headers that anybody can make]
TEST_F(HeaderBatches, AFloodWithoutValidSignaturesDoesNoVrfWorkAndStoresNothing) {
    ForkNode node(2);
    std::vector<BlockHeader> flood;
    BlockHeader fake = headers[0];
    for (uint64_t i = 0; i < kMaxHeadersPerAnswer; ++i) {
        fake.prev = i == 0 ? node.chain().genesis_hash() : flood.back().Hash();
        fake.height = Height(static_cast<uint32_t>(i + 1));
        fake.slot = Slot(i + 1);
        flood.push_back(fake);
    }
    node.now = node.params().SlotTime(Slot(5'000));
    for (uint8_t round = 0; round < 50; ++round) {
        // Other hashes each time.
        flood[0].tx_root.bytes[1] = round;
        for (size_t i = 1; i < flood.size(); ++i) flood[i].prev = flood[i - 1].Hash();
        const auto result = node.chain().ProcessHeaders(flood, node.now);
        ASSERT_TRUE(result && result->stopped);
        EXPECT_EQ(result->stopped->reason.code, "bad-header-signature");
        EXPECT_EQ(result->accepted, 0u);
    }
    EXPECT_EQ(node.chain().header_work().signatures.load(), 50u) << "one for each message of 2,000 headers";
    EXPECT_EQ(node.chain().header_work().gammas.load(), 0u);
    EXPECT_EQ(node.chain().header_work().vrf_proofs.load(), 0u);
    EXPECT_EQ(node.chain().headers().open_count(), 1u);
    EXPECT_EQ(node.chain().headers().node_count(), 1u);
}

TEST_F(HeaderBatches, AFloodOfUnregisteredStakersOrFutureSlotsCostsNoSignature) {
    ForkNode node(2);
    for (uint8_t i = 0; i < 100; ++i) {
        BlockHeader fake = Variant(maker, headers[0], i + 1);
        fake.staker.bytes[0] ^= 1;
        EXPECT_EQ(node.chain().ProcessHeaders({fake}, now)->stopped->reason.code, "bad-staker");
        fake = Variant(maker, headers[0], i + 1);
        const UnixMillis early = node.params().SlotTime(fake.slot) - milliseconds(2001);
        EXPECT_EQ(node.chain().ProcessHeaders({fake}, early)->stopped->what, What::kPremature);
    }
    EXPECT_EQ(node.chain().header_work().signatures.load(), 0u);
    EXPECT_EQ(node.chain().headers().node_count(), 1u);
}

TEST_F(HeaderBatches, HeadersThatAreKnownCostNothingAgain) {
    ForkNode node(2);
    ASSERT_TRUE(node.chain().ProcessHeaders({headers.begin(), headers.begin() + 40}, now));
    const auto result = node.chain().ProcessHeaders(headers, now);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->accepted, headers.size());
    EXPECT_EQ(node.chain().header_work().signatures.load(), headers.size());
}

// ---- an equivocator

TEST(Equivocation, AnEquivocatorDoesNotSplitTheNetwork) {
    // In one slot it makes another block for each of the others: their payments differ.
    constexpr uint32_t kNodes = 4;
    std::vector<std::unique_ptr<ForkNode>> nodes;
    Blocks variants;
    for (uint32_t i = 0; i < kNodes; ++i) {
        nodes.push_back(std::make_unique<ForkNode>(0));
        ASSERT_EQ(nodes[i]->Code(nodes[i]->PayGenesisCoin(i)), "");
        variants.push_back(nodes[i]->MakeAt(1));
    }
    // All hear of all, as far as relay lets them.
    for (auto& node : nodes)
        for (const BlockRef& variant : variants)
            ASSERT_TRUE(node->chain().ProcessHeaders({variant->header}, node->now));
    std::set<BlockHash> tips;
    for (auto& node : nodes) tips.insert(node->TipHash());
    ASSERT_EQ(tips.size(), kNodes);
    // The next leader builds on what it has, which is more than the second header of that slot for the first ones.
    ForkNode leader(1);
    leader.GiveAll({variants.back()});
    const BlockRef child = leader.MakeAt(2);
    for (auto& node : nodes) {
        EXPECT_TRUE(node->Sync({variants.back(), child}));
        EXPECT_EQ(node->TipHash(), HashOf(child));
    }
}

TEST(Equivocation, AThirdHeaderIsKeptOnlyForWhatWasCheckedToBuildOnIt) {
    ForkNode maker(0), node(2);
    const BlockRef first = maker.MakeAt(1);
    const BlockRef second = maker.MakeAt(2);
    node.now = maker.now;
    for (const uint8_t n : {1, 2})
        ASSERT_EQ(node.chain().ProcessHeaders({Variant(maker, first->header, n)}, node.now)->accepted, 1u);
    // A child that anybody can make does not lift the limit.
    for (uint8_t n = 3; n < 20; ++n) {
        const BlockHeader third = Variant(maker, first->header, n);
        BlockHeader fake_child = second->header;
        fake_child.prev = third.Hash();
        const auto result = node.chain().ProcessHeaders({third, fake_child}, node.now);
        ASSERT_TRUE(result && result->stopped);
        EXPECT_EQ(result->accepted, 0u);
        EXPECT_EQ(result->stopped->what, What::kEquivocation);
        EXPECT_EQ(node.chain().FindHeader(third.Hash()), nullptr);
    }
    const auto result = node.chain().ProcessHeaders({first->header, second->header}, node.now);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->accepted, 2u);
}

class Evidence : public testing::Test {
  protected:
    Evidence()
        : first(maker.MakeAt(1)), second(Variant(maker, first->header, 1)), third(Variant(maker, first->header, 2)) {
        node.now = maker.now;
    }
    void ExpectPair(const std::vector<EvidenceRecord>& evidence, const BlockHeader& a, const BlockHeader& b) {
        ASSERT_EQ(evidence.size(), 1u);
        EXPECT_LT(evidence[0].first.Hash(), evidence[0].second.Hash());
        EXPECT_EQ((std::set{evidence[0].first.Hash(), evidence[0].second.Hash()}), (std::set{a.Hash(), b.Hash()}));
    }
    ForkNode maker, node{2};
    BlockRef first;
    BlockHeader second, third;
};

TEST_F(Evidence, TwoHeadersOfOneStakerAndSlotAreOfferedOnce) {
    node.GiveAll({first});
    EXPECT_TRUE(node.chain().TakeEvidence().empty());
    ASSERT_EQ(node.chain().ProcessHeaders({second}, node.now)->accepted, 1u);
    ExpectPair(node.chain().TakeEvidence(), first->header, second);
    EXPECT_TRUE(node.chain().TakeEvidence().empty());
    ASSERT_EQ(node.chain().ProcessHeaders({third}, node.now)->accepted, 0u);
    EXPECT_TRUE(node.chain().TakeEvidence().empty()) << "a refused third one gives nothing new";
    // One more that is stored for a better branch gives nothing new either.
    BlockHeader child = maker.MakeAt(2)->header;
    child.prev = third.Hash();
    child = Signed(maker, child);
    node.now = maker.now;
    ASSERT_EQ(node.chain().ProcessHeaders({third, child}, node.now)->accepted, 2u);
    EXPECT_TRUE(node.chain().TakeEvidence().empty());
}

TEST_F(Evidence, AHeaderWithABlockCountsAsWell) {
    ASSERT_EQ(node.chain().ProcessHeaders({second}, node.now)->accepted, 1u);
    node.GiveAll({first});
    ExpectPair(node.chain().TakeEvidence(), first->header, second);
}

TEST_F(Evidence, OneContentSignedTwiceIsNoneAndHidesNone) {
    // BIP340 signatures of one message differ by what went into their nonce; the rules see two valid headers.
    BlockHeader again = first->header;
    const Hash256 message = again.SigningHash(node.chain().genesis_hash());
    again.signature = maker.keys().signing.Sign(message, {1});
    ASSERT_NE(again.Hash(), HashOf(first));
    node.GiveAll({first});
    ASSERT_EQ(node.chain().ProcessHeaders({again}, node.now)->accepted, 1u);
    EXPECT_TRUE(node.chain().TakeEvidence().empty());
    BlockHeader child = maker.MakeAt(2)->header;
    child.prev = second.Hash();
    child = Signed(maker, child);
    node.now = maker.now;
    ASSERT_EQ(node.chain().ProcessHeaders({second, child}, node.now)->accepted, 2u);
    EXPECT_EQ(node.chain().TakeEvidence().size(), 1u);
}

TEST_F(Evidence, TwoStakersInOneSlotAreNoEvidence) {
    ForkNode other(1);
    node.GiveAll({first, other.MakeAt(1)});
    EXPECT_TRUE(node.chain().TakeEvidence().empty());
}

TEST_F(Evidence, ThePairIsFoundAgainAfterARestartWhileItIsYoung) {
    node.GiveAll({first});
    ASSERT_EQ(node.chain().ProcessHeaders({second}, node.now)->accepted, 1u);
    node.Open();
    ExpectPair(node.chain().TakeEvidence(), first->header, second);
    node.Open();
    EXPECT_EQ(node.chain().TakeEvidence().size(), 1u);
}

// The first header is deep below the root by then and on disk only.
TEST_F(Evidence, ADeepForkConvictsWhoMadeTheActiveChainUntilEvidenceIsTooOld) {
    for (const uint64_t past : {uint64_t{0}, uint64_t{1}}) {
        ForkNode builder(0), reader(2);
        Blocks active{builder.MakeAt(1)};
        // The last slot whose next block can still include the evidence: slot 1 is unbonding_slots old one later.
        for (uint64_t slot = 2; slot < kForkBondSlots - 1 + past; slot += 3) active.push_back(builder.MakeAt(slot));
        active.push_back(builder.MakeAt(kForkBondSlots - 1 + past));
        reader.GiveAll(active);
        EXPECT_TRUE(reader.chain().TakeEvidence().empty());
        ASSERT_GT(reader.chain().headers().root()->height(), Height(1));
        ASSERT_EQ(reader.chain().ProcessHeaders({second}, reader.now)->accepted, 1u);
        const auto evidence = reader.chain().TakeEvidence();
        if (past == 0) {
            ExpectPair(evidence, first->header, second);
        } else {
            EXPECT_TRUE(evidence.empty());
        }
    }
}

}  // namespace
}  // namespace sluice::chain
