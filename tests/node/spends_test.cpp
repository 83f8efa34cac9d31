#include <gtest/gtest.h>

#include <set>

#include "consensus/ledger_fixture.h"
#include "node/parallel_spends.h"
#include "p2p/asio_executor.h"
#include "util/random.h"

// Signature work of a block on several threads: the verdict is that of doing it in order.

namespace sluice::node {
namespace {

using consensus::SpendCheck;
namespace ct = consensus::testing;

// An executor whose tasks wait until they are run by hand.
class HeldExecutor final : public Executor {
  public:
    void Post(std::function<void()> task) override { m_tasks.push_back(std::move(task)); }
    void PostAfter(milliseconds, std::function<void()> task) override { Post(std::move(task)); }
    size_t RunAll() {
        const auto tasks = std::exchange(m_tasks, {});
        for (const auto& task : tasks) task();
        return tasks.size();
    }

  private:
    std::vector<std::function<void()>> m_tasks;
};

enum class Fault { kNone, kBadSignature, kNoWitness };

class Spends : public ::testing::Test {
  protected:
    SpendCheck Check(Fault fault) {
        const OutPoint coin = ledger.Fund(Amount(100'000));
        const TransactionRef good = ledger.Sign(ledger.Build({coin}, {}));
        MutableTransaction tx = good->tx();
        if (fault == Fault::kBadSignature) tx.inputs[0].witness[0][40] ^= 1;
        if (fault == Fault::kNoWitness) tx.inputs[0].witness.clear();
        SpendCheck check;
        check.tx = MakeTransaction(std::move(tx));
        consensus::Coin spent;
        spent.output = ledger.known.at(coin);
        check.spent.push_back(spent);
        return check;
    }
    static std::string Words(const consensus::Verdict<void>& verdict) {
        return verdict ? "valid" : verdict.error().ToString();
    }

    ct::Ledger ledger;
};

TEST_F(Spends, TheVerdictIsThatOfTheOrderWhateverFails) {
    p2p::ThreadPool pool(3, "spends");
    const consensus::SpendRunner run = MakeParallelSpendRunner(pool, 4);
    std::vector<SpendCheck> good, bad_signature, no_witness;
    for (int i = 0; i < 40; ++i) good.push_back(Check(Fault::kNone));
    for (int i = 0; i < 5; ++i) bad_signature.push_back(Check(Fault::kBadSignature));
    for (int i = 0; i < 5; ++i) no_witness.push_back(Check(Fault::kNoWitness));
    EXPECT_EQ(Words(run(good)), "valid");
    EXPECT_EQ(Words(run({})), "valid");

    SeededRandom random(3);
    std::set<std::string> seen;
    for (int round = 0; round < 60; ++round) {
        std::vector<SpendCheck> checks(good.begin(),
                                       good.begin() + static_cast<ptrdiff_t>(random.Below(good.size() + 1)));
        for (uint64_t faults = random.Below(4); faults > 0; --faults) {
            const auto& from = random.Below(2) == 0 ? bad_signature : no_witness;
            checks.insert(checks.begin() + static_cast<ptrdiff_t>(random.Below(checks.size() + 1)),
                          from[random.Below(from.size())]);
        }
        const std::string expected = Words(consensus::RunSpendsInOrder(checks));
        EXPECT_EQ(Words(run(checks)), expected) << "round " << round;
        seen.insert(expected);
    }
    EXPECT_TRUE(seen.contains("valid"));
    EXPECT_GE(seen.size(), 8u);  // the words name the transaction, so most of the ten faults were the first one once
}

TEST_F(Spends, APoolThatIsBusyHoldsNothingUpAndComesTooLateWithoutHarm) {
    HeldExecutor pool;
    const consensus::SpendRunner run = MakeParallelSpendRunner(pool, 4);
    {
        std::vector<SpendCheck> checks;
        for (int i = 0; i < 8; ++i) checks.push_back(Check(Fault::kNone));
        EXPECT_TRUE(run(checks));
        checks[5] = Check(Fault::kBadSignature);
        EXPECT_FALSE(run(checks));
    }
    EXPECT_EQ(pool.RunAll(), 6u);  // after the checks are gone
}

TEST_F(Spends, FewChecksOrOneThreadAskNobody) {
    HeldExecutor pool;
    std::vector<SpendCheck> checks;
    for (int i = 0; i < 3; ++i) checks.push_back(Check(Fault::kNone));
    EXPECT_TRUE(MakeParallelSpendRunner(pool, 4)(checks));
    for (int i = 0; i < 5; ++i) checks.push_back(Check(Fault::kNone));
    EXPECT_TRUE(MakeParallelSpendRunner(pool, 1)(checks));
    EXPECT_EQ(pool.RunAll(), 0u);
    EXPECT_TRUE(MakeParallelSpendRunner(pool, 2)(checks));
    EXPECT_EQ(pool.RunAll(), 1u);
}

}  // namespace
}  // namespace sluice::node
