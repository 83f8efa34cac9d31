#pragma once

#include <map>
#include <optional>
#include <vector>

#include "content/keys.h"
#include "primitives/transaction.h"
#include "storage/file_system.h"

namespace sluice::node {

// The hot keys of one title: all that selling it takes, and nothing that moves money. Wiped at the end.
struct SellerKey {
    ClaimId claim;
    Salt title_salt;
    crypto::SecretKey title_key;         // k: sold
    crypto::SecretKey seller_key;        // S: signs grants
    crypto::X25519SecretKey unseal_key;  // opens pre-signatures
    std::vector<Script> payouts;         // cold scripts that sales may pay; none other [a new owner's payout]

    SellerKey Clone() const;
    bool Pays(const Script& script) const;
    // The secret of a tier: k, or k_i; nullopt if there is no such tier.
    crypto::SecretKey SecretOf(uint16_t tier) const;
};

// From the creator's master key.
SellerKey DeriveSellerKeys(const content::MasterKey& master, const BlockHash& genesis, const ClaimId& claim,
                           const PublishRecord& record);

// What a selling node keeps: hot keys by title, and the grants that it made and that no block has yet. Every change is
// on disk, synced, when the call returns. A node that sells needs nothing else: no phrase, no wallet.
//
// Keys: 'k' claim, title salt: keys of a title. 'g' txid: grant. Belongs to the chain strand.
class SellerStore {
  public:
    static Result<SellerStore> Open(storage::FileSystem& files, const std::string& folder, const BlockHash& genesis);

    // Adds a title's keys, or a further payout script to them. True if that changed anything.
    Result<bool> Add(SellerKey key);
    // The keys with which a title's purchases name `seller_key`; nullptr if they are not here.
    const SellerKey* Find(const ClaimId& claim, const XOnlyPubKey& seller_key) const;
    std::vector<const SellerKey*> All() const;
    bool empty() const { return m_keys.empty(); }
    std::vector<ClaimId> Claims() const;

    const std::map<Txid, TransactionRef>& grants() const { return m_grants; }
    Status PutGrant(const TransactionRef& grant);
    Status EraseGrant(const Txid& txid);

    // A file (0600) with the keys of one claim, or of all. kNotFound if there are none, kInvalid if the file exists.
    Result<size_t> Export(const std::optional<ClaimId>& claim, const std::string& path) const;
    // Adds what such a file holds; the error says what is wrong with it, and then nothing was added. The titles added
    // or changed.
    Result<size_t> Import(const std::string& path);

  private:
    struct Key {
        ClaimId claim;
        XOnlyPubKey seller_key;
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    SellerStore(storage::FileSystem& files, const BlockHash& genesis) : m_files(&files), m_genesis(genesis) {}
    Status Load();

    storage::FileSystem* m_files;
    BlockHash m_genesis;
    std::unique_ptr<storage::KeyValueStore> m_store;
    std::map<Key, SellerKey> m_keys;
    std::map<Txid, TransactionRef> m_grants;
};

}  // namespace sluice::node
