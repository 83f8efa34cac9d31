#include "primitives/record.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

template <class T>
T Filled(uint8_t byte) {
    T value;
    value.bytes.fill(byte);
    return value;
}

std::string Repeat(const std::string& hex, size_t times) {
    std::string repeated;
    for (size_t i = 0; i < times; ++i) repeated += hex;
    return repeated;
}

PublishRecord SmallPublish() {
    PublishRecord record;
    record.content = {Filled<ContentRoot>(0x01), 0x0203};
    record.title_key = Filled<PubKey>(0x04);
    record.price = Amount(5);
    record.sealing_salt = Filled<Salt>(0x06);
    record.title_salt = Filled<Salt>(0x07);
    record.seller_key = Filled<XOnlyPubKey>(0x08);
    record.unseal_key = Filled<crypto::X25519PublicKey>(0x09);
    record.payout_script = {0x51, 0x0a};
    record.title = "T";
    return record;
}

const std::string kSmallPublishHex =
    "01"
    "0228" +
    Repeat("01", 32) +
    "0302000000000000"
    "0321" +
    Repeat("04", 33) +
    "0508"
    "0500000000000000"
    "0620" +
    Repeat("06", 32) + "0720" + Repeat("07", 32) + "0a20" + Repeat("08", 32) + "0b20" + Repeat("09", 32) +
    "0c02"
    "510a"
    "0e01"
    "54";

PublishRecord FullPublish() {
    PublishRecord record = SmallPublish();
    record.updates = Filled<ClaimId>(0x11);
    record.free_key = Filled<Hash256>(0x12);
    record.segments = {{0, Filled<PubKey>(0x13), Amount(1)}, {2, Filled<PubKey>(0x14), Amount(0)}};
    record.manifest_chunks = 3;
    record.seed_price_per_mib = Amount(4);
    record.description = "D";
    record.mime = "m/m";
    record.file_name = "f";
    record.tags = {"a", "bc"};
    record.language = "en";
    record.preview = ContentId{Filled<ContentRoot>(0x15), 1};
    record.thumbnail = ContentId{Filled<ContentRoot>(0x16), 2};
    record.profile = Filled<Hash256>(0x17);
    record.previous = OutPoint{Filled<Txid>(0x18), 9};
    record.endpoints = {"h:1"};
    return record;
}

const std::string kFullPublishHex =
    "01"
    "0120" +
    Repeat("11", 32) + "0228" + Repeat("01", 32) +
    "0302000000000000"
    "0321" +
    Repeat("04", 33) + "0420" + Repeat("12", 32) +
    "0508"
    "0500000000000000"
    "0620" +
    Repeat("06", 32) + "0720" + Repeat("07", 32) +
    "085b"
    "02"
    "00000000" +
    Repeat("13", 33) +
    "0100000000000000"
    "02000000" +
    Repeat("14", 33) +
    "0000000000000000"
    "0904"
    "03000000"
    "0a20" +
    Repeat("08", 32) + "0b20" + Repeat("09", 32) +
    "0c02"
    "510a"
    "0d08"
    "0400000000000000"
    "0e01"
    "54"
    "0f01"
    "44"
    "1003"
    "6d2f6d"
    "1101"
    "66"
    "1206"
    "02"
    "0161"
    "026263"
    "1302"
    "656e"
    "1428" +
    Repeat("15", 32) +
    "0100000000000000"
    "1528" +
    Repeat("16", 32) +
    "0200000000000000"
    "1620" +
    Repeat("17", 32) + "1724" + Repeat("18", 32) +
    "09000000"
    "1805"
    "01"
    "03683a31";

const std::string kOutPointHex = Repeat("21", 32) + "07000000";
const OutPoint kOutPoint{Filled<Txid>(0x21), 7};

struct Golden {
    std::string name;
    Record record;
    std::string hex;
};

