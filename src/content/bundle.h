#pragma once

#include "crypto/secp256k1.h"
#include "primitives/record.h"

// A bundle: a claim whose content is the secret title keys of other claims, in the order in which its publish record
// promises them (PublishRecord::bundle). Sealed, sold and fetched like any other content, and so found again from
// phrase and chain.
//
//   content = "sluice bundle 1\n" || k (32 bytes) for each title

namespace sluice::content {

inline constexpr std::string_view kBundleMime = "application/x-sluice-bundle";
inline constexpr size_t kMaxBundleBytes = 16 + kMaxBundledTitles * 32;

struct BundledKey {
    BundledTitle title;
    std::optional<crypto::SecretKey> key;  // none: what stands there is not the key that the record promises
};

Bytes EncodeBundle(const std::vector<crypto::SecretKey>& keys);
// The keys that the content holds, each compared with its K. Content of another form holds none of them.
std::vector<BundledKey> OpenBundle(const std::vector<BundledTitle>& titles, ByteSpan content);

}  // namespace sluice::content
