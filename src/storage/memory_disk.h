#pragma once

#include <memory>

#include "storage/file_system.h"
#include "storage/key_value.h"

namespace sluice::storage {

// A disk in memory that behaves like the worst real one: what was not synced may be lost when it crashes, wholly or in
// part, as `seed` decides; every write can be made to fail. Files and key-value stores made by it share its faults.
// What is durable when: the bytes of a file and its name after its Sync, folders and renames on return, a removal once
// something else in the folder is synced. A key-value store loses a suffix of its unsynced batches. Of the unsynced
// writes of a file all, none, the first ones (the last of them torn at any byte) or any sectors of 512 bytes are kept.
// The write that fails first when the power goes may be found done after the crash.
//
// Paths: "a//b/./c" is "/a/b/c"; the root folder exists, others have to be made. Not thread-safe.
class MemoryDisk {
  public:
    explicit MemoryDisk(uint64_t seed);
    ~MemoryDisk();

    // A view of the disk as a file system. Objects opened through it become useless (every call fails) after Crash().
    FileSystem& files();
    // After `writes` more writes (of any kind) every write fails with kEnvironment, as if power had gone (until Crash,
    // or until this is called again, which makes it a passing fault).
    void FailAfterWrites(uint64_t writes);
    // Fails writes as a full disk would (ENOSPC) once this many bytes are stored (1 TiB if never called). A write of a
    // file keeps what fits.
    void SetCapacity(uint64_t bytes);
    // Power loss: unsynced data is lost or kept in part; then the disk works again (open everything anew).
    void Crash();
    uint64_t writes() const;

    struct State;

  private:
    std::unique_ptr<State> m_state;
};

}  // namespace sluice::storage
