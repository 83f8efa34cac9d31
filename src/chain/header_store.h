#pragma once

#include "consensus/header_rules.h"
#include "storage/key_value.h"

namespace sluice::chain {

// What the disk holds of a header.
struct StoredHeader {
    BlockHeader header;
    consensus::HeaderState state;
    uint64_t sequence{0};  // order of arrival
    bool invalid{false};   // its own body broke a rule, or the operator refused it

    static void Serialize(auto& self, auto& archive) { archive(self.header, self.state, self.sequence, self.invalid); }
};

// Where the headers in memory begin.
struct HeaderCut {
    BlockHash root;             // on the active chain; what lies below it is buried
    Height lowest;              // no open header lies below
    uint64_t next_sequence{0};  // above that of every header stored before

    static void Serialize(auto& self, auto& archive) { archive(self.root, self.lowest, self.next_sequence); }
};

// The header tables of the chain's store.
//   'H'  hash -> StoredHeader, of every header that is known
//   'h'  height || hash -> nothing, of the open headers: those that the tree holds in memory
//   'a'  height -> hash, of the buried headers: those of the active chain below the root
//   'm'  "headers" -> HeaderCut
// Every header in 'H' is either open or buried, and a batch that moves one from open to buried moves the cut too: so a
// crash at any instant leaves tables that fit together. Writers get their changes as a batch to be written at once.
// Errors are kEnvironment. Chain worker.
class HeaderStore {
  public:
    // `store` must outlive it.
    explicit HeaderStore(storage::KeyValueStore& store) : m_store(store) {}

    // nullopt if there is none.
    Result<std::optional<StoredHeader>> Read(const BlockHash& hash) const;
    Result<std::optional<BlockHash>> BuriedHash(Height height) const;
    Result<std::optional<HeaderCut>> ReadCut() const;
    // By height, then in order of arrival.
    Result<std::vector<StoredHeader>> ReadOpen(Height lowest) const;

    static void PutOpen(storage::WriteBatch& batch, const StoredHeader& stored);
    // The header of `state` (not its mark) becomes open or buried.
    static void Bury(storage::WriteBatch& batch, const consensus::HeaderState& state);
    static void Unbury(storage::WriteBatch& batch, const consensus::HeaderState& state);
    static void EraseOpen(storage::WriteBatch& batch, const consensus::HeaderState& state);
    static void PutCut(storage::WriteBatch& batch, const HeaderCut& cut);
    Status WriteMark(const BlockHash& hash, bool invalid);
    Status Write(const storage::WriteBatch& batch, bool sync) { return m_store.Write(batch, sync); }

  private:
    storage::KeyValueStore& m_store;
};

}  // namespace sluice::chain
