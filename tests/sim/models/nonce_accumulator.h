#pragma once

#include "consensus/header_rules.h"

namespace sluice::sim::models {

// The state after a block in `slot` on `parent`, whose VRF output feeds the nonce with `nonce_value`: what
// consensus::CheckHeader returns, without a header to check. A test holds it against CheckHeader on real headers.
consensus::HeaderState ChildState(const consensus::Params& params, const consensus::HeaderState& parent, Slot slot,
                                  const Hash256& nonce_value);

}  // namespace sluice::sim::models
