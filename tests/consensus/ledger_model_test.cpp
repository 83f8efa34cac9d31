#include "ledger_model.h"

#include <set>

#include "util/random.h"

// Random histories of stakers and delegators, with reorganisations, each block of which the naive model recounts.

namespace sluice::consensus {
namespace {

using namespace testing;
using Kind = ModelAction::Kind;
using Status = ModelStaker::Status;

// Keys are dear to make, and nothing here is signed.
const crypto::VrfPublicKey& PooledVrfKey(size_t n) {
    static const auto* keys = [] {
        auto* made = new std::vector<crypto::VrfPublicKey>;
        for (uint32_t i = 0; i < 220; ++i) made->push_back(VrfKey(static_cast<uint8_t>(i + 20)));
        return made;
    }();
    return (*keys)[n % keys->size()];
}
const XOnlyPubKey& PooledSigningKey(size_t n) {
    static const auto* keys = [] {
        auto* made = new std::vector<XOnlyPubKey>;
        for (uint32_t i = 0; i < 50; ++i) made->push_back(TestKey(100 + i).XOnly());
        return made;
    }();
    return (*keys)[n % keys->size()];
}

// How a history starts and what is likely in it.
struct Flavour {
    const char* name;
    uint64_t seed;
    uint32_t stakers;
    std::vector<uint64_t> stakes;  // of genesis, in drops, given to the stakers in turn
    uint64_t plain_coin;           // value of each of 12 plain coins of genesis
    uint64_t subsidy_numerator;    // of 10^7
    uint32_t blocks;

