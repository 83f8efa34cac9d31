#include <set>

#include "ledger_fixture.h"
#include "util/random.h"

// Random valid blocks of every kind of transaction, the money recounted after each, then all undone.

namespace sluice::consensus {
namespace {

using testing::ExamplePublish;
using testing::KeyScript;
using testing::Ledger;
using testing::Lock;
using testing::Slu;

// Keeps what can be spent, as a wallet of everyone would.
class RandomUser {
  public:
    RandomUser(Ledger& ledger, uint64_t seed) : m_ledger(ledger), m_random(seed) {
        for (int i = 0; i < 200; ++i) m_coins.push_back(ledger.Fund(Slu(100)));
    }

    std::vector<TransactionRef> Transactions() {
        std::vector<TransactionRef> txs;
        for (uint64_t left = m_random.Below(6); left > 0; --left) {
            if (auto tx = Any()) txs.push_back(tx);
        }
        return txs;
    }
    // Purchases of anchors that are confirmed now.
    void Confirm() {
        m_anchors.insert(m_anchors.end(), m_new_anchors.begin(), m_new_anchors.end());
        m_new_anchors.clear();
    }
    size_t kinds_made() const { return m_kinds.size(); }

  private:
    TransactionRef Any() {
        if (m_coins.size() < 3) return nullptr;
        const uint64_t kind = m_random.Below(9);
        TransactionRef tx;
        switch (kind) {
            case 0:
                tx = Pay();
                break;
            case 1:
                tx = Publish();
                break;
            case 2:
                tx = Update();
                break;
            case 3:
                tx = Retire();
                break;
            case 4:
                tx = Buy();
                break;
            case 5:
                tx = Grant();
                break;
            case 6:
                tx = Open();
                break;
            case 7:
                tx = Settle();
                break;
            case 8:
                tx = Refund();
                break;
        }
        if (tx) m_kinds.insert(kind);
        return tx;
    }
    template <class T>
    std::optional<T> TakeFrom(std::vector<T>& from) {
        if (from.empty()) return std::nullopt;
        std::swap(from[m_random.Below(from.size())], from.back());
        T taken = from.back();
        from.pop_back();
        return taken;
    }
    OutPoint TakeCoin() { return *TakeFrom(m_coins); }

    TransactionRef Pay() {
        std::vector<TxOutput> outputs;
        for (uint64_t i = 0; i <= m_random.Below(3); ++i)
            outputs.push_back({Amount(1 + m_random.Below(kDropsPerSlu)),
                               m_random.Below(2) ? KeyScript(3) : testing::KeyStakeScript(4)});
        const auto tx = m_ledger.Sign(m_ledger.Build({TakeCoin(), TakeCoin()}, outputs, Amount(m_random.Below(5'000))));
        for (uint32_t i = 0; i < tx->outputs().size(); ++i) {
            if (tx->outputs()[i].value > Slu(20)) m_coins.push_back(tx->Output(i));
        }
        return tx;
    }
    TransactionRef Publish() {
        const auto tx = m_ledger.Publish(ExamplePublish(), TakeCoin());
        m_new_anchors.push_back({tx->Output(1), MakeClaimId(tx->Output(1))});
        return tx;
    }
    TransactionRef Update() {
        const auto claim = TakeFrom(m_anchors);
        if (!claim) return nullptr;
        const auto tx = m_ledger.Update(ExamplePublish(), claim->second, claim->first, TakeCoin());
        m_new_anchors.push_back({tx->Output(1), claim->second});
        return tx;
    }
    TransactionRef Retire() {
        const auto claim = TakeFrom(m_anchors);
        if (!claim) return nullptr;
        return m_ledger.Sign(m_ledger.Build({claim->first}, {}));
    }
    TransactionRef Buy() {
        if (m_anchors.empty()) return nullptr;
        const PurchaseRecord record = m_ledger.ExamplePurchase(m_anchors[m_random.Below(m_anchors.size())].first);
        const auto tx = m_ledger.Purchase(record, Amount(Slu(5).drops + m_random.Below(3'000)), TakeCoin());
        m_purchases.push_back(Ledger::LockOf(tx, record));
        return tx;
    }
    TransactionRef Grant() {
        const auto lock = TakeFrom(m_purchases);
        return lock ? m_ledger.Grant(*lock, Slu(5), TakeCoin()) : nullptr;
    }
    TransactionRef Open() {
        const Height expiry = m_ledger.next_height() + m_ledger.params.channel_window_blocks;
        const auto tx = m_ledger.OpenChannel(expiry, Slu(4), TakeCoin());
        m_channels.push_back(Ledger::LockOf(tx, testing::kPayerKey, testing::kPayeeKey, expiry));
        return tx;
    }
    TransactionRef Settle() {
        const auto lock = TakeFrom(m_channels);
        return lock ? m_ledger.Settle(*lock, Amount(m_random.Below(Slu(4).drops)), TakeCoin()) : nullptr;
    }
    TransactionRef Refund() {
        for (auto* locks : {&m_purchases, &m_channels}) {
            for (size_t i = 0; i < locks->size(); ++i) {
                if ((*locks)[i].height >= m_ledger.next_height()) continue;
                const Lock lock = (*locks)[i];
                locks->erase(locks->begin() + static_cast<ptrdiff_t>(i));
                return m_ledger.Refund(lock);
            }
        }
        return nullptr;
    }

    Ledger& m_ledger;
    SeededRandom m_random;
    std::vector<OutPoint> m_coins;
    std::vector<std::pair<OutPoint, ClaimId>> m_anchors, m_new_anchors;
    std::vector<Lock> m_purchases, m_channels;
    std::set<uint64_t> m_kinds;
};

class RandomLedger : public ::testing::TestWithParam<uint64_t> {};

TEST_P(RandomLedger, UndoneBlockByBlockIsWhatItWasToTheByte) {
    Ledger ledger;
    RandomUser user(ledger, GetParam());
    std::vector<StateDelta> deltas;
    std::vector<std::map<Bytes, Bytes>> states;
    for (int i = 0; i < 60; ++i) {
        states.push_back(ledger.state.entries);
        deltas.push_back(ledger.Connect(user.Transactions()));  // recounts every coin
        ASSERT_FALSE(HasFailure()) << "block " << i;
        user.Confirm();
    }
    EXPECT_EQ(user.kinds_made(), 9u);
    EXPECT_GT(ledger.Totals().burned, Amount(0));
    while (!deltas.empty()) {
        ledger.state.Undo(*Decode<StateDelta>(Encode(deltas.back())));
        ASSERT_EQ(ledger.state.entries, states.back()) << "block " << deltas.size();
        deltas.pop_back();
        states.pop_back();
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomLedger, ::testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace sluice::consensus
