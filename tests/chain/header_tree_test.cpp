#include <gtest/gtest.h>

#include <algorithm>

#include "chain/fork_choice.h"
#include "chain/store_keys.h"
#include "storage/memory_disk.h"
#include "synthetic_headers.h"

namespace sluice::chain {
namespace {

// All headers in memory, found by walking from parent to parent: what the tree is held against.
struct Model {
    struct Node {
        SyntheticHeader made;
        uint64_t order{0};
        bool has_body{false};
        bool invalid{false};
    };
    using Nodes = std::map<BlockHash, Node>;

    const Node& At(const BlockHash& hash) const { return nodes.at(hash); }
    std::vector<BlockHash> Branch(const BlockHash& tip) const {  // from genesis
        std::vector<BlockHash> hashes;
        for (BlockHash at = tip;; at = nodes.at(at).made.state.prev) {
            hashes.push_back(at);
            if (at == genesis) break;
        }
        std::reverse(hashes.begin(), hashes.end());
        return hashes;
    }
    bool Failed(const BlockHash& hash) const {
        const auto branch = Branch(hash);
        return std::any_of(branch.begin(), branch.end(), [&](const BlockHash& each) { return At(each).invalid; });
    }
    bool HasAllBodies(const BlockHash& hash) const {
        const auto branch = Branch(hash);
        return std::all_of(branch.begin(), branch.end(), [&](const BlockHash& each) { return At(each).has_body; });
    }
    bool Descends(const BlockHash& hash, const BlockHash& from) const {
        const auto branch = Branch(hash);
        return std::find(branch.begin(), branch.end(), from) != branch.end();
    }

    Nodes nodes;
    BlockHash genesis;
    BlockHash tip;
    uint64_t next_order{0};
};

// A tree on a disk in memory, with the part of a chain that moves its tip, and a model beside it.
class TreeWorld {
  public:
    TreeWorld(uint64_t seed, uint32_t k) : m_random(seed), m_params(SyntheticParams(k, 2)), m_disk(seed) {
        const SyntheticHeader genesis = SyntheticGenesis();
        m_model.genesis = m_model.tip = genesis.state.hash;
        m_model.nodes[genesis.state.hash] = {genesis, m_model.next_order++, true, false};
        EXPECT_TRUE(m_disk.files().CreateDirectories("/tree"));
        EXPECT_TRUE(TryOpen());
    }

    Status TryOpen() {
        Close();
        ASSIGN_OR_RETURN(m_store, m_disk.files().OpenKeyValue("/tree/kv", 1 << 20));
        const SyntheticHeader& genesis = m_model.At(m_model.genesis).made;
        ASSIGN_OR_RETURN(m_tree, HeaderTree::Open(m_params, genesis.header, genesis.state, *m_store));
        ASSIGN_OR_RETURN(const auto tip, m_store->Get(TableKey(kMetaTable, AsBytes("tip"))));
        m_model.tip = tip ? *BlockHash::FromBytes(*tip) : m_model.genesis;
        std::vector<BlockHash> open;
        m_tree->ForEach([&](const HeaderNode& node) { open.push_back(node.hash()); });
        for (const BlockHash& hash : open)
            if (m_model.At(hash).has_body) m_tree->SetBody(hash);
        return {};
    }
    void Close() {
        m_tree.reset();
        m_store.reset();
    }

