#pragma once

#include "crypto/aead.h"
#include "primitives/ids.h"

namespace sluice::p2p {

// A node's name: its X25519 static key.
using NodeId = crypto::X25519PublicKey;

// Which chain a connection is about; both ends must agree on both.
struct NetworkId {
    std::array<uint8_t, 4> magic{};
    BlockHash genesis;

    friend bool operator==(const NetworkId&, const NetworkId&) = default;
};

}  // namespace sluice::p2p
