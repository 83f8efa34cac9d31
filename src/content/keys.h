#pragma once

#include <map>
#include <optional>

#include "content/merkle.h"
#include "crypto/aead.h"
#include "crypto/secp256k1.h"
#include "primitives/record.h"
#include "util/wipe.h"

// The keys of content, all of them from the creator's master key and what the chain publishes.
//
//   master key ── genesis hash, title salt ──┬─ title key k ──┬─ segment key k_i ── sealing salt ── chunk key (AEAD)
//                                            │  (K = kG)      │                                └── manifest slot key
//                                            (AEAD) │                └─ sealing salt ── manifest key (AEAD) ├─ seller
//                                            key (signs grants) └─ unseal key (X25519, opens pre-signatures)
//
// Every arrow is HKDF-SHA256 with a label of its own. Whoever holds k derives every k_i; a k_i gives neither k nor
// another k_j. Content that is not divided has one segment, 0, and its chunks are under k_0, never under k.

namespace sluice::content {

using MasterKey = SecretBytes<32>;  // of the creator; from the seed phrase, hardened

// The title key k; k.Public() is the K of the publish record.
crypto::SecretKey DeriveTitleKey(const MasterKey& master, const BlockHash& genesis, const Salt& title_salt);
crypto::SecretKey DeriveSellerKey(const MasterKey& master, const BlockHash& genesis, const Salt& title_salt);
crypto::X25519SecretKey DeriveUnsealKey(const MasterKey& master, const BlockHash& genesis, const Salt& title_salt);

// k_i; k_i.Public() is the K_i of the record.
crypto::SecretKey DeriveSegmentKey(const crypto::SecretKey& title_key, uint32_t segment);
crypto::AeadKey DeriveChunkKey(const crypto::SecretKey& segment_key, const Salt& sealing_salt);
crypto::AeadKey DeriveManifestKey(const crypto::SecretKey& title_key, const Salt& sealing_salt);
crypto::AeadKey DeriveManifestSlotKey(const crypto::SecretKey& segment_key, const Salt& sealing_salt);

// What of a content someone can open: the title key, or the keys of some segments. Movable, wiped at the end.
class ContentKeys {
  public:
    static ContentKeys FromTitleKey(crypto::SecretKey title_key) {
        ContentKeys keys;
        keys.m_title_key = std::move(title_key);
        return keys;
    }
    static ContentKeys FromSegmentKey(uint32_t segment, crypto::SecretKey segment_key) {
        ContentKeys keys;
        keys.AddSegmentKey(segment, std::move(segment_key));
        return keys;
    }
    void AddSegmentKey(uint32_t segment, crypto::SecretKey segment_key) {
        m_segments.insert_or_assign(segment, std::move(segment_key));
    }
    ContentKeys Clone() const;

    const std::optional<crypto::SecretKey>& title_key() const { return m_title_key; }
    // The key of a segment; nullopt if these keys do not give it.
    std::optional<crypto::SecretKey> SegmentKey(uint32_t segment) const;

  private:
    std::optional<crypto::SecretKey> m_title_key;
    std::map<uint32_t, crypto::SecretKey> m_segments;
};

}  // namespace sluice::content
