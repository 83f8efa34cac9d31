#include <fmt/format.h>

#include <algorithm>

#include "content/chunk_store.h"
#include "util/check.h"
#include "util/log.h"

// The quota of the store: what is counted, what makes room, what stays.

namespace sluice::content {

bool ChunkStore::TryReserve(uint64_t bytes) {
    const std::lock_guard lock(m_mutex);
    if (m_used_bytes > m_quota_bytes || bytes > m_quota_bytes - m_used_bytes) return false;
    m_used_bytes += bytes;
    return true;
}

Status ChunkStore::Reserve(uint64_t bytes) {
    if (bytes == 0 || TryReserve(bytes)) return {};
    std::vector<ContentId> evicted;
    bool reserved = false;
    {
        const std::lock_guard names_lock(m_names_mutex);
        // Rationale: others may take what was made room for, in between; each turn evicts something or ends.
        while (!(reserved = TryReserve(bytes)) && MakeRoom(bytes, evicted)) {
        }
    }
    TellEvicted(evicted);
    if (!reserved) return Fail(FullError());
    return {};
}

std::vector<std::shared_ptr<StoredContent>> ChunkStore::Evictable() const {
    std::vector<std::shared_ptr<StoredContent>> contents;
    for (const auto& [id, stored] : m_contents) {
        // Copies are made under m_mutex alone, so nobody can come to hold what nobody but the table holds.
        if (stored.use_count() == 1 && !stored->IsPinned()) contents.push_back(stored);
    }
    std::sort(contents.begin(), contents.end(), [](const auto& a, const auto& b) {
        return std::pair(a->m_last_used_ms.load(), a->id()) < std::pair(b->m_last_used_ms.load(), b->id());
    });
    return contents;
}

bool ChunkStore::MakeRoom(uint64_t bytes, std::vector<ContentId>& evicted) {
    std::vector<std::shared_ptr<StoredContent>> victims;
    {
        const std::lock_guard lock(m_mutex);
        uint64_t needed = 0;
        if (m_used_bytes > m_quota_bytes)
            needed = m_used_bytes - m_quota_bytes + bytes;
        else if (bytes > m_quota_bytes - m_used_bytes)
            needed = bytes - (m_quota_bytes - m_used_bytes);
        if (needed == 0) return true;
        uint64_t freed = 0;
        for (auto& stored : Evictable()) {
            if (freed >= needed) break;
            freed += stored->FootprintBytes();
            victims.push_back(std::move(stored));
        }
        if (freed < needed) return false;
        for (const auto& stored : victims) m_contents.erase(stored->id());
    }
    bool any = false;
    for (const auto& stored : victims) {
        if (const Status removed = RemoveContent(stored); !removed) {
            LogWarning("store", "{} could not be evicted: {}", stored->id().root.Hex(), removed.error().message);
            const std::lock_guard lock(m_mutex);
            m_contents.emplace(stored->id(), stored);
            continue;
        }
        any = true;
        LogInfo("store", "{} was evicted: the room is needed", stored->id().root.Hex());
        evicted.push_back(stored->id());
    }
    return any;
}

void ChunkStore::TellEvicted(const std::vector<ContentId>& evicted) const {
    if (!m_on_evicted) return;
    for (const ContentId& content : evicted) m_on_evicted(content);
}

Error ChunkStore::FullError() const {
    const uint64_t pinned = PinnedBytes();
    const std::lock_guard lock(m_mutex);
    return {
        ErrorKind::kUnavailable,
        fmt::format("the content store is full: {} of its quota of {} bytes are used, {} of them by pinned content; "
                    "unpin or remove content, or raise the quota",
                    m_used_bytes, m_quota_bytes, pinned)};
}

void ChunkStore::Charge(uint64_t bytes) {
    const std::lock_guard lock(m_mutex);
    m_used_bytes += bytes;
}

void ChunkStore::Release(uint64_t bytes) {
    const std::lock_guard lock(m_mutex);
    CHECK(bytes <= m_used_bytes);
    m_used_bytes -= bytes;
}

uint64_t ChunkStore::used_bytes() const {
    const std::lock_guard lock(m_mutex);
    return m_used_bytes;
}

uint64_t ChunkStore::PinnedBytes() const {
    const std::lock_guard lock(m_mutex);
    uint64_t bytes = 0;
    for (const auto& [id, stored] : m_contents)
        if (stored->IsPinned()) bytes += stored->FootprintBytes();
    return bytes;
}

uint64_t ChunkStore::quota_bytes() const {
    const std::lock_guard lock(m_mutex);
    return m_quota_bytes;
}

void ChunkStore::SetQuota(uint64_t quota_bytes) {
    std::vector<ContentId> evicted;
    {
        const std::lock_guard names_lock(m_names_mutex);
        {
            const std::lock_guard lock(m_mutex);
            m_quota_bytes = quota_bytes;
        }
        // As far as it goes: what may go makes the store smaller, even if it stays over the quota.
        std::vector<std::shared_ptr<StoredContent>> victims;
        {
            const std::lock_guard lock(m_mutex);
            uint64_t left = m_used_bytes;
            for (auto& stored : Evictable()) {
                if (left <= m_quota_bytes) break;
                left -= std::min(left, stored->FootprintBytes());
                m_contents.erase(stored->id());
                victims.push_back(std::move(stored));
            }
        }
        for (const auto& stored : victims) {
            if (RemoveContent(stored)) {
                evicted.push_back(stored->id());
                continue;
            }
            const std::lock_guard lock(m_mutex);
            m_contents.emplace(stored->id(), stored);
        }
    }
    TellEvicted(evicted);
}

Status ChunkStore::Pin(const ContentId& content, bool pinned) {
    const auto stored = Find(content);
    if (!stored) return Fail(ErrorKind::kNotFound, fmt::format("content {} is not in the store", content.root.Hex()));
    return stored->SetPinned(pinned);
}

void ChunkStore::SaveUses() {
    for (const ContentId& content : List()) {
        const auto stored = Find(content);
        if (!stored) continue;
        const Status saved = stored->SaveUse();
        if (!saved && saved.error().kind != ErrorKind::kNotFound) LogWarning("store", "{}", saved.error().message);
    }
}

}  // namespace sluice::content
