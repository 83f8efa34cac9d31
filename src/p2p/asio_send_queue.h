#pragma once

#include <deque>
#include <vector>

#include <boost/system/error_code.hpp>

#include "util/bytes.h"

namespace sluice::p2p {

// Buffers that were sent and wait to be written over: a new one is cleared by the system first, and is in no cache.
class SpareBuffers {
  public:
    // An empty one if there is none.
    Bytes Take();
    // Keeps it if it is of a size that is worth it, and there are not too many.
    void Give(Bytes buffer);

  private:
    std::vector<Bytes> m_buffers;
};

// What was written to a socket and has not been taken by the system yet.
class SendQueue {
  public:
    bool empty() const { return m_unsent.empty(); }
    size_t bytes() const { return m_bytes; }
    void Push(Bytes bytes);
    // Gives the system as many bytes as it takes at once, with one call; how many it took, or an error (would_block:
    // none).
    size_t Send(int socket, SpareBuffers& spare, boost::system::error_code& error);

  private:
    std::deque<Bytes> m_unsent;
    size_t m_sent_of_first{0};
    size_t m_bytes{0};
};

}  // namespace sluice::p2p
