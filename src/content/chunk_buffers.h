#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "content/merkle.h"
#include "util/bytes.h"

namespace sluice::content {

// Buffers for whole chunks, used again and again: one from the system is cleared first and is in no cache. Thread-safe.
class ChunkBuffers {
  public:
    // How many are kept for later at most; each is 256 KiB.
    explicit ChunkBuffers(size_t most_spare) : m_spare(std::make_shared<Spare>(most_spare)) {}

    // `size` bytes, anything in them. The buffer comes back when its last owner lets it go, on whatever thread, even
    // after this object is gone.
    std::shared_ptr<Bytes> Take(size_t size) const {
        if (size != kChunkBytes) return std::make_shared<Bytes>(size);
        std::unique_ptr<Bytes> buffer = m_spare->Pop();
        if (!buffer) buffer = std::make_unique<Bytes>(size);
        return {buffer.release(), [spare = m_spare](Bytes* used) { spare->Push(std::unique_ptr<Bytes>(used)); }};
    }

    // Adds a new one to those that are kept, to be taken after all of them. For a thread that may wait for the system
    // to give it memory, on behalf of one that may not.
    void MakeSpare() const { m_spare->PushLast(std::make_unique<Bytes>(kChunkBytes)); }

    // How many are kept for later.
    size_t spare() const { return m_spare->Count(); }
    // Gives those back to the system.
    void Trim() const { m_spare->Clear(); }

  private:
    struct Spare {
        explicit Spare(size_t the_most) : most(the_most) {}
        std::unique_ptr<Bytes> Pop() {
            const std::lock_guard lock(mutex);
            if (buffers.empty()) return nullptr;
            std::unique_ptr<Bytes> buffer = std::move(buffers.back());
            buffers.pop_back();
            return buffer;
        }
        void Push(std::unique_ptr<Bytes> buffer) {
            const std::lock_guard lock(mutex);
            if (buffers.size() < most && buffer->size() == kChunkBytes) buffers.push_back(std::move(buffer));
        }
        void PushLast(std::unique_ptr<Bytes> buffer) {
            const std::lock_guard lock(mutex);
            if (buffers.size() < most) buffers.insert(buffers.begin(), std::move(buffer));
        }
        size_t Count() {
            const std::lock_guard lock(mutex);
            return buffers.size();
        }
        void Clear() {
            const std::lock_guard lock(mutex);
            buffers.clear();
        }

        const size_t most;
        std::mutex mutex;
        std::vector<std::unique_ptr<Bytes>> buffers;
    };

    std::shared_ptr<Spare> m_spare;
};

}  // namespace sluice::content
