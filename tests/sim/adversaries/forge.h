#pragma once

#include "chain/header_tree.h"
#include "util/random.h"

namespace sluice::sim {

// A header that names `parent`, `slot` and `staker`, with roots and proof of random bytes, signed by `signing`: fits in
// form.
BlockHeader ForgeHeader(const BlockHash& genesis, const consensus::HeaderState& parent, Slot slot,
                        const StakerId& staker, const crypto::SecretKey& signing, RandomSource& random);

// Another header for the same slot by the same staker: its roots are of no block. Signed, so that it counts.
BlockHeader Equivocate(const BlockHash& genesis, const BlockHeader& header, const consensus::OperatorKeys& keys,
                       RandomSource& random);

crypto::SecretKey RandomKey(RandomSource& random);

}  // namespace sluice::sim