    // Makes a header and gives it to the tree. The error is the disk's.
    Result<BlockHash> Add(const BlockHash& parent, uint64_t slots = 1, bool body = true, StakerId staker = StakerId{}) {
        const consensus::HeaderState above = m_model.At(parent).made.state;
        const SyntheticHeader made =
            MakeSyntheticHeader(m_params, above, above.slot + static_cast<int64_t>(slots), staker, m_random);
        // A write that fails may be found done after a crash.
        m_model.nodes[made.state.hash] = {made, m_model.next_order++, body, false};
        ASSIGN_OR_RETURN(const HeaderNode* node, m_tree->AddChecked(made.header, made.state));
        CHECK(node == m_tree->Find(made.state.hash));
        if (body) m_tree->SetBody(made.state.hash);
        return made.state.hash;
    }
    // Grows the active chain.
    void Grow(size_t count) {
        for (size_t i = 0; i < count; ++i) {
            const auto added = Add(m_model.tip);
            ASSERT_TRUE(added);
            ASSERT_TRUE(MoveTo(*added));
            ASSERT_TRUE(Prune());
        }
    }
    Status MoveTo(const BlockHash& target, bool sync = false) {
        const HeaderNode* node = m_tree->Find(target);
        CHECK(node != nullptr);
        RETURN_IF_ERROR(m_tree->LowerRootTo(ForkPoint(node, Tip())->height()));
        storage::WriteBatch batch;
        batch.Put(TableKey(kMetaTable, AsBytes("tip")), ToBytes(target.bytes));
        RETURN_IF_ERROR(m_store->Write(batch, sync));
        m_model.tip = target;
        return {};
    }
    Status Prune(const std::vector<const HeaderNode*>& keep = {}) { return m_tree->Prune(Tip(), keep); }

    const HeaderNode* Tip() { return m_tree->Find(m_model.tip); }
    HeaderTree& tree() { return *m_tree; }
    Model& model() { return m_model; }
    SeededRandom& random() { return m_random; }
    storage::MemoryDisk& disk() { return m_disk; }
    const consensus::Params& params() const { return m_params; }

    size_t CountRows(char table) {
        size_t rows = 0;
        EXPECT_TRUE(m_store->Scan(TableKey(table), {}, [&](ByteSpan, ByteSpan) {
            ++rows;
            return true;
        }));
        return rows;
    }
    void ExpectDiskHoldsOpenAndBuried() {
        EXPECT_EQ(CountRows(kOpenHeaderTable), m_tree->open_count());
        EXPECT_EQ(CountRows(kActiveTable), m_tree->root()->height().value);
        EXPECT_EQ(CountRows(kHeaderTable), m_tree->open_count() + m_tree->root()->height().value);
    }

    // What the tree has forgotten the model forgets too, once it is clear that it was allowed to be.
    void ForgetDropped() {
        const Height tip = m_model.At(m_model.tip).made.state.height;
        std::vector<BlockHash> dropped;
        for (const auto& [hash, node] : m_model.nodes)
            if (m_tree->Find(hash) == nullptr) dropped.push_back(hash);
        for (const BlockHash& hash : dropped) {
            const Model::Node& node = m_model.At(hash);
            ASSERT_FALSE(m_model.Descends(m_model.tip, hash)) << "an active header is gone";
            ASSERT_LE(node.made.state.height + m_params.k, tip) << "a header above the cut is gone";
        }
        for (const auto& [hash, node] : m_model.nodes) {
            if (hash == m_model.genesis || m_tree->Find(hash) == nullptr) continue;
            ASSERT_NE(m_tree->Find(node.made.state.prev), nullptr) << "a header stayed without its parent";
        }
        for (const BlockHash& hash : dropped) m_model.nodes.erase(hash);
    }

    void ExpectEqualsModel() {
        ForgetDropped();
        if (::testing::Test::HasFailure()) return;
        std::vector<BlockHash> hashes;
        for (const auto& [hash, node] : m_model.nodes) hashes.push_back(hash);
        const auto any = [&] { return hashes[m_random.Below(hashes.size())]; };
        const std::vector<BlockHash> active = m_model.Branch(m_model.tip);
        for (const BlockHash& hash : hashes) ExpectNodeEquals(hash, active);
        if (::testing::Test::HasFailure()) return;
        for (int i = 0; i < 30; ++i) ExpectPairEquals(any(), any());
        ExpectEndsEqual(active);
        ExpectServingEquals(any(), any());
        EXPECT_FALSE(m_tree->TakeReadFailure());
    }

