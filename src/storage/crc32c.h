#pragma once

#include <cstdint>

#include "util/bytes.h"

namespace sluice::storage {

// CRC-32C (Castagnoli; RFC 3720 appendix B.4) of `bytes`, or of everything so far when `so_far` is the CRC of what came
// before. Finds accidents, not forgeries. Uses the processor's instruction where there is one.
uint32_t Crc32c(ByteSpan bytes, uint32_t so_far = 0);

// The same from tables alone, on any processor.
uint32_t Crc32cPortable(ByteSpan bytes, uint32_t so_far = 0);

}  // namespace sluice::storage
