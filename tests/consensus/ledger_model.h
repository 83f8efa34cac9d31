#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <deque>
#include <optional>

#include "staker_fixture.h"

// What the ledger says, counted again the slow way: no accumulator, no incremental weight, no delta. Every figure is
// recounted from the set of unspent coins, rewards as exact fractions. Shares with the ledger the words of the rules
// (protocol.md, section 2) and none of its code.

namespace sluice::consensus::testing {

using Integer = boost::multiprecision::cpp_int;
using Rational = boost::multiprecision::cpp_rational;

struct ModelCoin {
    uint64_t value{0};
    std::optional<StakerId> stake;
    int64_t epoch{-1};  // of its block; -1 for genesis
    uint32_t height{0};
    bool coinbase{false};
    bool bond{false};
};

struct ModelStaker {
    enum class Status { kActive, kExiting, kRetired, kSlashed } status{Status::kActive};
    OutPoint bond;
    uint16_t commission{0};
    Script payout;
    uint64_t exit_slot{0};
    uint64_t pot{0};
    // By the end of an epoch in which the staker made blocks: what one drop has earned, exactly and in rounded 2^-64
    // drops, and by how many blocks.
    struct Earned {
        int64_t epoch;
        Rational exact;
        Integer rounded;
        uint32_t blocks;
    };
    std::vector<Earned> earned;

    Earned By(int64_t epoch) const {
        Earned last{-1, 0, 0, 0};
        for (const Earned& each : earned)
            if (each.epoch <= epoch) last = each;
        return last;
    }
};

// A transaction, and what its author meant by it.
struct ModelAction {
    enum class Kind { kMove, kRegister, kUpdate, kExit, kRelease, kConvict } kind{Kind::kMove};
    TransactionRef tx;
    StakerId staker;
    uint16_t commission{0};
    Script payout;
};

struct ModelWeight {
    uint64_t stake{0}, recent{0};
    uint16_t commission{0};
    Script payout;
};
struct ModelSnapshot {
    int64_t epoch{0};
    std::map<StakerId, ModelWeight> entries;

    uint64_t Weight(const StakerId& id, int64_t for_epoch) const {
        const ModelWeight& entry = entries.at(id);
        return epoch == for_epoch - 2 ? entry.stake - entry.recent : entry.stake;
    }
    uint64_t Total(int64_t for_epoch) const {
        uint64_t total = 0;
        for (const auto& [id, entry] : entries) total += Weight(id, for_epoch);
        return total;
    }
};

struct ModelState {
    std::map<OutPoint, ModelCoin> coins;
    std::map<StakerId, ModelStaker> stakers;
    uint64_t genesis{0}, minted{0}, burned{0};
    int64_t epoch{0};
    uint64_t slot{0};
    uint32_t height{0};
    uint64_t reserve_at_start{0};
    size_t keys_used{0};  // of the actor's key pools

    uint64_t Unspent() const {
        uint64_t sum = 0;
        for (const auto& [outpoint, coin] : coins) sum += coin.value;
        return sum;
    }
    uint64_t Pots() const {
        uint64_t sum = 0;
        for (const auto& [id, staker] : stakers) sum += staker.pot;
        return sum;
    }
    uint64_t Reserve() const { return kMaxSupply.drops - genesis - minted; }
    // What a coin would be paid for epochs up to `last`.
    uint64_t Payout(const ModelCoin& coin, int64_t last) const {
        const auto earned = Earned(coin, last);
        return static_cast<uint64_t>(Integer((Integer(coin.value) * earned.rounded) >> 64));
    }
    ModelStaker::Earned Earned(const ModelCoin& coin, int64_t last) const {
        if (!coin.stake || !stakers.contains(*coin.stake)) return {last, 0, 0, 0};
        const ModelStaker& staker = stakers.at(*coin.stake);
        const auto until = staker.By(last), from = staker.By(coin.epoch < 0 ? -1 : coin.epoch + 2);
        if (until.blocks <= from.blocks) return {last, 0, 0, 0};
        return {last, until.exact - from.exact, until.rounded - from.rounded, until.blocks - from.blocks};
    }
    // Of the coins made before an epoch, genesis' too.
    uint64_t StakeBefore(const StakerId& id, int64_t before) const {
        uint64_t sum = 0;
        for (const auto& [outpoint, coin] : coins)
            if (coin.stake == id && coin.epoch < before) sum += coin.value;
        return sum;
    }
    uint64_t StakeIn(const StakerId& id, int64_t in) const {
        return StakeBefore(id, in + 1) - StakeBefore(id, std::max<int64_t>(in, 0));
    }
    uint64_t Stake(const StakerId& id) const { return StakeBefore(id, INT64_MAX); }
    ModelSnapshot Snapshot() const {
        ModelSnapshot snapshot{epoch, {}};
        for (const auto& [id, staker] : stakers) {
            if (staker.status != ModelStaker::Status::kActive) continue;
            snapshot.entries[id] = {Stake(id), StakeIn(id, epoch), staker.commission, staker.payout};
        }
        return snapshot;
    }

