#include "consensus/state.h"

namespace sluice::consensus {

PublishRecord PublishState::Decoded() const {
    auto decoded = DecodeRecord(record);
    CHECK(decoded.has_value());  // it was decoded before it was stored
    auto* publish = std::get_if<PublishRecord>(&*decoded);
    CHECK(publish != nullptr);
    return std::move(*publish);
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
