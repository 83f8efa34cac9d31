#include <random>

#include "chain/fork_choice.h"
#include "fork_fixture.h"
#include "synthetic_headers.h"

namespace sluice::chain {
namespace {

// Two branches from the block in slot 2 (height 2), each made by a staker that does not hear of the other one.
struct TwoBranches {
    TwoBranches(const std::vector<uint64_t>& slots_a, const std::vector<uint64_t>& slots_b) {
        ForkNode a(0), b(1);
        shared = a.MakeAtEach({1, 2});
        b.GiveAll(shared);
        branch_a = a.MakeAtEach(slots_a);
        branch_b = b.MakeAtEach(slots_b);
    }
    // Where nodes end that have `first` and then hear of `second`, and the other way round; and fresh nodes that hear
    // of all headers before any body.
    void ExpectAllFollow(const Blocks& winner, const Blocks& loser) const {
        for (const bool winner_first : {true, false}) {
            const Blocks& first = winner_first ? winner : loser;
            const Blocks& second = winner_first ? loser : winner;
            ForkNode node(2);
            node.GiveAll(shared);
            node.Sync(first);
            EXPECT_EQ(node.TipHash(), HashOf(first.back()));
            node.Sync(second);
            EXPECT_EQ(node.TipHash(), HashOf(winner.back())) << "winner first: " << winner_first;
            EXPECT_EQ(node.chain().best_header(), node.chain().tip());
            EXPECT_TRUE(node.chain().BlocksWanted(10).empty());
            // Nothing moves any more, and a restart finds the same.
            node.Sync(first);
            EXPECT_EQ(node.TipHash(), HashOf(winner.back()));
            node.Open();
            EXPECT_EQ(node.TipHash(), HashOf(winner.back()));
            EXPECT_EQ(node.chain().best_header(), node.chain().tip());
            node.ExpectRecountEquals();

            ForkNode fresh(2);
            EXPECT_EQ(fresh.Refusal(shared), "");
            EXPECT_EQ(fresh.Refusal(first), "");
            EXPECT_EQ(fresh.Refusal(second), "");
            EXPECT_EQ(fresh.chain().best_header()->hash(), HashOf(winner.back()));
            Blocks all = shared;
            all.insert(all.end(), first.begin(), first.end());
            all.insert(all.end(), second.begin(), second.end());
            fresh.Sync(all);
            EXPECT_EQ(fresh.TipHash(), HashOf(winner.back()));
        }
    }
    Blocks shared, branch_a, branch_b;
};

TEST(Forks, BeyondKTheDenserBranchWinsEvenIfItIsShorter) {
    const TwoBranches fork({3, 20, 21, 22, 23, 24, 25, 26}, {4, 6, 8, 10});
    fork.ExpectAllFollow(fork.branch_b, fork.branch_a);
}

TEST(Forks, ABranchOfKBlocksWinsByLengthOneOfKPlusOneBlocksHasToBeDenser) {
    // Two blocks in the window against three: k blocks win by length, k + 1 lose by density.
    const TwoBranches exactly_k({3, 4, 20, 21}, {5, 6, 7});
    exactly_k.ExpectAllFollow(exactly_k.branch_a, exactly_k.branch_b);
    const TwoBranches one_more({3, 4, 20, 21, 22}, {5, 6, 7});
    one_more.ExpectAllFollow(one_more.branch_b, one_more.branch_a);
}

TEST(Forks, TheWindowEndsThreeKOverFSlotsAfterTheFork) {
    constexpr uint64_t kLast = 2 + kForkWindow;
    const TwoBranches inside({3, 4, 30, 31, 32}, {5, 6, kLast});
    inside.ExpectAllFollow(inside.branch_b, inside.branch_a);
    const TwoBranches outside({3, 4, 30, 31, 32}, {5, 6, kLast + 1});
    outside.ExpectAllFollow(outside.branch_a, outside.branch_b);
}

TEST(Forks, AThirdThatBuiltKBlocksAloneEndsOnTheChainOfTheRest) {
    // The third: a block in each third slot, and many once it alone has the stake. The rest: two in three slots.
    const TwoBranches fork({3, 6, 9, 12, 15, 18, 19, 20, 21, 22, 23, 24, 25, 26}, {4, 5, 7, 8, 10, 11, 13, 14, 16, 17});
    fork.ExpectAllFollow(fork.branch_b, fork.branch_a);
}

TEST(Forks, AHalfHalfPartitionHeals) {
    // Equally dense and long; the tips are neighbours, so lots decide.
    std::vector<uint64_t> odd, even;
    for (uint64_t slot = 3; slot < 31; slot += 2) {
        odd.push_back(slot);
        even.push_back(slot + 1);
    }
    const TwoBranches fork(odd, even);
    ForkNode a(0), b(1);
    a.GiveAll(fork.shared);
    b.GiveAll(fork.shared);
    a.Sync(fork.branch_a);
    b.Sync(fork.branch_b);
    EXPECT_NE(a.TipHash(), b.TipHash());
    a.Sync(fork.branch_b);
    b.Sync(fork.branch_a);
    EXPECT_EQ(a.TipHash(), b.TipHash());
    EXPECT_EQ(a.TakeDump(), b.TakeDump());
    // And the chain goes on.
    const BlockRef next = a.MakeAt(40);
    b.Sync({next});
    EXPECT_EQ(a.TipHash(), b.TipHash());
}

TEST(Forks, ADeepForkIsFollowedFromItsFirstDenserPartOnAndNotLeftAgain) {
    const TwoBranches fork({3, 4, 30, 31, 32, 33, 34}, {5, 6, 7, 8});
    ForkNode node(2);
    node.GiveAll(fork.shared);
    node.Sync(fork.branch_a);
    ASSERT_EQ(node.Refusal(fork.branch_b), "");
    size_t wanted = 0;
    for (const HeaderNode* each : node.chain().BlocksWanted(10)) {
        EXPECT_EQ(each->hash(), HashOf(fork.branch_b[wanted]));
        ++wanted;
    }
    EXPECT_EQ(wanted, 4u);
    size_t moves = 0;
    for (size_t i = 0; i < 4; ++i) {
        const auto result = node.Give(fork.branch_b[i]);
        ASSERT_TRUE(result);
        moves += !result->change.disconnected.empty();
        EXPECT_EQ(node.TipHash(), i < 2 ? HashOf(fork.branch_a.back()) : HashOf(fork.branch_b[i]));
    }
    EXPECT_EQ(moves, 1u);
    // More of the sparse one outside of the window changes nothing.
    ForkNode builder(0);
    builder.GiveAll(fork.shared);
    builder.GiveAll(fork.branch_a);
    const Blocks more = builder.MakeAtEach({35, 36, 37, 38});
    node.Sync(more);
    EXPECT_EQ(node.TipHash(), HashOf(fork.branch_b.back()));
    EXPECT_EQ(node.chain().best_header()->hash(), HashOf(fork.branch_b.back()));
}

TEST(Forks, TheChoiceTurnsWhenASparseBranchPassesK) {
    const TwoBranches fork({3, 4, 20, 21, 22}, {5, 6, 7});
    ForkNode node(2);
    node.GiveAll(fork.shared);
    node.Sync(fork.branch_b);
    node.Sync(Blocks(fork.branch_a.begin(), fork.branch_a.end() - 1));
    EXPECT_EQ(node.TipHash(), HashOf(fork.branch_a[3]));
    node.Sync({fork.branch_a[4]});
    EXPECT_EQ(node.TipHash(), HashOf(fork.branch_b.back()));
    EXPECT_EQ(node.chain().best_header(), node.chain().tip());
}

TEST(Forks, ALongRangeForkFromOldKeysIsRefusedByACaughtUpNodeOnceBondsAreGone) {
    for (const uint64_t past : {uint64_t{0}, uint64_t{1}}) {
        ForkNode node(0), attacker(1);
        const Blocks shared = node.MakeAtEach({1, 2});
        attacker.GiveAll(shared);
        // Old keys can fill every slot.
        const Blocks attack = attacker.MakeAtEach({3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14});
        std::vector<uint64_t> slots;
        for (uint64_t slot = 4; slot < 2 + kForkBondSlots; slot += 2) slots.push_back(slot);
        slots.push_back(2 + kForkBondSlots + past);  // so old is the fork then
        const Blocks honest = node.MakeAtEach(slots);
        ASSERT_TRUE(node.chain().IsCaughtUp(node.now));
        const auto result = node.chain().ProcessHeaders(HeadersOf(attack), node.now);
        ASSERT_TRUE(result);
        if (past == 0) {
            EXPECT_EQ(result->accepted, attack.size());
        } else {
            ASSERT_TRUE(result->stopped);
            EXPECT_EQ(result->stopped->what, HeaderOutcome::What::kTooDeep);
            EXPECT_EQ(result->stopped->reason.code, "fork-too-deep");
            EXPECT_EQ(node.chain().FindHeader(HashOf(attack[0])), nullptr);
            EXPECT_EQ(node.chain().header_work().vrf_proofs.load(), honest.size() + 2);
            EXPECT_EQ(node.Give(attack[0])->what, BlockResult::What::kNotTaken);
            EXPECT_EQ(node.TipHash(), HashOf(honest.back()));
        }
    }
}

TEST(Forks, ASyncingNodeFollowsDensityWhateverTheAgeOfTheFork) {
    ForkNode sparse(0), dense(1), node(2);
    const Blocks shared = sparse.MakeAtEach({1, 2});
    dense.GiveAll(shared);
    const Blocks right = dense.MakeAtEach({3, 5, 7, 9, 11, 13, 20, 40, 60, 80});
    const Blocks wrong = sparse.MakeAtEach({4, 8, 12, 30, 50, 70, 71, 72, 73, 74, 75, 76});
    node.GiveAll(shared);
    node.GiveAll(wrong);
    node.now = node.params().SlotTime(Slot(90));
    ASSERT_FALSE(node.chain().IsCaughtUp(node.now));
    node.Sync(right);
    EXPECT_EQ(node.TipHash(), HashOf(right.back()));
    node.ExpectRecountEquals();
}

// [a fresh node fed a bad branch first] Each branch goes on beyond what the blocks that are here make checkable.
TEST(Forks, AFreshNodeFedABadBranchFirstLeavesItForAShorterOneByItsPrefixInsideTheHorizon) {
    std::vector<uint64_t> good{3, 5, 7, 9, 11, 13}, bad;
    for (uint64_t slot = 40; slot <= 390; slot += 30) good.push_back(slot);
    for (uint64_t slot = 10; slot <= 390; slot += 10) bad.push_back(slot);
    const TwoBranches fork(good, bad);
    ForkNode node(2);
    node.now = node.params().SlotTime(Slot(500));
    node.Sync(fork.shared);
    size_t rounds = 0;
    while (!node.Sync(fork.branch_b)) ASSERT_LT(++rounds, 10u);
    ASSERT_GT(rounds, 0u) << "all of it lies within the horizon";
    ASSERT_EQ(node.TipHash(), HashOf(fork.branch_b.back()));
    EXPECT_FALSE(node.Sync(fork.branch_a));
    const HeaderNode* tip = node.chain().tip();
    EXPECT_EQ(tip->state.epoch, Epoch(1)) << "the last that the shared past elects";
    EXPECT_LT(tip->height(), Height(fork.branch_b.size()));
    EXPECT_EQ(tip->hash(), HashOf(fork.branch_a[tip->height().value - 3]));
    for (rounds = 0; !node.Sync(fork.branch_a);) ASSERT_LT(++rounds, 10u);
    EXPECT_EQ(node.TipHash(), HashOf(fork.branch_a.back()));
    node.Sync(fork.branch_b);
    EXPECT_EQ(node.TipHash(), HashOf(fork.branch_a.back()));
    node.ExpectRecountEquals();
}

// ---- checkpoints

ChainOptions Through(const BlockRef& block) {
    ChainOptions options;
    options.checkpoints.push_back({block->header.Hash(), block->header.height});
    return options;
}

TEST(Checkpoints, AHeaderAtTheirHeightWithAnotherHashIsInvalid) {
    const TwoBranches fork({3, 4, 5}, {6, 7, 8, 9});
    ForkNode node(2, Through(fork.branch_a[1]));
    node.GiveAll(fork.shared);
    EXPECT_EQ(node.Refusal({fork.branch_b[0]}), "");
    const auto result = node.chain().ProcessHeaders(HeadersOf(fork.branch_b), node.now);
    ASSERT_TRUE(result && result->stopped);
    EXPECT_EQ(result->stopped->what, HeaderOutcome::What::kInvalid);
    EXPECT_EQ(result->stopped->reason.code, "bad-fork-checkpoint");
    EXPECT_EQ(result->accepted, 1u);
    node.Sync(fork.branch_a);
    EXPECT_EQ(node.TipHash(), HashOf(fork.branch_a.back()));
}

TEST(Checkpoints, NoForkIsTakenBelowAnActiveOne) {
    const TwoBranches fork({3, 4, 5}, {6, 7, 8, 9});
    ForkNode node(2, Through(fork.branch_a[1]));
    node.GiveAll(fork.shared);
    node.Sync(fork.branch_a);
    EXPECT_EQ(node.Refusal({fork.branch_b[0]}), "fork-below-checkpoint");
    // At and above it forks are as ever.
    ForkNode builder(1);
    builder.GiveAll(fork.shared);
    builder.GiveAll({fork.branch_a[0], fork.branch_a[1]});
    const Blocks above = builder.MakeAtEach({6, 7});
    node.Sync(above);
    EXPECT_EQ(node.TipHash(), HashOf(above.back()));
}

TEST(Checkpoints, ANodeWhoseChainConflictsLeavesIt) {
    const TwoBranches fork({3, 4, 5, 6}, {20, 21, 22});
    for (const bool knows_right : {true, false}) {
        ForkNode node(2);
        node.GiveAll(fork.shared);
        if (knows_right) node.GiveAll(fork.branch_b);
        node.Sync(fork.branch_a);
        ASSERT_EQ(node.TipHash(), HashOf(fork.branch_a.back()));
        node.options() = Through(fork.branch_b[1]);
        node.Open();
        // Without the header of the checkpoint it is only known from which height on the branch is wrong.
        EXPECT_EQ(node.TipHash(), knows_right ? HashOf(fork.branch_b.back()) : HashOf(fork.branch_a[0]));
        node.ExpectRecountEquals();
        node.Sync(fork.branch_b);
        EXPECT_EQ(node.TipHash(), HashOf(fork.branch_b.back()));
        EXPECT_EQ(node.Refusal(fork.branch_a), "duplicate-invalid");
    }
}

TEST(Checkpoints, OnceTheHeaderOfOneIsKnownBranchesThatMissItAreLeft) {
    // The wrong branch is denser, but does not reach the checkpoint's height.
    const TwoBranches fork({3, 4, 5, 6}, {8, 20, 30, 40, 50, 60});
    ForkNode node(2, Through(fork.branch_b[5]));
    node.GiveAll(fork.shared);
    node.Sync(fork.branch_a);
    ASSERT_EQ(node.TipHash(), HashOf(fork.branch_a.back()));
    node.Sync(fork.branch_b);
    EXPECT_EQ(node.TipHash(), HashOf(fork.branch_b.back()));
    node.ExpectRecountEquals();
}

TEST(Checkpoints, AForeignGenesisIsRefusedWithAClearWord) {
    ForkNode node(2);
    node.options().checkpoints.push_back({BlockHash(), Height(0)});
    const Status opened = node.TryOpen();
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find("checkpoint at height 0"), std::string::npos);
}

// ---- assumevalid

// A block of `node` in `slot` with these transactions after the coinbase, whatever they are; its coinbase claims
// `extra` drops more than it may.
BlockRef MakeBlockOf(ForkNode& node, uint64_t slot, const std::vector<TransactionRef>& more, uint64_t extra = 0) {
    const BlockRef honest = node.ProduceAt(Slot(slot));
    auto transactions = honest->transactions;
    MutableTransaction coinbase = transactions[0]->tx();
    coinbase.outputs[0].value.drops += extra;
    transactions[0] = MakeTransaction(coinbase);
    transactions.insert(transactions.end(), more.begin(), more.end());
    const auto& parent = node.chain().tip()->state;
    const auto previous = node.chain().SnapshotOf(consensus::NextContext(node.params(), parent, Slot(slot)).previous);
    return std::make_shared<const Block>(MakeSignedBlock(node.chain().genesis_hash(), parent, Slot(slot),
                                                         honest->header.vrf_proof, node.keys(), (*previous)->hash,
                                                         transactions));
}

ChainOptions Assuming(const BlockRef& block) {
    ChainOptions options;
    options.assume_valid = block->header.Hash();
    return options;
}

TEST(AssumeValid, SkipsSignaturesUpToItsBlockAndNoFurther) {
    ForkNode maker(0);
    // A payment without fee, so that the coinbase is right; its signature is not.
    MutableTransaction payment = maker.PayGenesisCoin(0, Amount(0))->tx();
    payment.inputs[0].witness[0][5] ^= 1;
    const BlockRef unsigned_block = MakeBlockOf(maker, 1, {MakeTransaction(payment)});
    {
        ForkNode strict(2);
        const auto refused = strict.Give(unsigned_block);
        ASSERT_TRUE(refused && refused->invalid);
        EXPECT_EQ(strict.chain().tip()->height(), Height(0));
    }
    ForkNode trusting(0, Assuming(unsigned_block));
    EXPECT_EQ(trusting.Give(unsigned_block)->what, BlockResult::What::kConnected);
    trusting.ExpectRecountEquals();
    // The block after it is checked again.
    payment = trusting.PayGenesisCoin(1, Amount(0))->tx();
    payment.inputs[0].witness[0][5] ^= 1;
    const BlockRef next = MakeBlockOf(trusting, 2, {MakeTransaction(payment)});
    EXPECT_TRUE(trusting.Give(next)->invalid);
    EXPECT_EQ(trusting.TipHash(), HashOf(unsigned_block));
}

TEST(AssumeValid, HasNoEffectOffTheBranchOfTheBestHeader) {
    ForkNode maker(0), other(1);
    MutableTransaction payment = maker.PayGenesisCoin(0, Amount(0))->tx();
    payment.inputs[0].witness[0][5] ^= 1;
    const BlockRef unsigned_block = MakeBlockOf(maker, 1, {MakeTransaction(payment)});
    const Blocks better = other.MakeAtEach({2, 3});
    ForkNode node(2, Assuming(unsigned_block));
    ASSERT_EQ(node.Refusal(better), "");
    EXPECT_EQ(node.Give(unsigned_block)->what, BlockResult::What::kNotTaken);
}

TEST(AssumeValid, DoesNotSkipAmounts) {
    ForkNode maker(0);
    const BlockRef greedy = MakeBlockOf(maker, 1, {}, 1);
    ForkNode trusting(2, Assuming(greedy));
    const auto refused = trusting.Give(greedy);
    ASSERT_TRUE(refused && refused->invalid);
    EXPECT_EQ(refused->invalid->code, "bad-cb-amount");
}

// ---- the rule over whole trees

// A random tree in which every branch is complete; small k, so that all rules meet.
class RandomTree {
  public:
    explicit RandomTree(uint64_t seed) : m_params(SyntheticParams(3)), m_disk(seed), m_bytes(seed), m_random(seed) {
        const SyntheticHeader genesis = SyntheticGenesis();
        auto store = m_disk.files().OpenKeyValue("/headers", 1 << 20);
        m_store = std::move(*store);
        m_tree = std::move(*HeaderTree::Open(m_params, genesis.header, genesis.state, *m_store));
        m_nodes.push_back(m_tree->genesis());
    }
    const HeaderNode* Grow() {
        // Mostly at some end, so that branches get long.
        const size_t back =
            m_random() % 3 == 0 ? m_random() % m_nodes.size() : m_random() % std::min<size_t>(m_nodes.size(), 3);
        const HeaderNode* parent = m_nodes[m_nodes.size() - 1 - back];
        const Slot slot = parent->state.slot + 1 + m_random() % 40;
        const auto made = MakeSyntheticHeader(m_params, parent->state, slot, StakerId(), m_bytes);
        m_nodes.push_back(*m_tree->AddChecked(made.header, made.state));
        return m_nodes.back();
    }
    std::vector<const HeaderNode*> Ends() const {
        std::vector<const HeaderNode*> ends;
        for (const HeaderNode* node : m_nodes)
            if (node->children.empty()) ends.push_back(node);
        return ends;
    }
    const consensus::Params& params() const { return m_params; }
    const HeaderTree& tree() const { return *m_tree; }

