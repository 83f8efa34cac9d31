#pragma once

#include <optional>

#include "util/bytes.h"

// Script numbers: little-endian, the top bit of the last byte is the sign, zero is the empty string.

namespace sluice::consensus {

inline constexpr size_t kScriptNumberBytes = 4;  // operands of arithmetic
inline constexpr size_t kLockNumberBytes = 5;    // operands of CHECKLOCKTIMEVERIFY and CHECKSEQUENCEVERIFY

// nullopt for more than `limit_bytes` (at most 8). Longer than minimal encodings are allowed: that is policy, not
// consensus.
std::optional<int64_t> DecodeScriptNumber(ByteSpan bytes, size_t limit_bytes = kScriptNumberBytes);
// The minimal encoding; |n| < 2^63.
Bytes EncodeScriptNumber(int64_t n);
// False for the empty string and for zeros with or without a sign bit.
bool ScriptTruth(ByteSpan bytes);

}  // namespace sluice::consensus