  private:
    void ExpectNodeEquals(const BlockHash& hash, const std::vector<BlockHash>& active) {
        const Model::Node& expected = m_model.At(hash);
        const HeaderNode* node = m_tree->Find(hash);
        ASSERT_NE(node, nullptr);
        ASSERT_EQ(node->state, expected.made.state);
        ASSERT_EQ(node->invalid, expected.invalid);
        ASSERT_EQ(node->failed, m_model.Failed(hash));
        ASSERT_EQ(node->has_body, expected.has_body);
        ASSERT_EQ(node->has_all_bodies, m_model.HasAllBodies(hash));
        const uint32_t height = node->height().value;
        const bool is_active = height < active.size() && active[height] == hash;
        const HeaderNode* at = AncestorAt(Tip(), Height(height));
        ASSERT_EQ(at == m_tree->Find(hash), is_active);
        ASSERT_EQ(m_tree->Find(hash)->buried, is_active && Height(height) < m_tree->root()->height());
        ASSERT_EQ(*m_tree->ReadHeader(hash), expected.made.header);
    }
    void ExpectPairEquals(const BlockHash& a, const BlockHash& b) {
        const auto branch_a = m_model.Branch(a);
        const auto branch_b = m_model.Branch(b);
        size_t shared = 0;
        while (shared < std::min(branch_a.size(), branch_b.size()) && branch_a[shared] == branch_b[shared]) ++shared;
        const HeaderNode* node_a = m_tree->Find(a);
        const HeaderNode* node_b = m_tree->Find(b);
        const HeaderNode* fork = ForkPoint(node_a, node_b);
        ASSERT_EQ(fork->hash(), branch_a[shared - 1]);
        ASSERT_EQ(IsAncestor(node_a, node_b), shared == branch_a.size());
        const Height height(static_cast<uint32_t>(m_random.Below(branch_a.size())));
        ASSERT_EQ(AncestorAt(node_a, height)->hash(), branch_a[height.value]);
        ASSERT_EQ(AncestorAt(node_a, node_a->height() + 1), nullptr);
        const Slot last = fork->state.slot + static_cast<int64_t>(m_random.Below(60));
        const auto count = std::count_if(branch_a.begin() + static_cast<ptrdiff_t>(shared), branch_a.end(),
                                         [&](const auto& hash) { return m_model.At(hash).made.state.slot <= last; });
        ASSERT_EQ(BlocksUpTo(node_a, fork, last), count);
    }
    // The fork choice between two branches, counted by walking.
    bool IsBetter(const std::vector<BlockHash>& candidate, const std::vector<BlockHash>& current) const {
        size_t shared = 0;
        while (shared < std::min(candidate.size(), current.size()) && candidate[shared] == current[shared]) ++shared;
        if (shared == candidate.size()) return false;
        if (shared == current.size()) return true;
        const consensus::HeaderState& fork = m_model.At(current[shared - 1]).made.state;
        const Slot last = consensus::DensityWindowEnd(m_params, fork.slot);
        std::vector<consensus::Branch> branches;
        for (const auto* branch : {&current, &candidate}) {
            const auto count =
                std::count_if(branch->begin() + static_cast<ptrdiff_t>(shared), branch->end(),
                              [&](const auto& hash) { return m_model.At(hash).made.state.slot <= last; });
            branches.push_back({m_model.At(branch->back()).made.state, static_cast<uint32_t>(count)});
        }
        return consensus::BestBranch(m_params, fork, branches) == 1;
    }
    void ExpectEndsEqual(const std::vector<BlockHash>& active) {
        std::set<BlockHash> parents;
        std::set<BlockHash> parents_of_valid;
        for (const auto& [hash, node] : m_model.nodes) {
            if (hash == m_model.genesis) continue;
            parents.insert(node.made.state.prev);
            if (!m_model.Failed(hash)) parents_of_valid.insert(node.made.state.prev);
        }
        std::vector<std::pair<uint64_t, BlockHash>> better, ends;
        for (const auto& [hash, node] : m_model.nodes) {
            if (m_model.Failed(hash)) continue;
            if (!parents_of_valid.contains(hash)) ends.emplace_back(node.order, hash);
            if (!parents.contains(hash) && IsBetter(m_model.Branch(hash), active))
                better.emplace_back(node.order, hash);
        }
        std::sort(better.begin(), better.end());
        std::sort(ends.begin(), ends.end());
        const auto found = m_tree->LeavesBetterThan(Tip());
        ASSERT_EQ(found.size(), better.size());
        for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i]->hash(), better[i].second);
        std::vector<const HeaderNode*> nodes;
        for (const auto& [order, hash] : ends) nodes.push_back(m_tree->Find(hash));
        ASSERT_EQ(m_tree->best(), BestEnd(m_params, m_tree->best(), nodes));
    }
    void ExpectServingEquals(const BlockHash& mine, const BlockHash& theirs) {
        const auto branch = m_model.Branch(mine);
        std::vector<BlockHash> expected;
        for (uint32_t height = m_model.At(mine).made.state.height.value, step = 1;; height -= std::min(height, step)) {
            expected.push_back(branch[height]);
            if (height == 0) break;
            if (expected.size() >= 10) step *= 2;
        }
        ASSERT_EQ(m_tree->Locator(m_tree->Find(mine)), expected);
        // They tell where they are, and we serve what comes after.
        const auto shared = m_model.At(ForkPoint(m_tree->Find(mine), m_tree->Find(theirs))->hash()).made.state.height;
        const auto served = m_tree->HeadersAfter(m_tree->Find(mine), m_model.Branch(theirs), {}, 1'000);
        ASSERT_TRUE(served);
        // Branch() begins at genesis, which all share.
        ASSERT_EQ(served->size() + 1, branch.size());
        auto newest_first = m_model.Branch(theirs);
        std::reverse(newest_first.begin(), newest_first.end());
        const auto rest = m_tree->HeadersAfter(m_tree->Find(mine), newest_first, {}, 7);
        ASSERT_TRUE(rest);
        ASSERT_EQ(rest->size(), std::min<size_t>(7, branch.size() - 1 - shared.value));
        for (size_t i = 0; i < rest->size(); ++i) ASSERT_EQ((*rest)[i].Hash(), branch[shared.value + 1 + i]);
    }

    SeededRandom m_random;
    consensus::Params m_params;
    storage::MemoryDisk m_disk;
    Model m_model;
    std::unique_ptr<storage::KeyValueStore> m_store;
    std::unique_ptr<HeaderTree> m_tree;
};

// What happens to a tree at random.
class RandomTree {
  public:
    explicit RandomTree(uint64_t seed) : m_world(seed, 6) {}

