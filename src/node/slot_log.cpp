#include "node/slot_log.h"

namespace sluice::node {
namespace {

// How far the accounted slot may run ahead of the disk.
constexpr int64_t kAccountedStride = 500;

}  // namespace

// One record of the file.
struct SlotLog::Entry {
    enum class Kind : uint8_t { kWon = 0, kFirst = 1, kAccounted = 2, kHalted = 3 };
    Kind kind{Kind::kWon};
    WonSlot won;       // kWon; only its slot for kFirst and kAccounted
    std::string text;  // kHalted

    static void Serialize(auto& self, auto& archive) {
        archive(self.kind, self.won);
        archive.VarBytes(self.text, WonSlot::kMaxDetailBytes);
    }
};

std::string_view SlotOutcomeName(SlotOutcome outcome) {
    switch (outcome) {
        case SlotOutcome::kProduced:
            return "produced";
        case SlotOutcome::kLate:
            return "late";
        case SlotOutcome::kClock:
            return "clock";
        case SlotOutcome::kLostBattle:
            return "lost battle";
        case SlotOutcome::kDisk:
            return "disk";
        case SlotOutcome::kNotConnected:
            return "not connected";
        case SlotOutcome::kDown:
            return "down";
        case SlotOutcome::kHalted:
            return "halted";
    }
    return "unknown";
}

Result<std::unique_ptr<SlotLog>> SlotLog::Open(storage::FileSystem& files, const std::string& path) {
    std::unique_ptr<SlotLog> log(new SlotLog);
    log->m_files = &files;
    log->m_path = path;
    ASSIGN_OR_RETURN(log->m_log, storage::AppendLog::Open(files, path, [&](ByteSpan bytes) -> Status {
                         const auto entry = Decode<Entry>(bytes);
                         if (!entry)
                             return Fail(ErrorKind::kEnvironment,
                                         path + " is damaged (" + entry.error().message +
                                             "): move it away; staking then waits a while before it signs");
                         log->Apply(*entry);
                         ++log->m_records;
                         return {};
                     }));
    if (log->m_accounted) log->m_accounted_on_disk = *log->m_accounted;
    if (log->m_records > 2 * kMaxSlots) RETURN_IF_ERROR(log->Rewrite());
    return log;
}

void SlotLog::Apply(const Entry& entry) {
    switch (entry.kind) {
        case Entry::Kind::kWon:
            m_slots[entry.won.slot] = entry.won;
            if (m_slots.size() > kMaxSlots) m_slots.erase(m_slots.begin());
            break;
        case Entry::Kind::kFirst:
            m_first = entry.won.slot;
            break;
        case Entry::Kind::kAccounted:
            m_accounted = entry.won.slot;
            break;
        case Entry::Kind::kHalted:
            m_halted = entry.text;
            break;
    }
}

Status SlotLog::Write(const Entry& entry, bool sync) {
    RETURN_IF_ERROR(m_log->Append(Encode(entry), sync));
    Apply(entry);
    if (++m_records > 2 * kMaxSlots) return Rewrite();
    return {};
}

// The file anew, with what counts alone.
Status SlotLog::Rewrite() {
    const std::string fresh = m_path + ".new";
    if (m_files->Exists(fresh)) RETURN_IF_ERROR(m_files->Remove(fresh));
    ASSIGN_OR_RETURN(auto log, storage::AppendLog::Open(*m_files, fresh, [](ByteSpan) -> Status { return {}; }));
    m_records = 0;
    const auto write = [&](const Entry& entry) {
        ++m_records;
        return log->Append(Encode(entry), false);
    };
    for (const auto& [slot, won] : m_slots) RETURN_IF_ERROR(write({Entry::Kind::kWon, won, {}}));
    if (m_first) RETURN_IF_ERROR(write({Entry::Kind::kFirst, {.slot = *m_first}, {}}));
    if (m_accounted) RETURN_IF_ERROR(write({Entry::Kind::kAccounted, {.slot = *m_accounted}, {}}));
    RETURN_IF_ERROR(log->Append(Encode(Entry{Entry::Kind::kHalted, {}, m_halted}), true));
    RETURN_IF_ERROR(m_files->Rename(fresh, m_path));
    m_log = std::move(log);
    return {};
}

Status SlotLog::Put(WonSlot won) {
    if (won.detail.size() > WonSlot::kMaxDetailBytes) won.detail.resize(WonSlot::kMaxDetailBytes);
    return Write({Entry::Kind::kWon, std::move(won), {}}, true);
}

const WonSlot* SlotLog::Find(Slot slot) const {
    const auto found = m_slots.find(slot);
    return found == m_slots.end() ? nullptr : &found->second;
}

std::vector<WonSlot> SlotLog::Newest(size_t count) const {
    std::vector<WonSlot> newest;
    for (auto it = m_slots.rbegin(); it != m_slots.rend() && newest.size() < count; ++it) newest.push_back(it->second);
    return {newest.rbegin(), newest.rend()};
}

Status SlotLog::SetAccounted(Slot slot) {
    if (!m_first) {
        RETURN_IF_ERROR(Write({Entry::Kind::kFirst, {.slot = slot}, {}}, true));
        m_accounted_on_disk = slot;
        return Write({Entry::Kind::kAccounted, {.slot = slot}, {}}, true);
    }
    m_accounted = slot;
    if (slot - m_accounted_on_disk < kAccountedStride) return {};
    m_accounted_on_disk = slot;
    return Write({Entry::Kind::kAccounted, {.slot = slot}, {}}, false);
}

Status SlotLog::SetHalted(const std::string& why) {
    // A full disk must not keep staking from halting.
    if (!why.empty()) m_halted = why.substr(0, WonSlot::kMaxDetailBytes);
    return Write({Entry::Kind::kHalted, {}, why.substr(0, WonSlot::kMaxDetailBytes)}, true);
}

}  // namespace sluice::node
