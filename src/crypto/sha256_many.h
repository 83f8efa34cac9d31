#pragma once

#include <span>

#include "crypto/hash.h"

// The ways in which Sha256Many hashes messages of one length side by side (FIPS 180-4). All give the same hashes.

namespace sluice::crypto {

enum class Sha256Way {
    kOneByOne,  // libcrypto
    kShaPairs,  // two streams of the CPU's SHA instructions, whose latency one stream cannot fill
    kAvx512,    // sixteen lanes of 512-bit registers
};

// Whether this CPU has the instructions.
bool HasSha256Way(Sha256Way way);
// Sha256Many in one way: groups that it does not apply to are hashed one by one. Precondition: HasSha256Way(way).
void Sha256Many(Sha256Way way, std::span<const ByteSpan> messages, std::span<Hash256> out);

}  // namespace sluice::crypto