    // False once the disk fails.
    bool Step() {
        switch (m_world.random().Below(16)) {
            case 0:
                return m_world.Add(Anyone(), 1 + m_world.random().Below(3)).has_value();
            case 1:
                return AddWithoutBody();
            case 2:
            case 3:
                return FollowBest();
            case 4:
                return MarkSome();
            case 5:
                return m_world.Prune().has_value();
            case 6:
                return GrowDeepFork();
            case 7:
                return FollowAny();
            default:
                return GrowTip();
        }
    }
    TreeWorld& world() { return m_world; }

  private:
    // Not on a failed branch.
    BlockHash Anyone() {
        for (;;) {
            auto it = m_world.model().nodes.begin();
            std::advance(it, m_world.random().Below(m_world.model().nodes.size()));
            if (!m_world.model().Failed(it->first) && m_world.tree().Find(it->first) != nullptr) return it->first;
        }
    }
    bool GrowTip() {
        const auto added = m_world.Add(m_world.model().tip, 1 + m_world.random().Below(4));
        return added && m_world.MoveTo(*added, m_world.random().Below(3) == 0) && m_world.Prune();
    }
    bool AddWithoutBody() { return m_world.Add(Anyone(), 1, false).has_value(); }
    bool FollowBest() {
        const HeaderNode* best = m_world.tree().best();
        if (!best->has_all_bodies) return true;
        return m_world.MoveTo(best->hash()).has_value();
    }
    bool FollowAny() {
        const BlockHash target = Anyone();
        if (m_world.random().Below(3) != 0 || !m_world.tree().Find(target)->has_all_bodies) return true;
        return m_world.MoveTo(target).has_value();
    }
    bool GrowDeepFork() {
        BlockHash parent = Anyone();
        for (uint64_t i = m_world.random().Below(12); i > 0; --i) {
            const auto added = m_world.Add(parent);
            if (!added) return false;
            parent = *added;
        }
        return true;
    }
    bool MarkSome() {
        const BlockHash hash = Anyone();
        Model& model = m_world.model();
        if (hash == model.genesis || model.Descends(model.tip, hash)) return true;
        if (!m_world.tree().MarkInvalid(hash)) return false;
        model.nodes[hash].invalid = true;
        if (m_world.random().Below(2) == 0) return true;
        if (!m_world.tree().ClearInvalid(hash)) return false;
        for (auto& [each, node] : model.nodes)
            if (model.Descends(each, hash)) node.invalid = false;
        return true;
    }

