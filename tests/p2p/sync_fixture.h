#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "p2p/sync.h"

namespace sluice::p2p {

inline BlockHeader Child(const BlockHeader& parent, uint64_t salt = 0) {
    BlockHeader header;
    header.prev = parent.Hash();
    header.height = parent.height + 1;
    header.slot = Slot(header.height.value * 10 + salt);
    return header;
}

inline std::vector<BlockHeader> Chain(size_t length) {
    std::vector<BlockHeader> chain(1);
    while (chain.size() <= length) chain.push_back(Child(chain.back()));
    return chain;
}

inline TransactionRef Tx(uint32_t n, std::vector<Txid> parents = {}) {
    MutableTransaction tx;
    tx.lock_time = n;
    for (const Txid& parent : parents) tx.inputs.push_back({{parent, 0}, {}, 0, {{1}}});
    if (parents.empty()) tx.inputs.push_back({{Txid(std::array<uint8_t, 32>{1, 2, 3}), n}, {}, 0, {{1}}});
    tx.outputs.push_back({Amount(1), Script(34, 0x51)});
    return MakeTransaction(std::move(tx));
}

// A chain of our own that grows as the test says: headers and bodies that we have.
struct FakeView : SyncView {
    std::vector<BlockHeader> headers{BlockHeader{}};  // best header chain, from genesis
    size_t bodies{1};                                 // connected ones
    std::set<BlockHash> stored;                       // not connected
    std::map<Wtxid, TransactionRef> pool;

    Slot slot_now{100'000'000};  // the blocks of old tests are not fresh
    milliseconds into_slot{0};   // how much of it is over
    size_t pool_to_replay{0};    // if a transaction's lock time is odd

