#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "util/bytes.h"
#include "util/check.h"

namespace sluice::p2p {

// What a message carries: bytes of its own, and after them, if any, a part of bytes that others share, such as one leaf
// of a chunk that is read once and sent to many. Shared bytes are encrypted from where they lie, never copied.
class Payload {
  public:
    Payload() = default;
    // NOLINTNEXTLINE(google-explicit-constructor): most payloads are just bytes
    Payload(Bytes own) : m_own(std::move(own)) {}
    // Precondition: the part lies inside `*shared`.
    Payload(Bytes own, std::shared_ptr<const Bytes> shared, size_t offset, size_t size)
        : m_own(std::move(own)), m_shared(std::move(shared)), m_offset(offset), m_shared_bytes(size) {
        CHECK(m_shared && offset <= m_shared->size() && size <= m_shared->size() - offset);
    }

    size_t size() const { return m_own.size() + m_shared_bytes; }
    // `size` bytes from `offset` on, as the part of them that is own and the part that is shared. Precondition: inside.
    std::pair<ByteSpan, ByteSpan> Parts(size_t offset, size_t size) const {
        CHECK(offset <= this->size() && size <= this->size() - offset);
        const size_t own_from = std::min(offset, m_own.size());
        const size_t own_bytes = std::min(size, m_own.size() - own_from);
        ByteSpan shared;
        if (size > own_bytes)
            shared = ByteSpan(*m_shared).subspan(m_offset + (offset + own_bytes - m_own.size()), size - own_bytes);
        return {ByteSpan(m_own).subspan(own_from, own_bytes), shared};
    }

  private:
    Bytes m_own;
    std::shared_ptr<const Bytes> m_shared;
    size_t m_offset{0};
    size_t m_shared_bytes{0};
};

}  // namespace sluice::p2p
