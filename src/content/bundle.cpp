#include "content/bundle.h"

namespace sluice::content {
namespace {
constexpr std::string_view kHead = "sluice bundle 1\n";
}  // namespace

Bytes EncodeBundle(const std::vector<crypto::SecretKey>& keys) {
    CHECK(!keys.empty() && keys.size() <= kMaxBundledTitles);
    Bytes content = ToBytes(AsBytes(kHead));
    content.reserve(kMaxBundleBytes);
    for (const crypto::SecretKey& key : keys) content.insert(content.end(), key.bytes().begin(), key.bytes().end());
    return content;
}

std::vector<BundledKey> OpenBundle(const std::vector<BundledTitle>& titles, ByteSpan content) {
    const bool whole =
        content.size() == kHead.size() + 32 * titles.size() && std::equal(kHead.begin(), kHead.end(), content.begin());
    std::vector<BundledKey> keys;
    for (size_t i = 0; i < titles.size(); ++i) {
        BundledKey opened{titles[i], std::nullopt};
        if (whole) opened.key = crypto::SecretKey::FromBytes(content.subspan(kHead.size() + 32 * i, 32));
        if (opened.key && opened.key->Public() != titles[i].key) opened.key.reset();
        keys.push_back(std::move(opened));
    }
    return keys;
}

}  // namespace sluice::content