std::vector<Golden> Goldens() {
    RegisterRecord enlist;
    enlist.vrf_key = Filled<crypto::VrfPublicKey>(0x31);
    enlist.signing_key = Filled<XOnlyPubKey>(0x32);
    enlist.payout_script = {0x51, 0x01};
    RegisterRecord change = enlist;
    change.updates = Filled<StakerId>(0x33);
    change.commission_permille = 100;
    const std::string keys = "0220" + Repeat("31", 32) + "0320" + Repeat("32", 32);
    PublishRecord bundle = SmallPublish();
    bundle.bundle = {{Filled<ClaimId>(0x41), Filled<PubKey>(0x42)}};
    EvidenceRecord evidence;
    evidence.second.slot = Slot(1);
    const std::string header = "01000000" + Repeat("00", 96), rest = Repeat("00", 4 + 8 + 80 + 32 + 64);
    return {
        {"publish", SmallPublish(), kSmallPublishHex},
        {"full publish", FullPublish(), kFullPublishHex},
        {"purchase", PurchaseRecord{kOutPoint, 0, Filled<XOnlyPubKey>(0x22), Height(0x0102)},
         "02"
         "0124" +
             kOutPointHex + "0320" + Repeat("22", 32) +
             "0404"
             "02010000"},
        {"purchase of a segment", PurchaseRecord{kOutPoint, 3, Filled<XOnlyPubKey>(0x22), Height(1)},
         "02"
         "0124" +
             kOutPointHex +
             "0202"
             "0300"
             "0320" +
             Repeat("22", 32) +
             "0404"
             "01000000"},
        {"grant", GrantRecord{{kOutPoint, kOutPoint}},
         "03"
         "0149"
         "02" +
             kOutPointHex + kOutPointHex},
        {"channel", ChannelRecord{Filled<XOnlyPubKey>(0x23), Filled<XOnlyPubKey>(0x24), Height(5)},
         "04"
         "0120" +
             Repeat("23", 32) + "0220" + Repeat("24", 32) +
             "0304"
             "05000000"},
        {"settle", SettleRecord{{0x0a0b, 7}},
         "05"
         "0111"
         "02"
         "0b0a000000000000"
         "0700000000000000"},
        {"register", enlist,
         "06" + keys +
             "0502"
             "5101"},
        {"register update", change,
         "06"
         "0108" +
             Repeat("33", 8) + keys +
             "0402"
             "6400"
             "0502"
             "5101"},
        {"exit", ExitRecord{Filled<StakerId>(0x34)},
         "07"
         "0108" +
             Repeat("34", 8)},
        {"evidence", evidence,
         "08"
         "01fd2801" +
             header + "0000000000000000" + rest + "02fd2801" + header + "0100000000000000" + rest},
        {"bundle", bundle, kSmallPublishHex + "1942" + "01" + Repeat("41", 32) + Repeat("42", 33)},
        {"gift", GiftRecord{kOutPoint, Filled<SealedGift>(0x43)},
         "09"
         "0124" +
             kOutPointHex + "0250" + Repeat("43", 80)},
    };
}

TEST(Record, EachTypeHasGoldenBytesThatDecodeToIt) {
    for (const Golden& golden : Goldens()) {
        EXPECT_EQ(HexEncode(EncodeRecord(golden.record)), golden.hex) << golden.name;
        const auto decoded = DecodeRecord(*HexDecode(golden.hex));
        ASSERT_TRUE(decoded.has_value()) << golden.name << ": " << decoded.error().message;
        EXPECT_EQ(*decoded, golden.record) << golden.name;
    }
}

TEST(Record, EveryCutAndEveryExtraByteIsRefused) {
    for (const Golden& golden : Goldens()) {
        Bytes bytes = *HexDecode(golden.hex);
        for (size_t size = 0; size < bytes.size(); ++size) {
            const auto cut = DecodeRecord(ByteSpan(bytes).first(size));
            // A cut between fields may leave a record without its last optional fields: then it is another record.
            if (!cut.has_value()) continue;
            EXPECT_EQ(EncodeRecord(*cut), ToBytes(ByteSpan(bytes).first(size))) << golden.name << " " << size;
        }
        bytes.push_back(0);
        EXPECT_FALSE(DecodeRecord(bytes).has_value()) << golden.name;
    }
}