    TreeWorld m_world;
};

TEST(HeaderTree, AnswersAsATreeThatKeepsEverythingInMemory) {
    size_t buried = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
        RandomTree random(seed);
        for (int step = 0; step < 300; ++step) {
            ASSERT_TRUE(random.Step());
            random.world().ForgetDropped();
            ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << " step " << step;
            if (step % 10 != 0) continue;
            random.world().ExpectEqualsModel();
            ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << " step " << step;
            if (step % 50 != 0) continue;
            ASSERT_TRUE(random.world().TryOpen());
            random.world().ExpectEqualsModel();
            random.world().ExpectDiskHoldsOpenAndBuried();
            ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << " step " << step << ", opened again";
        }
        buried += random.world().tree().root()->height().value;
    }
    EXPECT_GT(buried, 500u) << "next to nothing was buried";
}

TEST(HeaderTree, ACrashAtEachWriteLeavesTablesThatFitTogether) {
    for (uint64_t writes = 0;; ++writes) {
        RandomTree random(writes % 7);
        TreeWorld& world = random.world();
        world.disk().FailAfterWrites(writes);
        int steps = 0;
        while (steps < 120 && random.Step()) ++steps;
        world.Close();
        world.disk().Crash();
        ASSERT_TRUE(world.TryOpen()) << "after " << writes << " writes";
        world.ExpectDiskHoldsOpenAndBuried();
        // The active chain is whole, whatever else was lost.
        const auto branch = world.model().Branch(world.model().tip);
        for (uint32_t height = 0; height < branch.size(); ++height) {
            const HeaderNode* node = AncestorAt(world.Tip(), Height(height));
            ASSERT_NE(node, nullptr);
            ASSERT_EQ(node->hash(), branch[height]);
        }
        const auto headers = world.tree().HeadersAfter(world.Tip(), {}, {});
        ASSERT_TRUE(headers);
        ASSERT_EQ(headers->size() + 1, branch.size());
        ASSERT_FALSE(::testing::Test::HasFailure()) << "after " << writes << " writes";
        world.Grow(20);
        ASSERT_FALSE(::testing::Test::HasFailure()) << "after " << writes << " writes";
        if (steps == 120) {
            EXPECT_GT(writes, 100u);
            break;
        }
    }
}

