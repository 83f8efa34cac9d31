#include "content/keys.h"

#include "crypto/hash.h"
#include "util/serialize.h"

namespace sluice::content {
namespace {

// HKDF with the label and whatever tells this key from its sisters as info.
SecretBytes<32> Derive(ByteSpan key, ByteSpan salt, std::string_view label, ByteSpan which = {}) {
    Bytes info = ToBytes(AsBytes(label));
    info.insert(info.end(), which.begin(), which.end());
    SecretBytes<32> derived;
    crypto::HkdfSha256(key, salt, info, derived.span());
    return derived;
}

// The first of HKDF(..., counter 0), HKDF(..., counter 1), ... that is a scalar in [1, n). One in 2^128 is not.
crypto::SecretKey DeriveScalar(ByteSpan key, ByteSpan salt, std::string_view label, uint32_t index) {
    for (uint32_t counter = 0;; ++counter) {
        Writer which;
        which(index, counter);
        const SecretBytes<32> candidate = Derive(key, salt, label, which.bytes());
        if (auto scalar = crypto::SecretKey::FromBytes(candidate.span())) return std::move(*scalar);
    }
}

Bytes TitleContext(const BlockHash& genesis, const Salt& title_salt) {
    Writer writer;
    writer(genesis, title_salt);
    return writer.Take();
}

}  // namespace

crypto::SecretKey DeriveTitleKey(const MasterKey& master, const BlockHash& genesis, const Salt& title_salt) {
    return DeriveScalar(master.span(), TitleContext(genesis, title_salt), "Sluice/title-key", 0);
}

crypto::SecretKey DeriveSellerKey(const MasterKey& master, const BlockHash& genesis, const Salt& title_salt) {
    return DeriveScalar(master.span(), TitleContext(genesis, title_salt), "Sluice/seller-key", 0);
}

crypto::X25519SecretKey DeriveUnsealKey(const MasterKey& master, const BlockHash& genesis, const Salt& title_salt) {
    return Derive(master.span(), TitleContext(genesis, title_salt), "Sluice/unseal-key");
}

crypto::SecretKey DeriveSegmentKey(const crypto::SecretKey& title_key, uint32_t segment) {
    return DeriveScalar(title_key.bytes(), {}, "Sluice/segment-key", segment);
}

crypto::AeadKey DeriveChunkKey(const crypto::SecretKey& segment_key, const Salt& sealing_salt) {
    return Derive(segment_key.bytes(), sealing_salt.bytes, "Sluice/chunk-key");
}

crypto::AeadKey DeriveManifestKey(const crypto::SecretKey& title_key, const Salt& sealing_salt) {
    return Derive(title_key.bytes(), sealing_salt.bytes, "Sluice/manifest-key");
}

crypto::AeadKey DeriveManifestSlotKey(const crypto::SecretKey& segment_key, const Salt& sealing_salt) {
    return Derive(segment_key.bytes(), sealing_salt.bytes, "Sluice/manifest-slot-key");
}

ContentKeys ContentKeys::Clone() const {
    ContentKeys copy;
    if (m_title_key) copy.m_title_key = m_title_key->Clone();
    for (const auto& [segment, key] : m_segments) copy.m_segments.emplace(segment, key.Clone());
    return copy;
}

std::optional<crypto::SecretKey> ContentKeys::SegmentKey(uint32_t segment) const {
    if (m_title_key) return DeriveSegmentKey(*m_title_key, segment);
    const auto found = m_segments.find(segment);
    if (found == m_segments.end()) return std::nullopt;
    return found->second.Clone();
}

}  // namespace sluice::content
