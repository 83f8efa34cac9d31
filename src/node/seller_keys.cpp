#include "node/seller_keys.h"

#include <algorithm>

#include "crypto/hash.h"

namespace sluice::node {
namespace {

constexpr size_t kCacheBytes = 1 << 20;
constexpr std::string_view kFileMagic = "sluice seller keys 1\n";
constexpr size_t kMaxPayouts = 16;
constexpr size_t kMaxTitles = 100'000;
constexpr size_t kMaxEntryBytes = 512 + kMaxPayouts * (kMaxPayoutScriptBytes + 1);
constexpr size_t kMaxFileBytes = 64 << 20;
constexpr uint8_t kKeyTable = 'k';
constexpr uint8_t kGrantTable = 'g';

// Bytes that hold secrets for a moment.
struct SecretBuffer {
    Bytes bytes;
    explicit SecretBuffer(Bytes from) : bytes(std::move(from)) {}
    SecretBuffer(const SecretBuffer&) = delete;
    ~SecretBuffer() { WipeMemory(bytes.data(), bytes.size()); }
};

Bytes EncodeKey(const SellerKey& key) {
    Writer writer;
    writer(key.claim, key.title_salt);
    writer.Raw(key.title_key.bytes());
    writer.Raw(key.seller_key.bytes());
    writer.Raw(key.unseal_key.span());
    writer.CompactSize(key.payouts.size());
    for (const Script& script : key.payouts) writer.VarBytes(script, kMaxPayoutScriptBytes);
    return writer.Take();
}

Result<SellerKey> DecodeKey(ByteSpan bytes) {
    Reader reader(bytes);
    ClaimId claim;
    Salt salt;
    SecretBytes<32> title, seller, unseal;
    reader(claim, salt);
    reader.Raw(title.span());
    reader.Raw(seller.span());
    reader.Raw(unseal.span());
    const uint64_t count = reader.CompactSize();
    if (count > kMaxPayouts) return Fail("a title has more than " + std::to_string(kMaxPayouts) + " payout scripts");
    std::vector<Script> payouts;
    for (uint64_t i = 0; i < count && reader.Ok(); ++i) reader.VarBytes(payouts.emplace_back(), kMaxPayoutScriptBytes);
    if (!reader.Ok() || reader.Left() != 0) return Fail("a title's keys do not decode");
    auto k = crypto::SecretKey::FromBytes(title.span());
    auto s = crypto::SecretKey::FromBytes(seller.span());
    if (!k || !s) return Fail("a title's keys are out of range");
    return SellerKey{claim, salt, std::move(*k), std::move(*s), std::move(unseal), std::move(payouts)};
}

Bytes TableKey(uint8_t table, ByteSpan first, ByteSpan second = {}) {
    Bytes key{table};
    key.insert(key.end(), first.begin(), first.end());
    key.insert(key.end(), second.begin(), second.end());
    return key;
}

}  // namespace

SellerKey SellerKey::Clone() const {
    return {claim, title_salt, title_key.Clone(), seller_key.Clone(), unseal_key.Clone(), payouts};
}

bool SellerKey::Pays(const Script& script) const {
    return std::find(payouts.begin(), payouts.end(), script) != payouts.end();
}

crypto::SecretKey SellerKey::SecretOf(uint16_t tier) const {
    return tier == 0 ? title_key.Clone() : content::DeriveSegmentKey(title_key, tier - 1u);
}

SellerKey DeriveSellerKeys(const content::MasterKey& master, const BlockHash& genesis, const ClaimId& claim,
                           const PublishRecord& record) {
    const Salt& salt = record.title_salt;
    return {claim,
            salt,
            content::DeriveTitleKey(master, genesis, salt),
            content::DeriveSellerKey(master, genesis, salt),
            content::DeriveUnsealKey(master, genesis, salt),
            {record.payout_script}};
}

Result<SellerStore> SellerStore::Open(storage::FileSystem& files, const std::string& folder, const BlockHash& genesis) {
    SellerStore store(files, genesis);
    RETURN_IF_ERROR(files.CreateDirectories(folder));
    ASSIGN_OR_RETURN(store.m_store, files.OpenKeyValue(folder + "/store", kCacheBytes));
    RETURN_IF_ERROR(store.Load());
    return store;
}

Status SellerStore::Load() {
    Status problem;
    const uint8_t key_table[] = {kKeyTable}, grant_table[] = {kGrantTable};
    RETURN_IF_ERROR(m_store->Scan(key_table, {}, [&](ByteSpan, ByteSpan value) {
        auto key = DecodeKey(value);
        if (!key) {
            problem = Fail(ErrorKind::kEnvironment, "the store of seller keys is damaged: " + key.error().message +
                                                        "; import the keys into a new one");
            return false;
        }
        const Key index{key->claim, key->seller_key.XOnly()};
        m_keys.insert_or_assign(index, std::move(*key));
        return true;
    }));
    RETURN_IF_ERROR(problem);
    return m_store->Scan(grant_table, {}, [&](ByteSpan, ByteSpan value) {
        auto tx = MutableTransaction::FromBytes(value);
        if (tx) {
            const TransactionRef grant = MakeTransaction(std::move(*tx));
            m_grants.emplace(grant->txid(), grant);
        }
        return true;
    });
}

Result<bool> SellerStore::Add(SellerKey key) {
    const Key index{key.claim, key.seller_key.XOnly()};
    if (const auto known = m_keys.find(index); known != m_keys.end()) {
        std::vector<Script> payouts = known->second.payouts;
        for (const Script& script : key.payouts)
            if (!known->second.Pays(script)) payouts.push_back(script);
        if (payouts.size() == known->second.payouts.size()) return false;
        // The newest are kept: whoever changes the payout often does not want the oldest any more.
        if (payouts.size() > kMaxPayouts) payouts.erase(payouts.begin(), payouts.end() - kMaxPayouts);
        key.payouts = std::move(payouts);
    }
    SecretBuffer value(EncodeKey(key));
    storage::WriteBatch batch;
    batch.Put(TableKey(kKeyTable, key.claim.bytes, key.title_salt.bytes), value.bytes);
    const Status written = m_store->Write(batch, true);
    for (const auto& change : batch.changes())
        WipeMemory(const_cast<uint8_t*>(change.value->data()), change.value->size());
    RETURN_IF_ERROR(written);
    m_keys.insert_or_assign(index, std::move(key));
    return true;
}

const SellerKey* SellerStore::Find(const ClaimId& claim, const XOnlyPubKey& seller_key) const {
    const auto found = m_keys.find({claim, seller_key});
    return found == m_keys.end() ? nullptr : &found->second;
}

std::vector<const SellerKey*> SellerStore::All() const {
    std::vector<const SellerKey*> all;
    for (const auto& [index, key] : m_keys) all.push_back(&key);
    return all;
}

std::vector<ClaimId> SellerStore::Claims() const {
    std::vector<ClaimId> claims;
    for (const auto& [index, key] : m_keys)
        if (claims.empty() || claims.back() != index.claim) claims.push_back(index.claim);
    return claims;
}

Status SellerStore::PutGrant(const TransactionRef& grant) {
    storage::WriteBatch batch;
    batch.Put(TableKey(kGrantTable, grant->txid().bytes), grant->tx().ToBytes());
    RETURN_IF_ERROR(m_store->Write(batch, true));
    m_grants.insert_or_assign(grant->txid(), grant);
    return {};
}

Status SellerStore::EraseGrant(const Txid& txid) {
    const Txid erased = txid;  // it may be the key of what goes
    if (m_grants.erase(erased) == 0) return {};
    storage::WriteBatch batch;
    batch.Delete(TableKey(kGrantTable, erased.bytes));
    return m_store->Write(batch, false);
}

Result<size_t> SellerStore::Export(const std::optional<ClaimId>& claim, const std::string& path) const {
    if (path.empty() || path[0] != '/') return Fail("file must be an absolute path, not '" + path.substr(0, 200) + "'");
    if (m_files->Exists(path)) return Fail(path + " exists already: choose another file, or move it away");
    std::vector<const SellerKey*> chosen;
    for (const auto& [index, key] : m_keys)
        if (!claim || index.claim == *claim) chosen.push_back(&key);
    if (chosen.empty())
        return Fail(ErrorKind::kNotFound, claim ? "this node has no seller keys of claim " + claim->Hex().substr(0, 12)
                                                : "this node has no seller keys: publish something first");
    Writer writer;
    writer.Raw(AsBytes(kFileMagic));
    writer(m_genesis);
    writer.CompactSize(chosen.size());
    for (const SellerKey* key : chosen) {
        const SecretBuffer encoded(EncodeKey(*key));
        writer.VarBytes(encoded.bytes, kMaxEntryBytes);
    }
    SecretBuffer file(writer.Take());
    const Hash256 sum = crypto::Sha256Of(file.bytes);
    SecretBuffer whole(file.bytes);
    whole.bytes.insert(whole.bytes.end(), sum.bytes.begin(), sum.bytes.end());
    RETURN_IF_ERROR(storage::WriteFileAtomically(*m_files, path, whole.bytes));
    return chosen.size();
}

Result<size_t> SellerStore::Import(const std::string& path) {
    if (path.empty() || path[0] != '/') return Fail("file must be an absolute path, not '" + path.substr(0, 200) + "'");
    ASSIGN_OR_RETURN(Bytes read, storage::ReadWholeFile(*m_files, path, kMaxFileBytes));
    const SecretBuffer file(std::move(read));
    const auto damaged = [&](const std::string& why) { return Fail(path + " is no file of seller keys: " + why); };
    if (file.bytes.size() < kFileMagic.size() + 32 + 32 ||
        !std::equal(kFileMagic.begin(), kFileMagic.end(), file.bytes.begin()))
        return damaged("make one with 'exportsellerkeys'");
    const ByteSpan body = ByteSpan(file.bytes).first(file.bytes.size() - 32);
    if (!std::equal(file.bytes.end() - 32, file.bytes.end(), crypto::Sha256Of(body).bytes.begin()))
        return damaged("its checksum is false; copy it again");
    Reader reader(body.subspan(kFileMagic.size()));
    BlockHash genesis;
    reader(genesis);
    if (genesis != m_genesis) return damaged("it belongs to another network");
    const uint64_t count = reader.CompactSize();
    if (count == 0 || count > kMaxTitles)
        return damaged("it has no titles, or more than " + std::to_string(kMaxTitles));
    std::vector<SellerKey> keys;
    for (uint64_t i = 0; i < count; ++i) {
        const ByteSpan entry = reader.VarSpan(kMaxEntryBytes);
        if (!reader.Ok()) return damaged("it is cut short");
        auto key = DecodeKey(entry);
        if (!key) return damaged(key.error().message);
        keys.push_back(std::move(*key));
    }
    if (reader.Left() != 0) return damaged("it is longer than its titles");
    size_t changed = 0;
    for (SellerKey& key : keys) {
        ASSIGN_OR_RETURN(const bool added, Add(std::move(key)));
        changed += added ? 1 : 0;
    }
    return changed;
}

}  // namespace sluice::node