TEST(HeaderTree, HoldsNoMoreThanKAndAQuarterOfALongChain) {
    TreeWorld world(1, 40);
    size_t most = 0;
    for (int i = 0; i < 1'000; ++i) {
        world.Grow(1);
        most = std::max(most, world.tree().open_count());
    }
    EXPECT_EQ(most, 40u + 10u);
    EXPECT_LE(world.tree().node_count(), most + 2);  // genesis, and what a lookup loaded
    world.ExpectDiskHoldsOpenAndBuried();
}

TEST(HeaderTree, IsOpenedWithoutReadingWhatIsBuried) {
    TreeWorld world(1, 10);
    world.Grow(500);
    ASSERT_TRUE(world.TryOpen());
    EXPECT_LE(world.tree().node_count(), 10u + 3u + 1u);
}

TEST(HeaderTree, LookupsOfBuriedHeadersDoNotAddUpInMemory) {
    TreeWorld world(1, 4);
    world.Grow(3 * kMaxLoadedHeaders);
    const auto branch = world.model().Branch(world.model().tip);
    for (const BlockHash& hash : branch) {
        const HeaderNode* node = world.tree().Find(hash);
        ASSERT_NE(node, nullptr);
        ASSERT_EQ(node->hash(), hash);
        ASSERT_LE(world.tree().node_count(), kMaxLoadedHeaders + world.tree().open_count() + 1);
    }
}