TEST(Record, WhatDecodesEncodesToTheSameBytes) {
    for (const Golden& golden : Goldens()) {
        const Bytes bytes = *HexDecode(golden.hex);
        for (size_t i = 0; i < bytes.size(); ++i) {
            for (const uint8_t flip : {0x01, 0x80, 0xff}) {
                Bytes changed = bytes;
                changed[i] ^= flip;
                const auto decoded = DecodeRecord(changed);
                if (!decoded.has_value()) continue;
                EXPECT_EQ(EncodeRecord(*decoded), changed) << golden.name << " byte " << i;
            }
        }
    }
}

std::string ErrorOf(const std::string& hex) {
    const auto decoded = DecodeRecord(*HexDecode(hex));
    return decoded ? "" : decoded.error().message;
}

TEST(Record, OnlyCanonicalFormsDecode) {
    const std::string fields = "0120" + Repeat("23", 32) + "0220" + Repeat("24", 32);
    EXPECT_EQ(ErrorOf("04" + fields + "030405000000"), "");
    EXPECT_EQ(ErrorOf(""), "the record is empty");
    EXPECT_EQ(ErrorOf("00"), "the record type 0 is unknown");
    EXPECT_EQ(ErrorOf("09"), "field 1 is missing");
    EXPECT_EQ(ErrorOf("0a"), "the record type 10 is unknown");
    EXPECT_EQ(ErrorOf("04" + fields), "field 3 is missing");
    EXPECT_EQ(ErrorOf("04" + fields +
                      "030405000000"
                      "0400"),
              "field 4 is unknown or out of order");
    EXPECT_EQ(ErrorOf("04"
                      "0220" +
                      Repeat("24", 32) + "0120" + Repeat("23", 32) + "030405000000"),
              "field 1 is missing");
    EXPECT_EQ(ErrorOf("04" + fields +
                      "030405000000"
                      "030405000000"),
              "field 3 is unknown or out of order");
    EXPECT_NE(ErrorOf("04" + fields +
                      "0305"
                      "0500000000"),
              "");  // longer than a height
    EXPECT_NE(ErrorOf("04" + fields +
                      "0303"
                      "050000"),
              "");  // shorter
    EXPECT_NE(ErrorOf("04" + fields +
                      "03fd0400"
                      "05000000"),
              "");  // length not in its shortest form
    EXPECT_NE(ErrorOf("04" + fields +
                      "030405000000"
                      "0000"),
              "");  // tag 0
}

TEST(Record, ZeroAndEmptyOptionalFieldsAreLeftOut) {
    const std::string before =
                          "02"
                          "0124" +
                          kOutPointHex,
                      after = "0320" + Repeat("22", 32) +
                              "0404"
                              "01000000";
    EXPECT_EQ(ErrorOf(before + after), "");
    EXPECT_EQ(ErrorOf(before +
                      "0202"
                      "0000" +
                      after),
              "field 2 is zero and must then be left out");
    EXPECT_EQ(ErrorOf(kSmallPublishHex + "0f00"), "field 15 is empty and must then be left out");
    EXPECT_EQ(ErrorOf("03"
                      "0101"
                      "00"),
              "field 1 is empty and must then be left out");
    EXPECT_EQ(ErrorOf("03"), "field 1 is missing");
    EXPECT_NE(ErrorOf(kSmallPublishHex + "1201"
                                         "00"),
              "");
    EXPECT_NE(ErrorOf(kSmallPublishHex + "1202"
                                         "0100"),
              "");  // an empty tag
}

std::string PublishError(void (*change)(PublishRecord&, size_t), size_t size) {
    PublishRecord record = SmallPublish();
    change(record, size);
    const auto decoded = DecodeRecord(EncodeRecord(record));
    if (!decoded) return decoded.error().message;
    EXPECT_EQ(*decoded, Record(record));
    return "";
}

TEST(Record, ListsAndTextsReachTheirLimits) {
    EXPECT_EQ(PublishError([](PublishRecord& r, size_t n) { r.title.assign(n, 't'); }, kMaxTitleBytes), "");
    EXPECT_EQ(PublishError([](PublishRecord& r, size_t n) { r.description.assign(n, 't'); }, kMaxDescriptionBytes), "");
    EXPECT_EQ(PublishError([](PublishRecord& r, size_t n) { r.segments.assign(n, {}); }, kMaxSegments), "");
    EXPECT_EQ(
        PublishError([](PublishRecord& r, size_t n) { r.tags.assign(n, std::string(kMaxTagBytes, 't')); }, kMaxTags),
        "");
    EXPECT_EQ(
        PublishError([](PublishRecord& r, size_t n) { r.endpoints.assign(n, std::string(kMaxEndpointBytes, 't')); },
                     kMaxEndpoints),
        "");
    EXPECT_EQ(PublishError([](PublishRecord& r, size_t n) { r.payout_script.assign(n, 1); }, kMaxPayoutScriptBytes),
              "");
}

