#include "node/seller_keys.h"

#include <gtest/gtest.h>

#include "consensus/ledger_fixture.h"
#include "storage/memory_disk.h"

namespace sluice::node {
namespace {

using consensus::testing::KeyScript;

SellerKey Key(uint8_t n, const Script& payout) {
    content::MasterKey master;
    master.data()[0] = 9;
    PublishRecord record;
    record.title_salt.bytes[0] = n;
    record.payout_script = payout;
    ClaimId claim;
    claim.bytes[0] = n;
    return DeriveSellerKeys(master, BlockHash{}, claim, record);
}

struct Store {
    explicit Store(uint8_t network = 0) {
        genesis.bytes[0] = network;
        Open();
    }
    void Open() {
        store.reset();
        auto opened = SellerStore::Open(disk.files(), "/seller", genesis);
        CHECK(opened.has_value());
        store.emplace(std::move(*opened));
    }
    storage::MemoryDisk disk{3};
    BlockHash genesis;
    std::optional<SellerStore> store;
};

TEST(SellerStore, KeysAreThereAfterPowerLoss) {
    Store s;
    EXPECT_TRUE(s.store->Add(Key(1, KeyScript(1))).value());
    EXPECT_FALSE(s.store->Add(Key(1, KeyScript(1))).value());
    EXPECT_TRUE(s.store->Add(Key(1, KeyScript(2))).value());
    s.store.reset();
    s.disk.Crash();
    s.Open();
    ASSERT_EQ(s.store->All().size(), 1u);
    const SellerKey want = Key(1, KeyScript(1));
    const SellerKey* found = s.store->Find(want.claim, want.seller_key.XOnly());
    ASSERT_NE(found, nullptr);
    EXPECT_TRUE(found->Pays(KeyScript(1)));
    EXPECT_TRUE(found->Pays(KeyScript(2)));
    EXPECT_FALSE(found->Pays(KeyScript(3)));
    EXPECT_EQ(found->SecretOf(0).Public(), want.title_key.Public());
    EXPECT_EQ(found->SecretOf(2).Public(), content::DeriveSegmentKey(want.title_key, 1).Public());
    EXPECT_EQ(crypto::X25519Public(found->unseal_key), crypto::X25519Public(want.unseal_key));
    ClaimId other;
    EXPECT_EQ(s.store->Find(other, want.seller_key.XOnly()), nullptr);
}

TEST(SellerStore, AFileOfKeysIsTakenByAnotherNodeOfTheSameNetworkAlone) {
    Store home;
    ASSERT_TRUE(home.store->Add(Key(1, KeyScript(1))));
    ASSERT_TRUE(home.store->Add(Key(2, KeyScript(1))));
    EXPECT_EQ(home.store->Export({}, "/all").value(), 2u);
    EXPECT_EQ(home.store->Export(Key(2, {}).claim, "/one").value(), 1u);
    EXPECT_FALSE(home.store->Export({}, "/all"));
    EXPECT_FALSE(home.store->Export({}, "relative"));
    EXPECT_EQ(home.store->Export(Key(3, {}).claim, "/none").error().kind, ErrorKind::kNotFound);
    const Bytes all = storage::ReadWholeFile(home.disk.files(), "/all", 1 << 20).value();

    Store shop;
    ASSERT_TRUE(storage::WriteFileAtomically(shop.disk.files(), "/all", all));
    EXPECT_EQ(shop.store->Import("/all").value(), 2u);
    EXPECT_EQ(shop.store->Import("/all").value(), 0u);
    EXPECT_EQ(shop.store->Claims().size(), 2u);

    Store other(1);
    ASSERT_TRUE(storage::WriteFileAtomically(other.disk.files(), "/all", all));
    EXPECT_NE(other.store->Import("/all").error().message.find("another network"), std::string::npos);
    // A changed or cut file adds nothing.
    Store strict;
    for (size_t at = 0; at < all.size(); at += 7) {
        Bytes changed = all;
        changed[at] ^= 1;
        ASSERT_TRUE(storage::WriteFileAtomically(strict.disk.files(), "/all", changed));
        EXPECT_FALSE(strict.store->Import("/all")) << at;
        ASSERT_TRUE(storage::WriteFileAtomically(strict.disk.files(), "/all", ByteSpan(all).first(at)));
        EXPECT_FALSE(strict.store->Import("/all")) << at;
    }
    EXPECT_TRUE(strict.store->empty());
}

TEST(SellerStore, GrantsOnTheirWayAreThereAfterPowerLossUntilTheyAreErased) {
    Store s;
    MutableTransaction tx;
    tx.outputs.push_back({Amount(5), KeyScript(1)});
    tx.inputs.push_back({});
    const TransactionRef grant = MakeTransaction(std::move(tx));
    ASSERT_TRUE(s.store->PutGrant(grant));
    s.store.reset();
    s.disk.Crash();
    s.Open();
    ASSERT_EQ(s.store->grants().count(grant->txid()), 1u);
    ASSERT_TRUE(s.store->EraseGrant(s.store->grants().begin()->first));
    EXPECT_TRUE(s.store->grants().empty());
    s.Open();
    EXPECT_TRUE(s.store->grants().empty());
}

}  // namespace
}  // namespace sluice::node
