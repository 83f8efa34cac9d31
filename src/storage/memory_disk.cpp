#include "storage/memory_disk.h"

#include "storage/memory_tree.h"

namespace sluice::storage {

struct MemoryDisk::State {
    explicit State(uint64_t seed)
        : faults(std::make_shared<MemoryFaults>(seed)), tree(std::make_shared<MemoryTree>(faults)) {}

    std::shared_ptr<MemoryFaults> faults;
    std::shared_ptr<MemoryTree> tree;
};

MemoryDisk::MemoryDisk(uint64_t seed) : m_state(std::make_unique<State>(seed)) {}
MemoryDisk::~MemoryDisk() = default;

FileSystem& MemoryDisk::files() { return *m_state->tree; }
void MemoryDisk::FailAfterWrites(uint64_t writes) { m_state->faults->FailAfterWrites(writes); }
void MemoryDisk::SetCapacity(uint64_t bytes) { m_state->faults->SetCapacity(bytes); }
void MemoryDisk::Crash() { m_state->tree->Crash(); }
uint64_t MemoryDisk::writes() const { return m_state->faults->writes(); }

}  // namespace sluice::storage