    // `epoch`, `slot` and `height` are those of the block already.
    void Apply(const Params& params, const ModelAction& action) {
        uint64_t in = 0, out = 0, record_bytes = 0;
        for (const TxInput& input : action.tx->inputs()) {
            const ModelCoin& coin = coins.at(input.prevout);
            in += coin.value;
            if (const uint64_t payout = Payout(coin, epoch - 1); payout != 0) {
                CHECK(stakers.at(*coin.stake).pot >= payout);
                stakers.at(*coin.stake).pot -= payout;
                in += payout;
            }
            coins.erase(input.prevout);
        }
        const bool binds = action.kind == ModelAction::Kind::kRegister || action.kind == ModelAction::Kind::kUpdate ||
                           action.kind == ModelAction::Kind::kExit;
        for (uint32_t i = 0; i < action.tx->outputs().size(); ++i) {
            const TxOutput& output = action.tx->outputs()[i];
            out += output.value.drops;
            Make(action.tx->Output(i), output, false, binds && i == 1);
            if (const auto parsed = ParseOutputScript(output.script); parsed->kind == OutputKind::kRecord)
                record_bytes += parsed->record.size();
        }
        uint64_t burn = record_bytes * params.record_fee_per_byte.drops;
        if (action.kind == ModelAction::Kind::kConvict) burn = in - in / 20;
        burned += burn;
        fees += in - out - burn;
        Note(action);
    }
    // After the transactions.
    void Finish(const Params& params, const ModelSnapshot& elects, const StakerId& producer,
                const TransactionRef& coinbase) {
        const uint64_t subsidy = Subsidy(params);
        const ModelWeight& entry = elects.entries.at(producer);
        const uint64_t commission = subsidy * entry.commission / 1000;
        minted += commission;
        Make(coinbase->Output(0), {Amount(commission + fees), entry.payout}, true, false);
        fees = 0;
        Share(elects, producer, subsidy - commission);
    }
    // Takes the epoch's reserve anew: before any transaction.
    void Begin(const Params& params, uint64_t at) {
        slot = at;
        ++height;
        const auto next = static_cast<int64_t>(at / params.epoch_slots);
        if (next != epoch) reserve_at_start = Reserve();
        epoch = next;
    }
    uint64_t Subsidy(const Params& params) const {
        const auto share = static_cast<uint64_t>(
            Integer(Integer(reserve_at_start) * params.subsidy_numerator / params.subsidy_denominator));
        return std::min(share / params.ExpectedEpochBlocks(), Reserve());
    }

    uint64_t fees{0};

  private:
    void Make(const OutPoint& at, const TxOutput& output, bool coinbase, bool bond) {
        const auto parsed = ParseOutputScript(output.script);
        if (parsed->kind == OutputKind::kRecord) return;
        const bool stake = parsed->kind == OutputKind::kStake;
        coins[at] = {
            output.value.drops, stake ? std::optional(parsed->staker) : std::nullopt, epoch, height, coinbase, bond};
    }
    void Note(const ModelAction& action) {
        ModelStaker& staker = stakers[action.staker];
        switch (action.kind) {
            case ModelAction::Kind::kMove:
                stakers.erase(StakerId());  // moves name nobody
                return;
            case ModelAction::Kind::kRegister:
            case ModelAction::Kind::kUpdate:
                staker.commission = action.commission;
                staker.payout = action.payout;
                staker.bond = action.tx->Output(1);
                return;
            case ModelAction::Kind::kExit:
                staker.status = ModelStaker::Status::kExiting;
                staker.exit_slot = slot;
                staker.bond = action.tx->Output(1);
                return;
            case ModelAction::Kind::kRelease:
                staker.status = ModelStaker::Status::kRetired;
                return;
            case ModelAction::Kind::kConvict:
                staker.status = ModelStaker::Status::kSlashed;
                return;
        }
    }
    void Share(const ModelSnapshot& elects, const StakerId& producer, uint64_t shared) {
        if (shared == 0 || elects.Total(epoch) == 0) return;
        const uint64_t earning = StakeBefore(producer, std::max<int64_t>(epoch - 2, 0));
        if (earning == 0) return;
        const uint64_t weight = elects.Weight(producer, epoch);
        ModelStaker& staker = stakers.at(producer);
        const Integer delta = (Integer(shared) << 64) / weight;
        const Integer scaled = earning * delta;
        const auto mint = static_cast<uint64_t>(Integer((scaled + ((Integer(1) << 64) - 1)) >> 64));
        CHECK(mint <= shared);
        minted += mint;
        staker.pot += mint;
        ModelStaker::Earned next = staker.By(epoch);
        next.exact += Rational(shared, weight);
        next.rounded += delta;
        ++next.blocks;
        if (!staker.earned.empty() && staker.earned.back().epoch == epoch) staker.earned.pop_back();
        next.epoch = epoch;
        staker.earned.push_back(next);
    }
};

}  // namespace sluice::consensus::testing