    Height BestHeaderHeight() const override { return headers.back().height; }
    BlockHash BestHeader() const override { return headers.back().Hash(); }
    milliseconds UntilSlot(Slot slot) const override {
        return seconds(static_cast<int64_t>(slot.value) - static_cast<int64_t>(slot_now.value)) - into_slot;
    }
    size_t ReplayedBy(const Transaction& transaction) const override {
        return transaction.tx().lock_time % 2 != 0 ? pool_to_replay : 0;
    }
    std::vector<BlockHash> Locator() const override {
        std::vector<BlockHash> locator;
        for (size_t i = headers.size(); i-- > 0 && locator.size() < kMaxLocatorHashes - 1;)
            locator.push_back(headers[i].Hash());
        if (locator.size() == kMaxLocatorHashes - 1) locator.push_back(headers[0].Hash());
        return locator;
    }
    bool HaveHeader(const BlockHash& hash) const override {
        return std::any_of(headers.begin(), headers.end(),
                           [&](const BlockHeader& header) { return header.Hash() == hash; });
    }
    bool HaveBlock(const BlockHash& hash) const override { return stored.contains(hash); }
    std::vector<WantedBlock> BlocksWanted(size_t limit) const override {
        std::vector<WantedBlock> wanted;
        for (size_t i = bodies; i < headers.size() && wanted.size() < limit; ++i) {
            if (!stored.contains(headers[i].Hash()))
                wanted.push_back({headers[i].Hash(), headers[i].height, headers[i].slot});
        }
        return wanted;
    }
    std::vector<BlockHeader> HeadersAfter(const std::vector<BlockHash>& locator, const BlockHash&,
                                          size_t limit) const override {
        size_t from = 0;
        for (size_t i = headers.size(); i-- > 0 && from == 0;) {
            if (std::find(locator.begin(), locator.end(), headers[i].Hash()) != locator.end()) from = i + 1;
        }
        from = std::max<size_t>(from, 1);
        std::vector<BlockHeader> result;
        for (size_t i = from; i < bodies && result.size() < limit; ++i) result.push_back(headers[i]);
        return result;
    }
    bool HaveTransaction(const Wtxid& wtxid) const override { return pool.contains(wtxid); }
    TransactionRef FindTransaction(const Wtxid& wtxid) const override {
        const auto found = pool.find(wtxid);
        return found == pool.end() ? nullptr : found->second;
    }
    TransactionRef FindTransaction(const Txid& txid) const override {
        for (const auto& [wtxid, transaction] : pool) {
            if (transaction->txid() == txid) return transaction;
        }
        return nullptr;
    }
};

class SyncTest : public testing::Test {
  protected:
    static PeerId P(uint64_t n) { return PeerId(n); }
    void Ready(uint64_t peer, uint32_t height) { sync.OnPeerReady(P(peer), Height(height), now); }
    template <class Message>
    void Receive(uint64_t peer, MessageType type, const Message& message) {
        EXPECT_TRUE(sync.OnMessage(P(peer), type, Encode(message), now));
    }
    void ReceiveHeaders(uint64_t peer, std::vector<BlockHeader> headers) {
        Receive(peer, MessageType::kHeaders, Headers{std::move(headers)});
    }
    void ReceiveBlock(uint64_t peer, const BlockHeader& header) {
        EXPECT_TRUE(sync.OnMessage(P(peer), MessageType::kBlock, Block{header, {}}.ToBytes(), now));
    }
    void ReceiveTx(uint64_t peer, const TransactionRef& tx) {
        EXPECT_TRUE(sync.OnMessage(P(peer), MessageType::kTransaction, tx->tx().ToBytes(), now));
    }
    // The actions of kind T since the last call; others are kept for later calls.
    template <class T>
    std::vector<T> Take() {
        for (SyncAction& action : sync.TakeActions()) pending.push_back(std::move(action));
        std::vector<T> result;
        std::erase_if(pending, [&](SyncAction& action) {
            if (!std::holds_alternative<T>(action)) return false;
            result.push_back(std::get<T>(std::move(action)));
            return true;
        });
        return result;
    }
    // The sends of `type` since the last call, by peer; sends of other types are dropped.
    std::multimap<uint64_t, Bytes> Sent(MessageType type) {
        std::multimap<uint64_t, Bytes> result;
        for (const SendAction& send : Take<SendAction>()) {
            if (send.type == type) result.emplace(send.peer.value, send.payload);
        }
        return result;
    }
    std::multimap<uint64_t, BlockHash> AskedBlocks() {
        std::multimap<uint64_t, BlockHash> result;
        for (const auto& [peer, payload] : Sent(MessageType::kGetBlocks)) {
            const auto request = Decode<BlockHashes>(payload);
            for (const BlockHash& hash : request->hashes) result.emplace(peer, hash);
        }
        return result;
    }
    std::multimap<uint64_t, Wtxid> AskedTransactions(MessageType type = MessageType::kGetTransactions) {
        std::multimap<uint64_t, Wtxid> result;
        for (const auto& [peer, payload] : Sent(type)) {
            const auto request = Decode<Wtxids>(payload);
            for (const Wtxid& hash : request->hashes) result.emplace(peer, hash);
        }
        return result;
    }
    void Accept(const std::vector<BlockHeader>& headers) {
        view.headers.insert(view.headers.end(), headers.begin(), headers.end());
    }
    static std::vector<BlockHeader> Slice(const std::vector<BlockHeader>& chain, size_t from, size_t to) {
        return {chain.begin() + static_cast<ptrdiff_t>(from), chain.begin() + static_cast<ptrdiff_t>(to)};
    }
    void SyncHeaders(uint64_t peer, const std::vector<BlockHeader>& chain) {
        ReceiveHeaders(peer, Slice(chain, view.headers.size(), chain.size()));
        Accept(Slice(chain, view.headers.size(), chain.size()));
        sync.OnHeadersResult(P(peer), {}, now);
    }

    FakeView view;
    Sync sync{view};
    Instant now{};
    std::vector<SyncAction> pending;
};

}  // namespace sluice::p2p