  private:
    consensus::Params m_params;
    storage::MemoryDisk m_disk;
    SeededRandom m_bytes;
    std::mt19937_64 m_random;
    std::unique_ptr<storage::KeyValueStore> m_store;
    std::unique_ptr<HeaderTree> m_tree;
    std::vector<const HeaderNode*> m_nodes;
};

TEST(ForkChoiceOverTrees, ANodeThatMovedToTheBestEndStaysWhereverItCameFrom) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        RandomTree tree(seed);
        for (int i = 0; i < 60; ++i) tree.Grow();
        for (const HeaderNode* from : tree.Ends()) {
            const HeaderNode* best = BestEnd(tree.params(), from, tree.Ends());
            EXPECT_EQ(BestEnd(tree.params(), best, tree.Ends()), best) << "seed " << seed;
        }
    }
}

TEST(ForkChoiceOverTrees, TheBestHeaderKeptByHeaderIsThatOfTheWholeTree) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
        RandomTree tree(seed);
        for (int i = 0; i < 80; ++i) {
            tree.Grow();
            const HeaderNode* best = tree.tree().best();
            ASSERT_EQ(BestEnd(tree.params(), best, tree.Ends()), best) << "seed " << seed << " step " << i;
        }
    }
}

}  // namespace
}  // namespace sluice::chain
