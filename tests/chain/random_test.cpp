#include "util/random.h"
#include "chain_test_util.h"

namespace sluice::chain {
namespace {

// A coin that the owner may spend, by what the test itself has seen.
struct Spendable {
    OutPoint outpoint;
    TxOutput output;
};

// Two nodes that pay at random, mine apart, meet, refuse and reconsider. After each step the pools replay, the states
// equal a recount from blocks; at the end both equal a node that saw only the final chain.
class RandomWalk {
  public:
    explicit RandomWalk(uint64_t seed) : m_random(seed), m_first(seed), m_second(seed + 1) {}

    void Run(int steps) {
        for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
            TestNode& node = m_random.Below(2) == 0 ? m_first : m_second;
            switch (m_random.Below(8)) {
                case 0:
                case 1:
                case 2:
                    PaySomething(node);
                    break;
                case 3:
                case 4:
                    m_blocks.push_back(node.Mine(m_random.Below(12)));
                    break;
                case 5:
                    Refuse(node);
                    break;
                default:
                    Meet();
                    break;
            }
            ASSERT_TRUE(node.chain().mempool().SanityCheck()) << "step " << step;
            if (step % 8 == 0) node.ExpectRecountEquals();
        }
        Meet();
        TestNode& longer = m_first.chain().tip()->height() >= m_second.chain().tip()->height() ? m_first : m_second;
        TestNode straight(99);
        for (Height height(1); height <= longer.chain().tip()->height(); ++height)
            straight.GiveAll({*longer.chain().GetBlockAt(height)});
        EXPECT_EQ(longer.TakeDump(), straight.TakeDump());
    }

  private:
    std::vector<Spendable> SpendableOf(TestNode& node) {
        std::vector<Spendable> coins;
        for (uint32_t i = 0; i < 10; ++i) coins.push_back({node.GenesisCoin(i), node.GenesisOutput(i)});
        for (const MempoolEntry* entry : node.chain().mempool().All())
            coins.push_back({entry->tx->Output(0), entry->tx->outputs()[0]});
        const auto tip = node.chain().GetBlockAt(node.chain().tip()->height());
        for (const auto& tx : (*tip)->transactions) coins.push_back({tx->Output(0), tx->outputs()[0]});
        return coins;
    }
    void PaySomething(TestNode& node) {
        const auto coins = SpendableOf(node);
        const Spendable& coin = coins[m_random.Below(coins.size())];
        if (coin.output.value < Amount(1'000'000)) return;
        // Accepted, a replacement, spent already, immature: whatever it is, the pool stays sane.
        static_cast<void>(
            node.Accept(Pay(coin.outpoint, coin.output, Amount(300 + m_random.Below(5'000)), 1 + m_random.Below(3))));
    }
    void Refuse(TestNode& node) {
        const auto height = node.chain().tip()->height();
        if (height < Height(2)) return;
        const BlockHash hash = node.chain().At(height - 1)->hash();
        ASSERT_TRUE(node.chain().InvalidateBlock(hash, node.now));
        ASSERT_TRUE(node.chain().mempool().SanityCheck());
        ASSERT_TRUE(node.chain().ReconsiderBlock(hash, node.now));
    }
    void Meet() {
        for (TestNode* node : {&m_first, &m_second}) {
            for (const BlockRef& block : m_blocks) {
                const auto result = node->Give(block);
                ASSERT_TRUE(result) << result.error().message;
                // Apart for too long, they stay apart.
                if (result->what == BlockResult::What::kNotTaken) {
                    ASSERT_TRUE(result->header) << result->invalid->ToString();
                    ASSERT_NE(result->header->what, HeaderOutcome::What::kInvalid);
                }
            }
        }
    }

    SeededRandom m_random;
    TestNode m_first;
    TestNode m_second;
    std::vector<BlockRef> m_blocks;
};

TEST(RandomWalk, KeepsPoolsSaneAndStatesEqualToARecount) {
    for (uint64_t seed = 0; seed < 6; ++seed) {
        RandomWalk walk(1000 + seed);
        walk.Run(150);
        ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
    }
}

}  // namespace
}  // namespace sluice::chain
