#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "primitives/block.h"
#include "storage/append_log.h"

namespace sluice::node {

// What came of a slot that a staker won: exactly one for each.
enum class SlotOutcome : uint8_t {
    kProduced = 0,      // our block is (or was, when last seen) in the active chain
    kLate = 1,          // the node woke up after the slot was over
    kClock = 2,         // the clock jumped over the slot, or stands before a slot that was signed already
    kLostBattle = 3,    // another block took its place
    kDisk = 4,          // what has to be on disk before a header is signed could not be written
    kNotConnected = 5,  // the chain was behind, or nobody was there to hear of the block
    kDown = 6,          // the node was not running
    kHalted = 7,        // staking had stopped because the same keys are in use elsewhere, or might be
};
std::string_view SlotOutcomeName(SlotOutcome outcome);

struct WonSlot {
    Slot slot;
    SlotOutcome outcome{SlotOutcome::kProduced};
    std::optional<BlockHash> block;  // that we made for it
    std::string detail;              // for people

    static void Serialize(auto& self, auto& archive) {
        archive(self.slot, self.outcome);
        archive.Optional(self.block);
        archive.VarBytes(self.detail, kMaxDetailBytes);
    }
    static constexpr size_t kMaxDetailBytes = 200;
};

// The slots that a staker won, on disk: at most kMaxSlots in memory, twice as many in the file. The last entry for a
// slot counts. Also keeps up to which slot all are accounted for, and why staking is halted.
class SlotLog {
  public:
    static constexpr size_t kMaxSlots = 10'000;

    static Result<std::unique_ptr<SlotLog>> Open(storage::FileSystem& files, const std::string& path);

    Status Put(WonSlot won);
    const WonSlot* Find(Slot slot) const;
    // Oldest first.
    std::vector<WonSlot> Newest(size_t count) const;
    // Every slot up to this one, from first() on, is either in the log or was not won. Nullopt before the first start.
    std::optional<Slot> accounted() const { return m_accounted; }
    std::optional<Slot> first() const { return m_first; }
    // Written now and then only: after a crash some slots are looked at again, which does no harm.
    Status SetAccounted(Slot slot);
    const std::string& halted() const { return m_halted; }  // empty: not
    // A halt holds in memory even if it could not be written.
    Status SetHalted(const std::string& why);

  private:
    struct Entry;
    SlotLog() = default;
    Status Write(const Entry& entry, bool sync);
    void Apply(const Entry& entry);
    Status Rewrite();

    storage::FileSystem* m_files{nullptr};
    std::string m_path;
    std::unique_ptr<storage::AppendLog> m_log;
    size_t m_records{0};
    std::map<Slot, WonSlot> m_slots;
    std::optional<Slot> m_first;
    std::optional<Slot> m_accounted;
    Slot m_accounted_on_disk;
    std::string m_halted;
};

}  // namespace sluice::node