TEST(HeaderTree, ABuriedNodeLivesWhileHalfTheLimitOfOthersAreLookedUp) {
    TreeWorld world(1, 4);
    world.Grow(2 * kMaxLoadedHeaders);
    const auto branch = world.model().Branch(world.model().tip);
    for (uint32_t height = 1; height < 1'000; ++height) world.tree().Find(branch[height]);
    const HeaderNode* node = world.tree().Find(branch[1]);
    for (uint32_t height = 1'000; height < 1'000 + kMaxLoadedHeaders / 2 - 1; ++height)
        world.tree().Find(branch[height]);
    EXPECT_EQ(node, world.tree().Find(branch[1]));
    EXPECT_EQ(node->hash(), branch[1]);
}

TEST(HeaderTree, AStaleBranchIsDroppedFromMemoryAndDiskOnceItEndsBelowTheCut) {
    TreeWorld world(1, 8);
    world.Grow(20);
    const BlockHash fork = world.Tip()->parent->hash();
    const BlockHash stale = *world.Add(fork);
    const BlockHash end = *world.Add(stale, 5, false);
    world.Grow(2);  // as high as the tip now, and then lower
    const Height end_height = world.tree().Find(end)->height();
    while (world.Tip()->height() < end_height + 8) {
        ASSERT_NE(world.tree().Find(end), nullptr);
        ASSERT_NE(world.tree().Find(stale), nullptr);
        world.Grow(1);
    }
    world.Grow(2);  // buried a quarter of k at a time
    EXPECT_EQ(world.tree().Find(end), nullptr);
    EXPECT_EQ(world.tree().Find(stale), nullptr);
    world.ExpectDiskHoldsOpenAndBuried();
    ASSERT_TRUE(world.TryOpen());
    EXPECT_EQ(world.tree().Find(end), nullptr);
    world.ExpectEqualsModel();
}

TEST(HeaderTree, ADeepForkAttachesToABuriedHeaderAndCanBecomeTheChain) {
    TreeWorld world(1, 8);
    world.Grow(200);
    const auto old = world.model().Branch(world.model().tip);
    BlockHash end = old[50];
    for (int i = 0; i < 160; ++i) {
        end = *world.Add(end);
        ASSERT_TRUE(world.Prune({world.tree().Find(end)}));
    }
    const HeaderNode* node = world.tree().Find(end);
    EXPECT_EQ(ForkPoint(node, world.Tip())->hash(), old[50]);
    EXPECT_EQ(BlocksUpTo(node, ForkPoint(node, world.Tip()), world.model().At(old[50]).made.state.slot + 100), 100u);
    EXPECT_EQ(world.tree().best(), node);
    ASSERT_TRUE(world.TryOpen());
    world.ExpectEqualsModel();
    ASSERT_TRUE(world.MoveTo(end));
    world.ExpectEqualsModel();
    world.Grow(60);
    world.ExpectEqualsModel();
    EXPECT_EQ(world.tree().Find(old[51]), nullptr);
    EXPECT_LE(world.tree().open_count(), 10u);
    world.ExpectDiskHoldsOpenAndBuried();
}

TEST(HeaderTree, ADeepForkThatStopsGrowingIsDroppedAfterItsPatience) {
    TreeWorld world(1, 8);
    world.Grow(100);
    const auto old = world.model().Branch(world.model().tip);
    BlockHash end = old[30];
    for (int i = 0; i < 10; ++i) end = *world.Add(end);
    const Height came = world.Tip()->height();
    while (world.Tip()->height() + 1 < came + kDeepForkPatience * 8) {
        world.Grow(1);
        ASSERT_NE(world.tree().Find(end), nullptr) << world.Tip()->height().value;
    }
    world.Grow(3);
    EXPECT_EQ(world.tree().Find(end), nullptr);
    world.ExpectDiskHoldsOpenAndBuried();
}

// [long-range branches made with old keys]
TEST(HeaderTree, ManyDeepForksDoNotFillMemoryOrDisk) {
    TreeWorld world(1, 8);
    world.Grow(300);
    const auto old = world.model().Branch(world.model().tip);
    const size_t limit = kMaxDeepForkEpochs * world.params().ExpectedEpochBlocks();
    size_t made = 0;
    BlockHash newest;
    for (uint32_t height = 0; height < 280; ++height) {
        newest = old[height];
        for (int i = 0; i < 5; ++i, ++made) newest = *world.Add(newest);
        if (height % 40 != 0) continue;
        world.Grow(2);
        ASSERT_LE(world.tree().open_count(), 40u * 5u + limit + 10u);
    }
    ASSERT_GT(made, 3 * limit);
    world.Grow(2);
    EXPECT_LE(world.tree().open_count(), limit + 10u);
    EXPECT_NE(world.tree().Find(newest), nullptr) << "those that stopped growing first go first";
    world.ExpectDiskHoldsOpenAndBuried();
}

// [a staker with slots in a row makes many headers for the first, each with a child]
TEST(HeaderTree, AStakersBranchesFromOneSlotAreLimitedAndTheBestStay) {
    TreeWorld world(1, 8);
    world.Grow(30);
    const StakerId staker{{1, 2, 3, 4, 5, 6, 7, 8}};
    const BlockHash parent = world.model().tip;
    const auto add = [&](int children) {
        const BlockHash first = *world.Add(parent, 1, false, staker);
        BlockHash end = first;
        for (int i = 0; i < children; ++i) end = *world.Add(end, 1, false);
        const auto stays = world.tree().LimitSlot(world.tree().Find(first), {world.Tip()});
        EXPECT_TRUE(stays);
        EXPECT_EQ(*stays, world.tree().Find(first) != nullptr);
        return first;
    };
    const BlockHash honest = add(2);
    std::vector<BlockHash> made;
    for (int i = 0; i < 30; ++i) made.push_back(add(1));
    const Slot slot = world.model().At(honest).made.state.slot;
    EXPECT_EQ(world.tree().CountOf(staker, slot), kMaxBranchesPerSlot);
    EXPECT_NE(world.tree().Find(honest), nullptr);
    EXPECT_EQ(world.tree().Find(made.back()), nullptr) << "of equals the newest goes";
    // The others build on one that came late: longer, it is taken.
    const BlockHash late = add(3);
    EXPECT_NE(world.tree().Find(late), nullptr);
    EXPECT_EQ(world.tree().CountOf(staker, slot), kMaxBranchesPerSlot);
    world.ExpectDiskHoldsOpenAndBuried();
}

}  // namespace
}  // namespace sluice::chain
