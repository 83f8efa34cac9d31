#include "chain/header_store.h"

#include <algorithm>

#include "chain/store_keys.h"

namespace sluice::chain {
namespace {

Bytes HeaderKey(const BlockHash& hash) { return TableKey(kHeaderTable, hash.bytes); }
Bytes CutKey() { return TableKey(kMetaTable, AsBytes("headers")); }

Bytes HeightKey(char table, Height height) {
    Bytes key = TableKey(table);
    AppendBigEndian(key, height.value);
    return key;
}
Bytes OpenKey(const consensus::HeaderState& state) {
    Bytes key = HeightKey(kOpenHeaderTable, state.height);
    key.insert(key.end(), state.hash.bytes.begin(), state.hash.bytes.end());
    return key;
}
constexpr size_t kOpenHashAt = 1 + sizeof(uint32_t);

}  // namespace

Result<std::optional<StoredHeader>> HeaderStore::Read(const BlockHash& hash) const {
    ASSIGN_OR_RETURN(const auto bytes, m_store.Get(HeaderKey(hash)));
    if (!bytes) return std::optional<StoredHeader>();
    auto stored = Decode<StoredHeader>(*bytes);
    if (!stored) return Fail(Corrupt("header " + hash.Hex() + " does not decode"));
    return std::optional<StoredHeader>(std::move(*stored));
}

Result<std::optional<BlockHash>> HeaderStore::BuriedHash(Height height) const {
    ASSIGN_OR_RETURN(const auto bytes, m_store.Get(HeightKey(kActiveTable, height)));
    if (!bytes) return std::optional<BlockHash>();
    const auto hash = BlockHash::FromBytes(*bytes);
    if (!hash) return Fail(Corrupt("the hash at height " + ToString(height) + " does not decode"));
    return std::optional<BlockHash>(*hash);
}

Result<std::optional<HeaderCut>> HeaderStore::ReadCut() const {
    ASSIGN_OR_RETURN(const auto bytes, m_store.Get(CutKey()));
    if (!bytes) return std::optional<HeaderCut>();
    const auto cut = Decode<HeaderCut>(*bytes);
    if (!cut) return Fail(Corrupt("the place where open headers begin does not decode"));
    return std::optional<HeaderCut>(*cut);
}

Result<std::vector<StoredHeader>> HeaderStore::ReadOpen(Height lowest) const {
    std::vector<BlockHash> hashes;
    bool damaged = false;
    RETURN_IF_ERROR(
        m_store.Scan(TableKey(kOpenHeaderTable), HeightKey(kOpenHeaderTable, lowest), [&](ByteSpan key, ByteSpan) {
            const auto hash = BlockHash::FromBytes(key.subspan(kOpenHashAt));
            damaged = !hash;
            if (!damaged) hashes.push_back(*hash);
            return !damaged;
        }));
    if (damaged) return Fail(Corrupt("the list of open headers does not decode"));
    std::vector<StoredHeader> open;
    open.reserve(hashes.size());
    for (const BlockHash& hash : hashes) {
        ASSIGN_OR_RETURN(auto stored, Read(hash));
        if (!stored) return Fail(Corrupt("header " + hash.Hex() + " is gone"));
        open.push_back(std::move(*stored));
    }
    std::sort(open.begin(), open.end(), [](const StoredHeader& a, const StoredHeader& b) {
        return std::pair(a.state.height, a.sequence) < std::pair(b.state.height, b.sequence);
    });
    return open;
}

void HeaderStore::PutOpen(storage::WriteBatch& batch, const StoredHeader& stored) {
    batch.Put(HeaderKey(stored.state.hash), Encode(stored));
    batch.Put(OpenKey(stored.state), {});
}

void HeaderStore::Bury(storage::WriteBatch& batch, const consensus::HeaderState& state) {
    batch.Delete(OpenKey(state));
    batch.Put(HeightKey(kActiveTable, state.height), ToBytes(state.hash.bytes));
}

void HeaderStore::Unbury(storage::WriteBatch& batch, const consensus::HeaderState& state) {
    batch.Delete(HeightKey(kActiveTable, state.height));
    batch.Put(OpenKey(state), {});
}

void HeaderStore::EraseOpen(storage::WriteBatch& batch, const consensus::HeaderState& state) {
    batch.Delete(OpenKey(state));
    batch.Delete(HeaderKey(state.hash));
    // Without a header nobody asks for its body or its effect.
    batch.Delete(TableKey(kBlockTable, state.hash.bytes));
    batch.Delete(TableKey(kUndoTable, state.hash.bytes));
}

void HeaderStore::PutCut(storage::WriteBatch& batch, const HeaderCut& cut) { batch.Put(CutKey(), Encode(cut)); }

Status HeaderStore::WriteMark(const BlockHash& hash, bool invalid) {
    ASSIGN_OR_RETURN(auto stored, Read(hash));
    if (!stored) return Fail(Corrupt("header " + hash.Hex() + " is gone"));
    stored->invalid = invalid;
    storage::WriteBatch batch;
    batch.Put(HeaderKey(hash), Encode(*stored));
    return m_store.Write(batch, false);
}

}  // namespace sluice::chain
