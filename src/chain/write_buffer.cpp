#include "chain/write_buffer.h"

#include <algorithm>

namespace sluice::chain {
namespace {

constexpr size_t kChangeOverheadBytes = 100;

bool StartsWith(const Bytes& key, ByteSpan prefix) {
    return key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
}
bool Less(ByteSpan a, ByteSpan b) { return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end()); }

// Visits the pairs of the store below with the changes put in, in the order that `before` says.
template <class Iterator, class Before, class BaseScan>
Status Merge(Iterator change, Iterator end, const Before& before, const BaseScan& scan_base,
             const std::function<bool(ByteSpan key, ByteSpan value)>& visit) {
    bool go_on = true;
    const auto visit_change = [&] {
        if (change->second) go_on = visit(change->first, *change->second);
        ++change;
    };
    RETURN_IF_ERROR(scan_base([&](ByteSpan key, ByteSpan value) {
        while (go_on && change != end && before(change->first, key)) visit_change();
        if (!go_on) return false;
        if (change != end && std::equal(key.begin(), key.end(), change->first.begin(), change->first.end())) {
            visit_change();
        } else {
            go_on = visit(key, value);
        }
        return go_on;
    }));
    while (go_on && change != end) visit_change();
    return {};
}

}  // namespace

Status WriteBuffer::Flush(bool sync) {
    if (m_failure) return Fail(*m_failure);
    if (m_changes.empty()) return {};
    const auto flush = [&]() -> Status {
        if (m_before_flush) RETURN_IF_ERROR(m_before_flush());
        storage::WriteBatch batch;
        for (auto& [key, value] : m_changes) {
            if (value) {
                batch.Put(key, std::move(*value));
            } else {
                batch.Delete(key);
            }
        }
        return m_base->Write(batch, sync);
    };
    const Status flushed = flush();
    if (!flushed) {
        m_failure = flushed.error();
        return flushed;
    }
    m_changes.clear();
    m_bytes = 0;
    return {};
}

Status WriteBuffer::Write(const storage::WriteBatch& batch, bool sync) {
    if (m_failure) return Fail(*m_failure);
    for (const auto& change : batch.changes()) {
        m_bytes += change.key.size() + (change.value ? change.value->size() : 0) + kChangeOverheadBytes;
        m_changes[change.key] = change.value;
    }
    return sync || m_bytes > m_limit_bytes ? Flush(sync) : Status();
}

Result<std::optional<Bytes>> WriteBuffer::Get(ByteSpan key) const {
    if (m_failure) return Fail(*m_failure);
    if (const auto found = m_changes.find(ToBytes(key)); found != m_changes.end()) return found->second;
    return m_base->Get(key);
}

WriteBuffer::Changes WriteBuffer::InRange(ByteSpan prefix, ByteSpan from) const {
    Changes range;
    for (auto it = m_changes.lower_bound(ToBytes(Less(prefix, from) ? from : prefix));
         it != m_changes.end() && StartsWith(it->first, prefix); ++it)
        range.insert(*it);
    return range;
}

Status WriteBuffer::Scan(ByteSpan prefix, ByteSpan from,
                         const std::function<bool(ByteSpan key, ByteSpan value)>& visit) const {
    if (m_failure) return Fail(*m_failure);
    const Changes range = InRange(prefix, from);
    return Merge(
        range.begin(), range.end(), Less, [&](const auto& each) { return m_base->Scan(prefix, from, each); }, visit);
}

Status WriteBuffer::ScanBackwards(ByteSpan prefix,
                                  const std::function<bool(ByteSpan key, ByteSpan value)>& visit) const {
    if (m_failure) return Fail(*m_failure);
    const Changes range = InRange(prefix, {});
    const auto greater = [](ByteSpan a, ByteSpan b) { return Less(b, a); };
    return Merge(
        range.rbegin(), range.rend(), greater, [&](const auto& each) { return m_base->ScanBackwards(prefix, each); },
        visit);
}

}  // namespace sluice::chain
