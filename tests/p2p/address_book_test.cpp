#include "p2p/address_book.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::p2p {
namespace {

AddressEntry Entry(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port = 9000, uint64_t seen_s = 1000) {
    return {Endpoint::Ipv4(a, b, c, d, port), services::kFullBlocks, seen_s};
}

class AddressBookTest : public testing::Test {
  protected:
    size_t Tried() const {
        size_t count = 0;
        for (const KnownAddress& known : book.Entries()) count += known.tried;
        return count;
    }
    size_t InGroup(uint32_t group, bool tried) const {
        size_t count = 0;
        for (const KnownAddress& known : book.Entries())
            count += known.tried == tried && AddressBook::GroupOf(known.entry.endpoint) == group;
        return count;
    }
    void AddTried(const AddressEntry& entry) {
        book.Add(entry, AddressSource::kGossip);
        book.Succeeded(entry.endpoint, 1, entry.last_seen_s, now);
    }
    std::optional<Endpoint> Any() {
        return book.Select(random, now, [](const Endpoint&) { return true; });
    }

    AddressBook book;
    SeededRandom random{1};
    Instant now{seconds(1)};
};

TEST_F(AddressBookTest, OneRangeOfAddressesFillsNoMoreThanItsShare) {
    for (int i = 0; i < 300; ++i) book.Add(Entry(8, 8, static_cast<uint8_t>(i), 1), AddressSource::kGossip);
    EXPECT_EQ(InGroup(8 << 8 | 8, false), AddressBook::kMaxNewPerGroup);
    book.Add(Entry(9, 9, 9, 9), AddressSource::kGossip);
    EXPECT_EQ(book.size(), AddressBook::kMaxNewPerGroup + 1);
}

TEST_F(AddressBookTest, OneMachineWithManyPortsHasFewEntries) {
    for (uint16_t port = 9000; port < 9100; ++port) book.Add(Entry(8, 8, 8, 8, port), AddressSource::kGossip);
    EXPECT_EQ(book.size(), AddressBook::kMaxNewPerIp);
    for (uint16_t port = 9000; port < 9010; ++port) book.Add(Entry(127, 0, 0, 1, port), AddressSource::kLan);
    EXPECT_EQ(book.size(), AddressBook::kMaxNewPerIp + 10);
}

TEST_F(AddressBookTest, OneTellerFillsNoMoreThanItsShare) {
    for (size_t i = 0; i < AddressBook::kMaxNewPerTeller + 100; ++i)
        book.Add(Entry(static_cast<uint8_t>(20 + i / 250), static_cast<uint8_t>(i % 250), 1, 1), AddressSource::kGossip,
                 77);
    EXPECT_EQ(book.size(), AddressBook::kMaxNewPerTeller);
    book.Add(Entry(9, 9, 9, 9), AddressSource::kGossip, 78);
    EXPECT_EQ(book.size(), AddressBook::kMaxNewPerTeller + 1);
}

TEST_F(AddressBookTest, AFloodOfHearsayIsHalfOfTheChoicesAtMost) {
    AddTried(Entry(1, 1, 1, 1));
    for (size_t i = 0; i < 2000; ++i)
        book.Add(Entry(static_cast<uint8_t>(20 + i / 250), static_cast<uint8_t>(i % 250), 1, 1),
                 AddressSource::kGossip);
    now += seconds(120);
    size_t tried = 0;
    for (int i = 0; i < 1000; ++i) tried += *Any() == Endpoint::Ipv4(1, 1, 1, 1, 9000);
    EXPECT_GT(tried, 430u);
    EXPECT_LT(tried, 570u);
}

TEST_F(AddressBookTest, AWorkingEntryOfTheTriedTableGivesWayToNobody) {
    for (uint8_t i = 1; i <= AddressBook::kMaxTriedPerGroup + 5; ++i) AddTried(Entry(8, 8, i, 1));
    EXPECT_EQ(InGroup(8 << 8 | 8, true), AddressBook::kMaxTriedPerGroup);
    EXPECT_TRUE(book.IsTried(Endpoint::Ipv4(8, 8, 1, 1, 9000)));
    const Endpoint late = Endpoint::Ipv4(8, 8, AddressBook::kMaxTriedPerGroup + 1, 1, 9000);
    EXPECT_FALSE(book.IsTried(late));
    // Once one has failed, it makes room.
    book.Failed(Endpoint::Ipv4(8, 8, 3, 1, 9000));
    book.Succeeded(late, 1, 2000, now);
    EXPECT_TRUE(book.IsTried(late));
    EXPECT_FALSE(book.IsTried(Endpoint::Ipv4(8, 8, 3, 1, 9000)));
    EXPECT_EQ(InGroup(8 << 8 | 8, true), AddressBook::kMaxTriedPerGroup);
}

TEST_F(AddressBookTest, HearsayIsForgottenSoonerThanWhatOnceWorked) {
    const AddressEntry hearsay = Entry(1, 1, 1, 1);
    book.Add(hearsay, AddressSource::kGossip);
    for (uint32_t i = 1; i < AddressBook::kMaxNewFailures; ++i) book.Failed(hearsay.endpoint);
    EXPECT_EQ(book.size(), 1u);
    book.Failed(hearsay.endpoint);
    EXPECT_EQ(book.size(), 0u);

    const AddressEntry known = Entry(2, 2, 2, 2);
    AddTried(known);
    for (uint32_t i = 1; i < AddressBook::kMaxTriedFailures; ++i) book.Failed(known.endpoint);
    EXPECT_TRUE(book.IsTried(known.endpoint));
    book.Failed(known.endpoint);
    EXPECT_FALSE(book.IsTried(known.endpoint));
    EXPECT_EQ(book.size(), 1u);
}

TEST_F(AddressBookTest, ATriedAddressWaitsBeforeItIsChosenAgain) {
    book.Add(Entry(1, 1, 1, 1), AddressSource::kGossip);
    book.Tried(*Any(), now);
    EXPECT_FALSE(Any());
    now += seconds(59);
    EXPECT_FALSE(Any());
    now += seconds(1);
    EXPECT_TRUE(Any());
}

TEST_F(AddressBookTest, WhatWasSavedIsLoadedWithItsAnchors) {
    book.Add(Entry(1, 1, 1, 1), AddressSource::kDht);
    AddTried(Entry(2, 2, 2, 2, 9001, 1234));
    std::vector<Endpoint> anchors;
    for (uint8_t i = 1; i <= AddressBook::kMaxAnchors + 2; ++i) anchors.push_back(Endpoint::Ipv4(3, i, 1, 1, 9000));
    const Bytes saved = book.Save(anchors);
    EXPECT_LE(saved.size(), AddressBook::kMaxSavedBytes);
    AddressBook loaded;
    const auto restored = loaded.Load(saved);
    ASSERT_TRUE(restored);
    anchors.resize(AddressBook::kMaxAnchors);
    EXPECT_EQ(*restored, anchors);
    ASSERT_EQ(loaded.size(), 2u);
    EXPECT_TRUE(loaded.IsTried(Endpoint::Ipv4(2, 2, 2, 2, 9001)));
    EXPECT_FALSE(loaded.IsTried(Endpoint::Ipv4(1, 1, 1, 1, 9000)));
    EXPECT_EQ(loaded.Entries()[0].source, AddressSource::kDht);
}

TEST_F(AddressBookTest, DamagedBytesAreRefusedAndChangeNothing) {
    AddTried(Entry(2, 2, 2, 2));
    const Bytes saved = book.Save({});
    for (size_t i = 0; i < saved.size(); ++i) {
        Bytes damaged = saved;
        damaged[i] ^= 1;
        AddressBook loaded;
        EXPECT_FALSE(loaded.Load(damaged)) << i;
        EXPECT_EQ(loaded.size(), 0u);
    }
    AddressBook loaded;
    EXPECT_FALSE(loaded.Load({}));
    EXPECT_FALSE(loaded.Load(ByteSpan(saved).first(saved.size() - 1)));
}

TEST_F(AddressBookTest, AFullBookFitsIntoItsFile) {
    for (size_t i = 0; i < 6000; ++i)
        book.Add({Endpoint::Ipv4(static_cast<uint8_t>(1 + i / 200), static_cast<uint8_t>(i % 200), 1, 1, 9000), 1, i},
                 AddressSource::kGossip);
    EXPECT_EQ(book.size(), AddressBook::kMaxNew);
    EXPECT_LE(book.Save({}).size(), AddressBook::kMaxSavedBytes);
}

}  // namespace
}  // namespace sluice::p2p