TEST(Record, ListsAndTextsOverTheirLimitsAreRefused) {
    const std::string before_title = kSmallPublishHex.substr(0, kSmallPublishHex.size() - 6);
    EXPECT_EQ(ErrorOf(before_title + "0efd0101" + Repeat("74", kMaxTitleBytes + 1)),
              "field 14 is longer than 256 bytes");
    EXPECT_EQ(ErrorOf(before_title), "field 14 is missing");
    EXPECT_EQ(ErrorOf(kSmallPublishHex + "0ffd0108" + Repeat("74", kMaxDescriptionBytes + 1)),
              "field 15 is longer than 2048 bytes");
    EXPECT_EQ(ErrorOf(kSmallPublishHex +
                      "1223"
                      "11" +
                      Repeat("0174", kMaxTags + 1)),
              "field 18 does not have 1 to 16 texts");
    EXPECT_NE(ErrorOf(kSmallPublishHex +
                      "1223"
                      "01"
                      "21" +
                      Repeat("74", kMaxTagBytes + 1)),
              "");
    EXPECT_EQ(ErrorOf(kSmallPublishHex +
                      "1813"
                      "09" +
                      Repeat("0174", kMaxEndpoints + 1)),
              "field 24 does not have 1 to 8 texts");
    EXPECT_NE(ErrorOf("03"
                      "01fd4509"
                      "41" +
                      Repeat(kOutPointHex, kMaxGrantedPurchases + 1)),
              "");
    EXPECT_EQ(ErrorOf("03"
                      "01fd0109"
                      "40" +
                      Repeat(kOutPointHex, kMaxGrantedPurchases)),
              "");
    EXPECT_NE(ErrorOf("05"
                      "01fdab0f"
                      "fdf501" +
                      Repeat("0000000000000000", kMaxSettledChannels + 1)),
              "");
    EXPECT_EQ(ErrorOf("05"
                      "01fda30f"
                      "fdf401" +
                      Repeat("0000000000000000", kMaxSettledChannels)),
              "");
}

TEST(Record, Has4096BytesAtMost) {
    // 64 segments and a description that fills the rest.
    PublishRecord record = SmallPublish();
    record.segments.assign(kMaxSegments, {});
    record.description = std::string(253, 'd');
    record.description.resize(253 + kMaxRecordBytes - EncodeRecord(record).size(), 'd');
    ASSERT_LE(record.description.size(), kMaxDescriptionBytes);
    Bytes bytes = EncodeRecord(record);
    ASSERT_EQ(bytes.size(), kMaxRecordBytes);
    EXPECT_TRUE(DecodeRecord(bytes).has_value());
    record.description += 'd';
    bytes = EncodeRecord(record);
    ASSERT_EQ(bytes.size(), kMaxRecordBytes + 1);
    EXPECT_EQ(DecodeRecord(bytes).error().message, "the record has 4097 bytes, the limit is 4096");
}

TEST(Record, TypeNamesFollowTheTypes) {
    EXPECT_EQ(RecordTypeName(PublishRecord{}), "publish");
    EXPECT_EQ(RecordTypeName(PurchaseRecord{}), "purchase");
    EXPECT_EQ(RecordTypeName(GrantRecord{}), "grant");
    EXPECT_EQ(RecordTypeName(ChannelRecord{}), "channel");
    EXPECT_EQ(RecordTypeName(SettleRecord{}), "settle");
    EXPECT_EQ(RecordTypeName(RegisterRecord{}), "register");
    EXPECT_EQ(RecordTypeName(ExitRecord{}), "exit");
    EXPECT_EQ(RecordTypeName(EvidenceRecord{}), "evidence");
    EXPECT_EQ(RecordTypeName(GiftRecord{}), "gift");
}

}  // namespace
}  // namespace sluice
