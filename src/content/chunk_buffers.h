#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

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
        if (!buffer) buffer = m_spare->Make();
        return {buffer.release(),
                [spare = m_spare](Bytes* used) { spare->Keep(std::unique_ptr<Bytes>(used), Spare::Turn::kFirst); }};
    }

    // Adds a new one to those that are kept, to be taken after all of them. For a thread that may wait for the system
    // to give it memory, on behalf of one that may not.
    void MakeSpare() const { m_spare->Keep(m_spare->Make(), Spare::Turn::kLast); }

    // How many are kept for later.
    size_t spare() const { return m_spare->Count(); }
    // How many there are: those that are kept and those that somebody holds.
    size_t made() const { return m_spare->made; }
    // Gives those that are kept back to the system, which may take as long as making them.
    void Trim() const { m_spare->Clear(); }

  private:
    struct Spare {
        enum class Turn { kFirst, kLast };  // to be taken

        explicit Spare(size_t the_most) : most(the_most) {}
        std::unique_ptr<Bytes> Make() {
            ++made;
            return std::make_unique<Bytes>(kChunkBytes);
        }
        std::unique_ptr<Bytes> Pop() {
            const std::lock_guard lock(mutex);
            if (buffers.empty()) return nullptr;
            std::unique_ptr<Bytes> buffer = std::move(buffers.back());
            buffers.pop_back();
            return buffer;
        }
        void Keep(std::unique_ptr<Bytes> buffer, Turn turn) {
            const std::lock_guard lock(mutex);
            if (buffers.size() < most && buffer->size() == kChunkBytes) {
                buffers.insert(turn == Turn::kFirst ? buffers.end() : buffers.begin(), std::move(buffer));
            } else {
                --made;
            }
        }
        size_t Count() {
            const std::lock_guard lock(mutex);
            return buffers.size();
        }
        void Clear() {
            std::deque<std::unique_ptr<Bytes>> unused;  // freed without the lock
            const std::lock_guard lock(mutex);
            made -= buffers.size();
            unused.swap(buffers);
        }

        const size_t most;
        std::atomic<size_t> made{0};
        std::mutex mutex;
        std::deque<std::unique_ptr<Bytes>> buffers;  // the last one is taken first
    };

    std::shared_ptr<Spare> m_spare;
};

}  // namespace sluice::content
