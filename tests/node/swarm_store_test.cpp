#include "node/swarm_store.h"

#include <gtest/gtest.h>

#include "storage/memory_disk.h"

namespace sluice::node {
namespace {

content::EarnedShare Share(uint8_t content, uint8_t payer, uint64_t bytes, Amount price) {
    content::EarnedShare share;
    share.content.root.bytes[0] = content;
    share.content.size_bytes = 1'000;
    share.payer.bytes[0] = payer;
    share.bytes = bytes;
    share.value.Add(bytes, price);
    return share;
}

struct StoreOnDisk {
    std::unique_ptr<SwarmStore> Open(size_t rows = SwarmStore::kMaxEarningRows) {
        auto store = SwarmStore::Open(disk.files(), "/d/swarm", rows);
        EXPECT_TRUE(store) << store.error().message;
        return std::move(*store);
    }
    storage::MemoryDisk disk{3};
};

TEST(SwarmStore, AddsEarningsUpByDayContentAndPayerAndKeepsThem) {
    StoreOnDisk disk;
    {
        auto store = disk.Open();
        ASSERT_TRUE(store->AddEarnings(20'000, {Share(1, 1, 1 << 20, Amount(7)), Share(1, 2, 1 << 19, Amount(7))}));
        ASSERT_TRUE(store->AddEarnings(20'000, {Share(1, 1, 1 << 20, Amount(5))}));
        ASSERT_TRUE(store->AddEarnings(20'001, {Share(1, 1, 1 << 20, Amount(1))}));
    }
    const auto rows = disk.Open()->Earnings();
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows[0].day, 20'000u);
    EXPECT_EQ(rows[0].bytes, uint64_t{2} << 20);
    EXPECT_EQ(rows[0].value.Owed(), Amount(12));
    EXPECT_EQ(rows[1].value.Owed(), Amount(4)) << "3.5, rounded up once";
    EXPECT_EQ(rows[2].day, 20'001u);
}

TEST(SwarmStore, BoundsItsAccountsByAddingUpTheOldestOfEachContent) {
    StoreOnDisk disk;
    uint64_t bytes = 0;
    {
        auto store = disk.Open(100);
        for (uint32_t day = 1; day <= 300; ++day) {
            bytes += day;
            ASSERT_TRUE(store->AddEarnings(day, {Share(static_cast<uint8_t>(day % 2), 1, day, Amount(1 << 20))}));
        }
        EXPECT_LE(store->Earnings().size(), 100u);
    }
    uint64_t kept = 0, value = 0;
    for (const EarningRow& row : disk.Open(100)->Earnings()) {
        kept += row.bytes;
        value += row.value.Owed().drops;
        if (row.day == 0) EXPECT_EQ(row.payer, content::NodeId{});
    }
    EXPECT_EQ(kept, bytes);
    EXPECT_EQ(value, bytes);
}

TEST(SwarmStore, KeepsTheHistoryOfPayersOldestFirst) {
    StoreOnDisk disk;
    content::PayerHistory first, second;
    first.payer.bytes[0] = 9;
    first.paid_bytes = 5;
    second.payer.bytes[0] = 1;
    second.defaulted = true;
    {
        auto store = disk.Open();
        ASSERT_TRUE(store->SavePayerHistory({second}));
        ASSERT_TRUE(store->SavePayerHistory({first}));
        ASSERT_TRUE(store->SavePayerHistory({second}));
    }
    EXPECT_EQ(*disk.Open()->PayerHistories(), (std::vector{first, second}));
    ASSERT_TRUE(disk.Open()->SavePayerHistory({{second.payer, 0, false}}));
    EXPECT_EQ(*disk.Open()->PayerHistories(), std::vector{first}) << "a stranger is not remembered";
}

TEST(SwarmStore, RemembersTheFloorOfAPrice) {
    StoreOnDisk disk;
    SeededContent seed{{{}, 5}, Amount(100), Amount(60)};
    ASSERT_TRUE(disk.Open()->SaveSeed(seed));
    const auto seeds = disk.Open()->Seeds();
    ASSERT_TRUE(seeds);
    EXPECT_EQ(seeds->at(0).floor_per_mib, Amount(60));
}

}  // namespace
}  // namespace sluice::node