    // A test's name is the same in each build.
    friend void PrintTo(const Flavour& flavour, std::ostream* out) { *out << flavour.name; }
};
constexpr uint64_t kSluDrops = kDropsPerSlu;
const Flavour kFlavours[] = {
    {"Mixed", 1, 4, {500'000 * kSluDrops, 7, 123'456'789, 1'000 * kSluDrops}, 30'000 * kSluDrops, 1375, 450},
    {"MixedAgain", 2, 5, {kSluDrops, 2 * kSluDrops, 3 * kSluDrops, 5, 8}, 30'000 * kSluDrops + 1, 1375, 450},
    {"SingleDrops", 3, 3, {1, 1, 1}, 20'000 * kSluDrops, 1375, 400},
    {"ZeroStake", 4, 3, {}, 20'000 * kSluDrops, 1375, 400},
    {"NearSupply",
     5,
     3,
     {8'000'000 * kSluDrops, 8'000'000 * kSluDrops - 1, 3'900'000 * kSluDrops},
     20'000 * kSluDrops,
     1375,
     400},
    {"ReserveDrained", 6, 3, {1'000'000 * kSluDrops, 3}, 20'000 * kSluDrops, 9'000'000, 400},
    {"OneStaker", 7, 2, {1, 10'000'000 * kSluDrops}, 20'000 * kSluDrops, 100'000, 400},
    {"ManyStakers",
     8,
     12,
     {1, 100, 10'000, 1'000'000, 100'000'000, 10'000'000'000, 1'000'000'000'000},
     50'000 * kSluDrops,
     1375,
     450},
};

class History {
  public:
    explicit History(const Flavour& flavour) : m_flavour(flavour), m_random(flavour.seed) {
        chain.params.subsidy_numerator = flavour.subsidy_numerator;
        chain.run = [](std::span<const SpendCheck>) { return Verdict<void>(); };
        for (uint32_t n = 1; n <= flavour.stakers; ++n)
            chain.AddStaker(static_cast<uint8_t>(n), static_cast<uint16_t>(m_random.Below(101)));
        for (size_t i = 0; i < flavour.stakes.size(); ++i)
            chain.AddStake(Id(static_cast<uint8_t>(i % flavour.stakers + 1)), Amount(flavour.stakes[i]));
        for (int i = 0; i < 12; ++i) chain.Fund(Amount(flavour.plain_coin));
        chain.Start();
        ReadGenesis();
    }

    void Run() {
        for (uint32_t i = 0; i < m_flavour.blocks && !::testing::Test::HasFailure(); ++i) {
            Connect(Actions());
            if (m_random.Below(40) == 0) Reorganise();
        }
    }
    // Spends every stake coin: none may fail for want of what its staker's pot owes it.
    void DrainStake() {
        for (int skipped = 0; skipped < 2; ++skipped) {
            m_jump_epochs = 4;  // all that was made has earned
            m_drain = true;
            Connect(Actions());
        }
        EXPECT_EQ(StakeCoins(), 0u);
        for (const auto& [id, staker] : m_now.stakers) EXPECT_EQ(chain.Staker(id).pot.drops, staker.pot);
    }
    size_t StakeCoins() const {
        return static_cast<size_t>(std::count_if(m_now.coins.begin(), m_now.coins.end(), [](const auto& each) {
            return each.second.stake.has_value() && !each.second.coinbase && each.second.value != 0;
        }));
    }
    struct Seen {
        std::map<Kind, uint32_t> kinds;
        uint32_t flash{0}, outages{0}, reorgs{0}, epochs_undone{0}, waiting_adopted{0}, blocks{0};
        uint64_t paid{0};
    } seen;
    uint64_t minted() const { return m_now.minted; }

    StakerChain chain;

  private:
    void ReadGenesis() {
        for (const auto& [key, value] : chain.state.entries) {
            if (key[0] != Coin::kTable) continue;
            const auto outpoint = Decode<OutPoint>(ByteSpan(key).subspan(1));
            const auto coin = Decode<Coin>(value);
            const auto parsed = ParseOutputScript(coin->output.script);
            m_now.coins[*outpoint] = {coin->output.value.drops,
                                      parsed->kind == OutputKind::kStake ? std::optional(parsed->staker) : std::nullopt,
                                      -1,
                                      0,
                                      false,
                                      coin->kind == CoinKind::kBond};
            m_now.genesis += coin->output.value.drops;
        }
        for (uint32_t n = 1; n <= m_flavour.stakers; ++n) {
            const StakerState staker = chain.Staker(Id(static_cast<uint8_t>(n)));
            ModelStaker& model = m_now.stakers[Id(static_cast<uint8_t>(n))];
            model.bond = staker.bond;
            model.commission = staker.commission_permille;
            model.payout = staker.payout_script;
        }
        m_now.reserve_at_start = m_now.Reserve();
        m_snapshots.push_back(m_now.Snapshot());
        m_before.clear();
    }

    const ModelSnapshot& Elects(int64_t epoch) const {
        for (size_t i = m_snapshots.size(); i-- > 1;)
            if (m_snapshots[i].epoch <= epoch - 2) return m_snapshots[i];
        return m_snapshots[0];
    }

    // ---- what happens

    std::vector<ModelAction> Actions() {
        m_scratch = m_now;
        uint64_t slot = m_now.slot + 1 + m_random.Below(4);
        if (m_jump_epochs == 0 && m_random.Below(50) == 0) {
            m_jump_epochs = 1 + m_random.Below(6);
            ++seen.outages;
        }
        slot += m_jump_epochs * chain.params.epoch_slots;
        m_jump_epochs = 0;
        m_scratch.Begin(chain.params, slot);
        std::vector<ModelAction> actions;
        const auto add = [&](std::optional<ModelAction> action) {
            if (!action) return;
            m_scratch.Apply(chain.params, *action);
            ++seen.kinds[action->kind];
            actions.push_back(std::move(*action));
        };
        if (m_drain) {
            while (auto action = SpendAStake()) add(std::move(action));
            return actions;
        }
        for (uint64_t left = m_random.Below(4); left > 0; --left) add(Any());
        return actions;
    }
    std::optional<ModelAction> Any() {
        switch (m_random.Below(14)) {
            case 0:
                return Register();
            case 1:
                return Update();
            case 2:
                return m_random.Below(3) == 0 ? Exit() : std::nullopt;
            case 3:
                return Release();
            case 4:
                return m_random.Below(4) == 0 ? Convict() : std::nullopt;
            default:
                return Move();
        }
    }

    template <class Wanted>
    std::optional<OutPoint> PickCoin(const Wanted& wanted) {
        std::vector<OutPoint> fitting;
        for (const auto& [outpoint, coin] : m_scratch.coins) {
            if (coin.bond || (coin.coinbase && m_scratch.height < coin.height + chain.params.k)) continue;
            if (wanted(outpoint, coin)) fitting.push_back(outpoint);
        }
        if (fitting.empty()) return std::nullopt;
        return fitting[m_random.Below(fitting.size())];
    }
    template <class Wanted>
    std::optional<StakerId> PickStaker(const Wanted& wanted) {
        std::vector<StakerId> fitting;
        for (const auto& [id, staker] : m_scratch.stakers)
            if (wanted(staker)) fitting.push_back(id);
        if (fitting.empty()) return std::nullopt;
        return fitting[m_random.Below(fitting.size())];
    }
    // Any staker, whatever it has become; an id that may register; one that never will.
    StakerId AnyId() {
        if (m_random.Below(12) == 0) return Id(static_cast<uint8_t>(200 + m_random.Below(3)));
        if (m_random.Below(6) == 0) {
            if (const auto coin = RegistrationCoin()) return MakeStakerId(*coin, 0);
        }
        return *PickStaker([](const ModelStaker&) { return true; });
    }
    // The lowest plain coin that pays for a bond: registrations come from it, so that its id can be delegated to
    // before.
    std::optional<OutPoint> RegistrationCoin() const {
        for (const auto& [outpoint, coin] : m_scratch.coins)
            if (!coin.bond && !coin.coinbase && !coin.stake && coin.value > chain.params.bond.drops + kSluDrops)
                return outpoint;
        return std::nullopt;
    }
    uint64_t Worth(const OutPoint& outpoint) {
        const ModelCoin& coin = m_scratch.coins.at(outpoint);
        const uint64_t payout = m_scratch.Payout(coin, m_scratch.epoch - 1);
        seen.paid += payout;
        if (coin.stake && coin.epoch == m_scratch.epoch) ++seen.flash;
        return coin.value + payout;
    }
    uint64_t PartOf(uint64_t value) {
        switch (m_random.Below(6)) {
            case 0:
                return 0;
            case 1:
                return std::min<uint64_t>(value, 1);
            case 2:
                return std::min<uint64_t>(value, 1 + m_random.Below(1'000));
            case 3:
                return value;
            default:
                return m_random.Below(value + 1);
        }
    }
    Script PayoutScript() {
        if (m_random.Below(3) == 0) return StakeScript(OutputKey(4), AnyId());
        return KeyScript(5);
    }

    std::optional<ModelAction> Move() {
        const bool newest = m_random.Below(4) == 0;  // often stake that this very block made
        MutableTransaction tx;
        uint64_t left = 0;
        for (uint64_t i = 0; i <= m_random.Below(2); ++i) {
            const auto coin = PickCoin([&](const OutPoint& outpoint, const ModelCoin& each) {
                if (!tx.inputs.empty() && tx.inputs[0].prevout == outpoint) return false;
                return !newest || (each.stake && each.epoch == m_scratch.epoch);
            });
            if (!coin) continue;
            tx.inputs.push_back({*coin, {}, 0xffffffff, {}});
            left += Worth(*coin);
        }
        if (tx.inputs.empty()) return std::nullopt;
        left -= std::min(left, m_random.Below(1'000));
        const uint64_t many = m_scratch.coins.size() > 90 ? 0 : m_random.Below(3);
        for (uint64_t i = 0; i < many; ++i) {
            const uint64_t part = PartOf(left);
            left -= part;
            tx.outputs.push_back({Amount(part), m_random.Below(4) ? StakeScript(OutputKey(1), AnyId()) : KeyScript(1)});
        }
        tx.outputs.push_back({Amount(left), m_random.Below(2) ? StakeScript(OutputKey(1), AnyId()) : KeyScript(1)});
        return ModelAction{Kind::kMove, MakeTransaction(std::move(tx)), {}, 0, {}};
    }
    std::optional<ModelAction> SpendAStake() {
        const auto coin = PickCoin([](const OutPoint&, const ModelCoin& each) { return each.stake.has_value(); });
        if (!coin) return std::nullopt;
        MutableTransaction tx;
        tx.inputs.push_back({*coin, {}, 0xffffffff, {}});
        tx.outputs.push_back({Amount(Worth(*coin)), KeyScript(2)});  // to the drop
        return ModelAction{Kind::kMove, MakeTransaction(std::move(tx)), {}, 0, {}};
    }
    // record, bond, change out of `coins`
    TransactionRef RecordAndBond(const std::vector<OutPoint>& coins, const Record& record) {
        MutableTransaction tx;
        uint64_t left = 0;
        for (const OutPoint& coin : coins) {
            tx.inputs.push_back({coin, {}, 0xffffffff, {}});
            left += Worth(coin);
        }
        const Bytes bytes = EncodeRecord(record);
        left -= RecordFee(chain.params, bytes.size()).drops + chain.params.bond.drops;
        tx.outputs = {
            {Amount(0), RecordScript(bytes)}, {chain.params.bond, KeyScript(3)}, {Amount(left), KeyScript(1)}};
        return MakeTransaction(std::move(tx));
    }
    RegisterRecord Keys(std::optional<StakerId> updates) {
        RegisterRecord record;
        record.updates = updates;
        record.vrf_key = PooledVrfKey(m_scratch.keys_used++);
        record.signing_key = PooledSigningKey(m_random.Below(50));
        record.commission_permille = static_cast<uint16_t>(m_random.Below(101));
        record.payout_script = PayoutScript();
        return record;
    }
    std::optional<ModelAction> Register() {
        const auto coin = RegistrationCoin();
        if (!coin || m_scratch.stakers.size() > 16 || m_scratch.keys_used > 200) return std::nullopt;
        const StakerId id = MakeStakerId(*coin, 0);
        if (m_scratch.Stake(id) != 0) ++seen.waiting_adopted;
        const RegisterRecord record = Keys(std::nullopt);
        return ModelAction{Kind::kRegister, RecordAndBond({*coin}, record), id, record.commission_permille,
                           record.payout_script};
    }
    std::optional<ModelAction> Update() {
        const auto id = PickStaker([](const ModelStaker& each) { return each.status == Status::kActive; });
        const auto coin = RegistrationCoin();
        if (!id || !coin || m_scratch.keys_used > 200) return std::nullopt;
        const RegisterRecord record = Keys(id);
        return ModelAction{Kind::kUpdate, RecordAndBond({m_scratch.stakers.at(*id).bond, *coin}, record), *id,
                           record.commission_permille, record.payout_script};
    }
    // Somebody has to go on.
    std::optional<StakerId> PickDispensable() {
        const auto active = std::count_if(m_scratch.stakers.begin(), m_scratch.stakers.end(),
                                          [](const auto& each) { return each.second.status == Status::kActive; });
        if (active < 3) return std::nullopt;
        return PickStaker([](const ModelStaker& each) { return each.status == Status::kActive; });
    }
    std::optional<ModelAction> Exit() {
        const auto id = PickDispensable();
        const auto coin = RegistrationCoin();
        if (!id || !coin) return std::nullopt;
        return ModelAction{
            Kind::kExit, RecordAndBond({m_scratch.stakers.at(*id).bond, *coin}, ExitRecord{*id}), *id, 0, {}};
    }
    std::optional<ModelAction> Release() {
        const auto id = PickStaker([&](const ModelStaker& each) {
            return each.status == Status::kExiting && m_scratch.slot >= each.exit_slot + chain.params.unbonding_slots;
        });
        if (!id) return std::nullopt;
        MutableTransaction tx;
        tx.inputs.push_back({m_scratch.stakers.at(*id).bond, {}, 0xffffffff, {}});
        tx.outputs.push_back({Amount(m_scratch.coins.at(tx.inputs[0].prevout).value), KeyScript(1)});
        return ModelAction{Kind::kRelease, MakeTransaction(std::move(tx)), *id, 0, {}};
    }
    // An active staker, or one that is leaving.
    std::optional<ModelAction> Convict() {
        auto id = m_random.Below(2) == 0
                      ? PickStaker([](const ModelStaker& each) { return each.status == Status::kExiting; })
                      : PickDispensable();
        if (!id) return std::nullopt;
        BlockHeader one, two;
        one.slot = two.slot = Slot(m_scratch.slot - std::min<uint64_t>(m_scratch.slot, m_random.Below(100)));
        one.staker = two.staker = *id;
        two.height = Height(1);
        const auto tx = MakeEvidenceTransaction(StakerChain::Ordered(one, two), m_scratch.stakers.at(*id).bond);
        return ModelAction{Kind::kConvict, MakeTransaction(tx), *id, 0, {}};
    }

    // ---- what comes of it

    void Connect(const std::vector<ModelAction>& actions) {
        const auto epoch = m_scratch.epoch;
        const ModelSnapshot& elects = Elects(epoch);
        std::vector<StakerId> able;
        for (const auto& [id, entry] : elects.entries)
            if (elects.Total(epoch) == 0 || elects.Weight(id, epoch) != 0) able.push_back(id);
        ASSERT_FALSE(able.empty());
        const StakerId producer = able[m_random.Below(able.size())];

        m_before.push_back({m_now, Digest()});
        if (m_before.size() > 70) m_before.pop_front();
        std::vector<TransactionRef> txs;
        for (const ModelAction& action : actions) txs.push_back(action.tx);
        chain.Prepare(Slot(m_scratch.slot), producer);
        const TransactionRef coinbase = chain.MakeBlock(txs).transactions[0];
        chain.ConnectAt(Slot(m_scratch.slot), producer, txs);
        m_now = std::move(m_scratch);
        m_now.Finish(chain.params, elects, producer, coinbase);
        m_snapshots.push_back(m_now.Snapshot());
        ++seen.blocks;
        Compare();
        if (::testing::Test::HasFailure())
            ADD_FAILURE() << m_flavour.name << ", height " << m_now.height << ", epoch " << m_now.epoch;
    }
    void Reorganise() {
        const uint64_t depth = std::min<uint64_t>(1 + m_random.Below(60), m_before.size());
        const int64_t epoch = m_now.epoch;
        for (uint64_t i = 0; i < depth; ++i) {
            chain.Disconnect();
            ASSERT_EQ(Digest(), m_before.back().digest) << "undone to height " << m_before.back().state.height;
            m_now = std::move(m_before.back().state);
            m_before.pop_back();
            m_snapshots.pop_back();
        }
        ++seen.reorgs;
        if (m_now.epoch != epoch) ++seen.epochs_undone;
        Compare();
    }
    Hash256 Digest() const {
        Writer writer;
        for (const auto& [key, value] : chain.state.entries) {
            writer.VarBytes(key, 1'000);
            writer.VarBytes(value, 1 << 20);
        }
        return crypto::Sha256Of(writer.bytes());
    }

    void Compare() const {
        const LedgerTotals totals = chain.Totals();
        EXPECT_EQ(totals.genesis.drops, m_now.genesis);
        EXPECT_EQ(totals.minted.drops, m_now.minted);
        EXPECT_EQ(totals.burned.drops, m_now.burned);
        EXPECT_EQ(totals.unspent.drops, m_now.Unspent());
        EXPECT_EQ(totals.pots.drops, m_now.Pots());
        EXPECT_EQ(totals.coins, m_now.coins.size());
        EXPECT_EQ(m_now.genesis + m_now.minted, m_now.Unspent() + m_now.Pots() + m_now.burned);
        CompareSnapshot();
        CompareStake();
        ComparePayouts();
    }
    void CompareSnapshot() const {
        const StakeSnapshot& snapshot = chain.newest_snapshot();
        const ModelSnapshot& model = m_snapshots.back();
        ASSERT_EQ(snapshot.entries.size(), model.entries.size());
        for (const SnapshotEntry& entry : snapshot.entries) {
            ASSERT_TRUE(model.entries.contains(entry.staker));
            const ModelWeight& expected = model.entries.at(entry.staker);
            EXPECT_EQ(entry.stake.drops, expected.stake);
            EXPECT_EQ(entry.recent_stake.drops, expected.recent);
            EXPECT_EQ(entry.commission_permille, expected.commission);
            EXPECT_EQ(entry.payout_script, expected.payout);
            for (const int64_t for_epoch : {m_now.epoch + 2, m_now.epoch + 3}) {
                const uint64_t total = model.Total(for_epoch);
                EXPECT_EQ(snapshot.Weight(entry, Epoch(static_cast<uint64_t>(for_epoch))).drops,
                          total == 0 ? 1 : model.Weight(entry.staker, for_epoch));
                EXPECT_EQ(snapshot.TotalWeight(Epoch(static_cast<uint64_t>(for_epoch))).drops,
                          total == 0 ? model.entries.size() : total);
            }
        }
    }
    void CompareStake() const {
        std::set<StakerId> ids;
        for (const auto& [id, staker] : m_now.stakers) ids.insert(id);
        for (const auto& [outpoint, coin] : m_now.coins)
            if (coin.stake) ids.insert(*coin.stake);
        for (const StakerId& id : ids) {
            const auto staker = chain.state.Get<StakerState>(id);
            const auto waiting = chain.state.Get<WaitingStake>(id);
            EXPECT_EQ(staker.has_value(), m_now.stakers.contains(id));
            EXPECT_FALSE(staker && waiting);
            EXPECT_TRUE(!waiting || waiting->stake.total.drops != 0);
            const StakeCount count = staker ? staker->stake : waiting ? waiting->stake : StakeCount{};
            EXPECT_EQ(count.total.drops, m_now.Stake(id));
            const auto epoch = static_cast<uint64_t>(m_now.epoch);
            EXPECT_EQ(count.MadeIn(Epoch(epoch)).drops, m_now.StakeIn(id, m_now.epoch));
            for (uint64_t back = 0; back <= std::min<uint64_t>(epoch, 2); ++back)
                EXPECT_EQ(count.MadeBefore(Epoch(epoch - back)).drops,
                          m_now.StakeBefore(id, static_cast<int64_t>(epoch - back)));
        }
    }
    // Each coin's claim on its pot, all blocks up to this one counted: what it would be paid after this epoch.
    void ComparePayouts() const {
        std::map<StakerId, uint64_t> owed;
        std::map<std::pair<StakerId, int64_t>, ModelStaker::Earned> earned;
        for (const auto& [outpoint, model] : m_now.coins) {
            const auto coin = chain.state.Get<Coin>(outpoint);
            ASSERT_TRUE(coin.has_value());
            EXPECT_EQ(coin->output.value.drops, model.value);
            if (!model.stake) continue;
            const uint64_t payout =
                AccruedReward(chain.params, chain.state, *coin, Epoch(static_cast<uint64_t>(m_now.epoch + 1))).drops;
            auto found = earned.find({*model.stake, model.epoch});
            if (found == earned.end())
                found = earned.emplace(std::pair(*model.stake, model.epoch), m_now.Earned(model, m_now.epoch)).first;
            const auto& [last, exact, rounded, blocks] = found->second;
            EXPECT_EQ(payout, static_cast<uint64_t>(Integer((Integer(model.value) * rounded) >> 64)));
            // payout <= value * exact < payout + 1 + blocks / 2^13: each block's rounding is less than 2^51 / 2^64.
            const Integer top = model.value * numerator(exact), bottom = denominator(exact);
            EXPECT_LE(payout * bottom, top);
            EXPECT_LT((top - payout * bottom) * 8'192, bottom * (8'192 + blocks));
            owed[*model.stake] += payout;
        }
        for (const auto& [id, sum] : owed) {
            if (!m_now.stakers.contains(id)) {
                EXPECT_EQ(sum, 0u);
                continue;
            }
            EXPECT_LE(sum, m_now.stakers.at(id).pot);
        }
        for (const auto& [id, staker] : m_now.stakers) EXPECT_EQ(chain.Staker(id).pot.drops, staker.pot);
    }

    struct Before {
        ModelState state;
        Hash256 digest;
    };
    const Flavour& m_flavour;
    SeededRandom m_random;
    ModelState m_now, m_scratch;
    std::deque<Before> m_before;  // the newest blocks'
    std::vector<ModelSnapshot> m_snapshots;
    uint64_t m_jump_epochs{0};
    bool m_drain{false};
};

class LedgerModel : public ::testing::TestWithParam<Flavour> {};

TEST_P(LedgerModel, AgreesWithTheLedgerAtEveryBlockOfARandomHistory) {
    History history(GetParam());
    history.Run();
    ASSERT_FALSE(HasFailure());
    history.DrainStake();
    const History::Seen& seen = history.seen;
    for (const Kind kind : {Kind::kMove, Kind::kRegister, Kind::kUpdate, Kind::kExit, Kind::kRelease, Kind::kConvict})
        EXPECT_TRUE(seen.kinds.contains(kind)) << static_cast<int>(kind);
    EXPECT_GT(seen.flash, 5u);
    EXPECT_GT(seen.outages, 0u);
    EXPECT_GT(seen.reorgs, 2u);
    EXPECT_GT(seen.epochs_undone, 0u);
    EXPECT_GT(seen.paid, 0u);
    EXPECT_GE(seen.blocks, GetParam().blocks);
}

std::string FlavourName(const ::testing::TestParamInfo<Flavour>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Random, LedgerModel, ::testing::ValuesIn(kFlavours), FlavourName);

}  // namespace
}  // namespace sluice::consensus
