#pragma once

#include <secp256k1.h>

namespace sluice::crypto {

// The process's only libsecp256k1 context, blinded with system randomness when first used and constant afterwards, so
// that any thread may use it. For secp256k1.cpp and adaptor.cpp alone.
const secp256k1_context* Secp256k1Context();

}  // namespace sluice::crypto
