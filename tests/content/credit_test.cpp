#include "content/credit.h"

#include <gtest/gtest.h>

namespace sluice::content {
namespace {

PayerId Payer(uint8_t n) {
    PayerId id;
    id.bytes[0] = n;
    return id;
}
using Answer = CreditBook::Answer;

// Delivered and paid.
void Trade(CreditBook& book, const PayerId& payer, uint64_t chunks) {
    for (uint64_t i = 0; i < chunks; ++i) {
        book.OnDelivered(payer, 1, kChunkBytes);
        book.OnPaid(payer, kChunkBytes);
    }
}

TEST(Credit, AStrangerHasOneChunkAndNotAByteMore) {
    CreditBook book;
    EXPECT_EQ(book.MayDeliver(Payer(1), 1, kChunkBytes), Answer::kYes);
    EXPECT_EQ(book.MayDeliver(Payer(1), 1, kChunkBytes + 1), Answer::kWaitForPayment);
    book.OnDelivered(Payer(1), 1, kChunkBytes);
    EXPECT_EQ(book.MayDeliver(Payer(1), 1, 1), Answer::kWaitForPayment);
    book.OnPaid(Payer(1), kChunkBytes);
    EXPECT_EQ(book.MayDeliver(Payer(1), 1, kChunkBytes), Answer::kYes);
}

TEST(Credit, TheWindowIsASixteenthOfWhatWasPaidUpToSixtyFourChunks) {
    for (const auto& [paid, window] :
         {std::pair{0u, 1u}, {16u, 1u}, {31u, 1u}, {32u, 2u}, {1'023u, 63u}, {1'024u, 64u}, {5'000u, 64u}}) {
        CreditBook book;
        Trade(book, Payer(1), paid);
        EXPECT_EQ(book.WindowBytes(Payer(1)), uint64_t{window} * kChunkBytes) << paid;
    }
}

TEST(Credit, ADefaultTakesTheWindowBackAndTheDebtStays) {
    CreditBook book;
    Trade(book, Payer(1), 160);
    for (int i = 0; i < 10; ++i) book.OnDelivered(Payer(1), 1, kChunkBytes);
    EXPECT_EQ(book.MayDeliver(Payer(1), 1, 1), Answer::kWaitForPayment);
    book.OnDefault(Payer(1));
    EXPECT_EQ(book.WindowBytes(Payer(1)), kChunkBytes);
    EXPECT_EQ(book.UnpaidBytes(Payer(1)), 10u * kChunkBytes);
    EXPECT_EQ(book.MayDeliver(Payer(1), 1, 1), Answer::kWaitForPayment);
}

TEST(Credit, NewIdentitiesOfOneAddressGroupShareItsBucket) {
    CreditBook book({.group_bytes = 3 * kChunkBytes});
    for (uint8_t n = 0; n < 3; ++n) {
        EXPECT_EQ(book.MayDeliver(Payer(n), 9, kChunkBytes), Answer::kYes);
        book.OnDelivered(Payer(n), 9, kChunkBytes);
    }
    EXPECT_EQ(book.MayDeliver(Payer(3), 9, kChunkBytes), Answer::kBudgetUsedUp);
    EXPECT_EQ(book.MayDeliver(Payer(3), 10, kChunkBytes), Answer::kYes);
}

TEST(Credit, AllIdentitiesTogetherAreBoundedByTheBudgetWhichUploadWidens) {
    CreditBook book({.floor_bytes = 4 * kChunkBytes});
    for (uint8_t n = 0; n < 4; ++n) book.OnDelivered(Payer(n), n, kChunkBytes);
    EXPECT_EQ(book.MayDeliver(Payer(9), 9, 1), Answer::kBudgetUsedUp);
    book.OnFreeUpload(uint64_t{1'000} * kChunkBytes);
    EXPECT_EQ(book.MayDeliver(Payer(9), 9, kChunkBytes), Answer::kYes);
    EXPECT_GE(book.LimitBytes(), uint64_t{19} * kChunkBytes);
    EXPECT_LE(book.LimitBytes(), uint64_t{21} * kChunkBytes);
}

TEST(Credit, WhatADefaulterOwesIsWrittenOffOverADay) {
    CreditBook book({.floor_bytes = 4 * kChunkBytes});
    Instant now{};
    book.Tick(now);
    for (uint8_t n = 0; n < 4; ++n) {
        book.OnDelivered(Payer(n), n, kChunkBytes);
        book.OnDefault(Payer(n));
    }
    book.Tick(now + seconds(86'400 / 2));
    EXPECT_EQ(book.total_unpaid_bytes(), 2u * kChunkBytes);
    book.Tick(now + seconds(86'400));
    EXPECT_EQ(book.total_unpaid_bytes(), 0u);
}

TEST(Credit, PayingMoreThanIsOwedBuysNoReputation) {
    CreditBook book;
    book.OnDelivered(Payer(1), 1, kChunkBytes);
    book.OnPaid(Payer(1), uint64_t{10'000} * kChunkBytes);
    EXPECT_EQ(book.WindowBytes(Payer(1)), kChunkBytes);
    EXPECT_EQ(book.total_unpaid_bytes(), 0u);
}

}  // namespace
}  // namespace sluice::content
