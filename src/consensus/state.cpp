#include "consensus/state.h"

#include <algorithm>

namespace sluice::consensus {

PublishRecord PublishState::Decoded() const {
    auto decoded = DecodeRecord(record);
    CHECK(decoded.has_value());  // it was decoded before it was stored
    auto* publish = std::get_if<PublishRecord>(&*decoded);
    CHECK(publish != nullptr);
    return std::move(*publish);
}

Amount StakeCount::MadeBefore(Epoch epoch) const {
    uint64_t newer = 0;
    for (const Recent& each : recent)
        if (each.epoch >= epoch) newer += each.amount.drops;
    return Amount(total.drops - std::min(total.drops, newer));
}

Amount StakeCount::MadeIn(Epoch epoch) const {
    for (const Recent& each : recent)
        if (each.epoch == epoch) return each.amount;
    return {};
}

void StakeCount::Add(Amount amount, Epoch epoch) {
    total.drops += amount.drops;
    if (epoch != kGenesisStakeEpoch) AddRecent({epoch, amount});
}

// Stops at 0: a reader that failed says "absent", and its owner throws away what comes of it.
void StakeCount::Remove(Amount amount, Epoch epoch) {
    total.drops -= std::min(total, amount).drops;
    for (Recent& each : recent)
        if (each.epoch == epoch) each.amount.drops -= std::min(each.amount, amount).drops;
}

void StakeCount::Merge(const StakeCount& other) {
    total.drops += other.total.drops;
    for (const Recent& each : other.recent)
        if (each.amount.drops != 0) AddRecent(each);
}

void StakeCount::AddRecent(Recent added) {
    for (Recent& each : recent) {
        if (each.epoch == added.epoch) {
            each.amount.drops += added.amount.drops;
            return;
        }
        if (each.epoch < added.epoch) std::swap(each, added);
    }
}

std::optional<Bytes> StateCache::Read(ByteSpan key) const {
    const auto found = m_changes.find(sluice::ToBytes(key));
    return found != m_changes.end() ? found->second : m_base.Read(key);
}

StateDelta StateCache::Delta() const {
    StateDelta delta;
    for (const auto& [key, after] : m_changes) {
        auto before = m_base.Read(key);
        if (before != after) delta.changes.push_back({key, std::move(before), after});
    }
    return delta;
}

void StateCache::Absorb(const StateCache& layer) {
    for (const auto& [key, value] : layer.m_changes) m_changes[key] = value;
}

void StateCache::ApplyDelta(const StateDelta& delta) {
    for (const StateChange& change : delta.changes) m_changes[change.key] = change.after;
}

void StateCache::UndoDelta(const StateDelta& delta) {
    for (const StateChange& change : delta.changes) m_changes[change.key] = change.before;
}

}  // namespace sluice::consensus
