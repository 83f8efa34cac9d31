#include "consensus/record_rules.h"

#include "ledger_fixture.h"

namespace sluice::consensus {
namespace {

using testing::ExamplePublish;
using testing::kBuyerKey;
using testing::KeyScript;
using testing::kPayeeKey;
using testing::kPayerKey;
using testing::kSegmentKey;
using testing::kSellerKey;
using testing::kTitleKey;
using testing::Ledger;
using testing::Lock;
using testing::OffCurveKey;
using testing::Slu;
using testing::TestKey;

TEST(CleanText, IsStrictUtf8) {
    for (const char* good : {"", "plain", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8e\xac", "\xed\x9f\xbf",
                             "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\xc2\xa0"})
        EXPECT_TRUE(IsCleanText(good)) << good;
    for (const char* bad :
         {"\x80", "\xc3", "\xc3(", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "ab\xe2\x82"})
        EXPECT_FALSE(IsCleanText(bad)) << HexEncode(AsBytes(bad));
}

TEST(CleanText, HasNoControlCharactersButALineFeedInLines) {
    for (const char* bad : {"\x01", "a\tb", "a\rb", "\x1f", "\x7f", "\xc2\x80", "\xc2\x9f"}) {
        EXPECT_FALSE(IsCleanText(bad)) << HexEncode(AsBytes(bad));
        EXPECT_FALSE(IsCleanText(bad, true)) << HexEncode(AsBytes(bad));
    }
    EXPECT_FALSE(IsCleanText(std::string_view("a\0b", 3)));
    EXPECT_FALSE(IsCleanText("a\nb"));
    EXPECT_TRUE(IsCleanText("a\nb", true));
}

TEST(SealedSize, HasALastChunkOfAtLeastOneSealedByte) {
    for (const uint64_t good : {17ull, 262'143ull, 262'144ull, 262'144ull + 17, 2 * 262'144ull, 1ull << 50})
        EXPECT_TRUE(IsSealedSize(good)) << good;
    for (const uint64_t bad :
         {0ull, 1ull, 16ull, 262'144ull + 1, 262'144ull + 16, (1ull << 50) + 17, UINT64_MAX + 0ull})
        EXPECT_FALSE(IsSealedSize(bad)) << bad;
    EXPECT_EQ(ChunkCount(17), 1u);
    EXPECT_EQ(ChunkCount(262'144), 1u);
    EXPECT_EQ(ChunkCount(262'144 + 17), 2u);
    EXPECT_EQ(ChunkCount(1ull << 50), 1ull << 32);
}

std::string PublishCode(const PublishRecord& record) {
    Ledger ledger;
    return ledger.Code(ledger.Publish(record, ledger.Fund(Slu(10))));
}

struct PublishCase {
    const char* name;
    void (*change)(PublishRecord&);
    const char* code;
};

Segment SegmentAt(uint32_t chunk, Amount price = Slu(1)) { return {chunk, TestKey(kSegmentKey).Public(), price}; }

TEST(PublishForm, EachFieldIsJudged) {
    // Chunks of the example: 4.
    const PublishCase cases[] = {
        {"as it is", [](PublishRecord&) {}, ""},
        {"title with a control character", [](PublishRecord& r) { r.title = "a\nb"; }, "bad-publish-text"},
        {"title not UTF-8", [](PublishRecord& r) { r.title = "\xff"; }, "bad-publish-text"},
        {"description of two lines", [](PublishRecord& r) { r.description = "a\nb"; }, ""},
        {"description with a tab", [](PublishRecord& r) { r.description = "a\tb"; }, "bad-publish-text"},
        {"mime", [](PublishRecord& r) { r.mime = "\x01"; }, "bad-publish-text"},
        {"file name", [](PublishRecord& r) { r.file_name = "\x01"; }, "bad-publish-text"},
        {"language", [](PublishRecord& r) { r.language = "\x01"; }, "bad-publish-text"},
        {"tag",
         [](PublishRecord& r) {
             r.tags = {"good", "\x01"};
         },
         "bad-publish-text"},
        {"endpoint", [](PublishRecord& r) { r.endpoints = {"\x01"}; }, "bad-publish-text"},
        {"least size", [](PublishRecord& r) { r.content.size_bytes = 17; }, ""},
        {"under the least size", [](PublishRecord& r) { r.content.size_bytes = 16; }, "bad-publish-size"},
        {"greatest size", [](PublishRecord& r) { r.content.size_bytes = 1ull << 50; }, ""},
        {"over the greatest size", [](PublishRecord& r) { r.content.size_bytes = (1ull << 50) + 17; },
         "bad-publish-size"},
        {"last chunk of a tag alone", [](PublishRecord& r) { r.content.size_bytes = 262'144 + 16; },
         "bad-publish-size"},
        {"title key no point", [](PublishRecord& r) { r.title_key = PubKey{{4}}; }, "bad-publish-key"},
        {"seller key off the curve", [](PublishRecord& r) { r.seller_key = OffCurveKey(); }, "bad-publish-key"},
        {"payout to stake", [](PublishRecord& r) { r.payout_script = testing::KeyStakeScript(3); }, ""},
        {"payout to a record",
         [](PublishRecord& r) {
             r.payout_script = {kOpReturn, 2, 1, 1};
         },
         "bad-publish-payout"},
        {"payout to nothing known", [](PublishRecord& r) { r.payout_script = {kOp1}; }, "bad-publish-payout"},
        {"no price", [](PublishRecord& r) { r.price = Amount(0); }, "bad-publish-price"},
        {"price of the whole supply", [](PublishRecord& r) { r.price = kMaxSupply; }, ""},
        {"price over the supply", [](PublishRecord& r) { r.price = Amount(kMaxSupply.drops + 1); },
         "bad-publish-price"},
        {"seeding price over the supply", [](PublishRecord& r) { r.seed_price_per_mib = Amount(kMaxSupply.drops + 1); },
         "bad-publish-price"},
        {"segments",
         [](PublishRecord& r) {
             r.segments = {SegmentAt(0), SegmentAt(1, Amount(0)), SegmentAt(3)};
         },
         ""},
        {"first segment late", [](PublishRecord& r) { r.segments = {SegmentAt(1)}; }, "bad-publish-segments"},
        {"first segment after the manifest",
         [](PublishRecord& r) {
             r.manifest_chunks = 1;
             r.segments = {SegmentAt(1)};
         },
         ""},
        {"gap after the manifest",
         [](PublishRecord& r) {
             r.manifest_chunks = 1;
             r.segments = {SegmentAt(2)};
         },
         "bad-publish-segments"},
        {"segments not increasing",
         [](PublishRecord& r) {
             r.segments = {SegmentAt(0), SegmentAt(2), SegmentAt(2)};
         },
         "bad-publish-segments"},
        {"segment behind the end",
         [](PublishRecord& r) {
             r.segments = {SegmentAt(0), SegmentAt(4)};
         },
         "bad-publish-segments"},
        {"segment key no point",
         [](PublishRecord& r) {
             r.segments = {SegmentAt(0)};
             r.segments[0].key = {};
         },
         "bad-publish-key"},
        {"segment price over the supply",
         [](PublishRecord& r) { r.segments = {SegmentAt(0, Amount(kMaxSupply.drops + 1))}; }, "bad-publish-price"},
        {"manifest of all chunks", [](PublishRecord& r) { r.manifest_chunks = 4; }, ""},
        {"manifest longer than the content", [](PublishRecord& r) { r.manifest_chunks = 5; }, "bad-publish-manifest"},
        {"free",
         [](PublishRecord& r) {
             r.price = Amount(0);
             r.free_key = Hash256::FromSpan(TestKey(kTitleKey).bytes().first<32>());
         },
         ""},
        {"free with a price",
         [](PublishRecord& r) { r.free_key = Hash256::FromSpan(TestKey(kTitleKey).bytes().first<32>()); },
         "bad-publish-price"},
        {"free with a segment sold",
         [](PublishRecord& r) {
             r.price = Amount(0);
             r.free_key = Hash256::FromSpan(TestKey(kTitleKey).bytes().first<32>());
             r.segments = {SegmentAt(0)};
         },
         "bad-publish-price"},
        {"free with another key",
         [](PublishRecord& r) {
             r.price = Amount(0);
             r.free_key = Hash256::FromSpan(TestKey(3).bytes().first<32>());
         },
         "bad-publish-free-key"},
        {"free with no key",
         [](PublishRecord& r) {
             r.price = Amount(0);
             r.free_key = Hash256{};
         },
         "bad-publish-free-key"},
    };
    for (const PublishCase& test : cases) {
        PublishRecord record = ExamplePublish();
        test.change(record);
        EXPECT_EQ(PublishCode(record), test.code) << test.name;
    }
}

TEST(RecordForm, RecordsHaveNoValueAndDecode) {
    Ledger ledger;
    const OutPoint coin = ledger.Fund(Slu(10));
    TxOutput record = Ledger::RecordOutput(ExamplePublish());
    record.value = Amount(1);
    EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({coin}, {record, {Slu(1), KeyScript(1)}}))), "bad-record-value");
    record = {Amount(0), RecordScript(Bytes{99, 1})};
    EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({coin}, {record}))), "bad-record-encoding");
}

TEST(RecordForm, SixteenRecordsAtMost) {
    Ledger ledger;
    const OutPoint coin = ledger.Fund(Slu(100));
    for (const size_t count : {16, 17}) {
        std::vector<TxOutput> outputs;
        for (size_t i = 0; i < count; ++i) {
            outputs.push_back(Ledger::RecordOutput(ExamplePublish()));
            outputs.push_back({Slu(1), KeyScript(1)});
        }
        EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({coin}, outputs))),
                  count == 16 ? "" : "bad-txns-too-many-records");
    }
}

TEST(RecordForm, PublishPurchaseAndChannelBindToTheNextOutput) {
    Ledger ledger;
    const OutPoint coin = ledger.Fund(Slu(10));
    const TxOutput publish = Ledger::RecordOutput(ExamplePublish());
    MutableTransaction tx = ledger.Build({coin}, {{Slu(1), KeyScript(1)}, publish});
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");  // binds to the change
    tx.outputs.pop_back();
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-record-binding");
    EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({coin}, {publish, publish, {Slu(1), KeyScript(1)}}))),
              "bad-record-binding");
    for (const Record& record : {Record(ChannelRecord{TestKey(1).XOnly(), TestKey(2).XOnly(), Height(500)}),
                                 Record(ledger.ExamplePurchase({}))}) {
        tx = ledger.Build({coin}, {{Slu(1), KeyScript(1)}, Ledger::RecordOutput(record)});
        tx.outputs.pop_back();
        EXPECT_EQ(ledger.Code(ledger.Sign(tx, kSighashDefault, Ledger::PurchaseAnnex())), "bad-record-binding");
    }
}

TEST(RecordForm, AnchorHoldsTheLeastDeposit) {
    Ledger ledger;
    const OutPoint coin = ledger.Fund(Slu(10));
    const Amount least = MinAnchor(ledger.params, EncodeRecord(ExamplePublish()).size());
    EXPECT_EQ(least.drops, 100 * EncodeRecord(ExamplePublish()).size());
    EXPECT_EQ(ledger.Code(ledger.Publish(ExamplePublish(), coin, least)), "");
    EXPECT_EQ(ledger.Code(ledger.Publish(ExamplePublish(), coin, Amount(least.drops - 1))), "bad-anchor-value");
}

TEST(Publish, MakesAClaimNamedByItsAnchor) {
    Ledger ledger;
    const OutPoint anchor = ledger.Published(ExamplePublish());
    const ClaimId id = MakeClaimId(anchor);
    EXPECT_EQ(ledger.state.Get<ClaimState>(id), (ClaimState{anchor, Height(101), 1}));
    EXPECT_EQ(ledger.state.Get<PublishState>(anchor),
              (PublishState{id, Height(101), std::nullopt, EncodeRecord(ExamplePublish())}));
    EXPECT_EQ(ledger.state.Get<Coin>(anchor)->kind, CoinKind::kAnchor);
}

TEST(Publish, UpdateSpendsTheAnchorAndKeepsTheId) {
    Ledger ledger;
    const OutPoint first = ledger.Published(ExamplePublish());
    const ClaimId id = MakeClaimId(first);
    PublishRecord newer = ExamplePublish();
    newer.title = "A longer film";
    const auto tx = ledger.Update(newer, id, first, ledger.Fund(Slu(3)));
    ledger.Connect({tx});
    EXPECT_EQ(ledger.state.Get<ClaimState>(id), (ClaimState{tx->Output(1), Height(101), 2}));
    EXPECT_EQ(ledger.state.Get<PublishState>(first)->superseded, Height(102));
    EXPECT_EQ(ledger.state.Get<PublishState>(tx->Output(1))->claim, id);
    EXPECT_EQ(ledger.state.Get<PublishState>(tx->Output(1))->superseded, std::nullopt);
}

TEST(Publish, UpdateNeedsALiveClaimAndItsAnchorOnce) {
    Ledger ledger;
    const OutPoint first = ledger.Published(ExamplePublish()), other = ledger.Published(ExamplePublish());
    const ClaimId id = MakeClaimId(first);
    const OutPoint coin = ledger.Fund(Slu(9));
    EXPECT_EQ(ledger.Code(ledger.Update(ExamplePublish(), ClaimId{{1}}, first, coin)), "bad-update-unknown-claim");
    EXPECT_EQ(ledger.Code(ledger.Update(ExamplePublish(), id, other, coin)), "bad-update-anchor");
    PublishRecord update = ExamplePublish();
    update.updates = id;
    const TxOutput record = Ledger::RecordOutput(update), anchor{Slu(1), KeyScript(1)};
    EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({coin, first}, {record, anchor, record, anchor}))),
              "bad-update-anchor");
    update.updates = MakeClaimId(other);
    EXPECT_EQ(ledger.Code(ledger.Sign(
                  ledger.Build({coin, first, other}, {record, anchor, Ledger::RecordOutput(update), anchor}))),
              "");
}

TEST(Publish, UpdateIsSignedOnItsAnchor) {
    Ledger ledger;
    // An anchor that anyone can spend: a leaf of OP_1.
    const Script leaf{kOp1};
    const auto output = *crypto::TapTweak(crypto::kNumsKey, TapLeafHash(leaf));
    const auto publish = ledger.Sign(ledger.Build(
        {ledger.Fund(Slu(9))}, {Ledger::RecordOutput(ExamplePublish()), {Slu(1), TaprootScript(output.key)}}));
    ledger.Connect({publish});
    Bytes control = ToBytes(crypto::kNumsKey.bytes);
    control.insert(control.begin(), static_cast<uint8_t>(0xc0 | (output.odd_y ? 1 : 0)));
    PublishRecord update = ExamplePublish();
    update.updates = MakeClaimId(publish->Output(1));
    MutableTransaction tx =
        ledger.Build({publish->Output(1), ledger.Fund(Slu(9))}, {Ledger::RecordOutput(update), {Slu(1), KeyScript(1)}});
    tx.inputs[0].witness = {leaf, control};
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-update-unsigned");
}

TEST(Publish, SpendingTheAnchorAloneRetiresTheClaim) {
    Ledger ledger;
    const OutPoint anchor = ledger.Published(ExamplePublish());
    ledger.Connect({ledger.Sign(ledger.Build({anchor}, {}))});
    EXPECT_EQ(ledger.state.Get<ClaimState>(MakeClaimId(anchor)), std::nullopt);
    EXPECT_EQ(ledger.state.Get<PublishState>(anchor)->superseded, Height(102));
    const auto expiry = ledger.state.Get<PublishExpiry>(Height(106));
    ASSERT_TRUE(expiry.has_value());
    EXPECT_EQ(expiry->publishes, std::vector<OutPoint>{anchor});
}

TEST(Publish, IsErasedOneBlockAfterItsGrace) {
    Ledger ledger;
    const OutPoint anchor = ledger.Published(ExamplePublish());
    ledger.Connect({ledger.Sign(ledger.Build({anchor}, {}))});  // superseded at 102, grace 3
    ledger.ConnectEmpty(3);                                     // 105
    EXPECT_TRUE(ledger.state.Get<PublishState>(anchor).has_value());
    ledger.Connect();  // 106
    EXPECT_EQ(ledger.state.Get<PublishState>(anchor), std::nullopt);
    EXPECT_FALSE(ledger.state.Read(StateKey<PublishExpiry>(Height(106))).has_value());
}

TEST(Purchase, LocksThePriceUnderTheTermsOfThePublish) {
    Ledger ledger;
    const OutPoint anchor = ledger.Published(ExamplePublish());
    const Lock lock = ledger.Purchased(anchor, Amount(Slu(5).drops + 2'000));
    EXPECT_EQ(ledger.state.Get<PurchaseState>(lock.outpoint),
              (PurchaseState{anchor, MakeClaimId(anchor), 0, TestKey(kBuyerKey).XOnly(), TestKey(kSellerKey).XOnly(),
                             TestKey(kTitleKey).Public(), Slu(5), KeyScript(testing::kPayoutKey), lock.height}));
    EXPECT_EQ(ledger.state.Get<Coin>(lock.outpoint)->kind, CoinKind::kPurchase);
}

class PurchaseRules : public ::testing::Test {
  protected:
    PurchaseRules() {
        PublishRecord publish = ExamplePublish();
        publish.segments = {SegmentAt(0, Slu(2)), SegmentAt(1, Amount(0))};
        anchor = ledger.Published(publish);
        coin = ledger.Fund(Slu(100));
        record = ledger.ExamplePurchase(anchor);
    }
    std::string Code(Amount value = Slu(5)) { return ledger.Code(ledger.Purchase(record, value, coin)); }

    Ledger ledger;
    OutPoint anchor, coin;
    PurchaseRecord record;
};

TEST_F(PurchaseRules, ValueIsAtLeastThePrice) {
    EXPECT_EQ(Code(Slu(5)), "");
    EXPECT_EQ(Code(Amount(Slu(5).drops - 1)), "bad-purchase-value");
}

TEST_F(PurchaseRules, TierIsTheTitleOrASegmentThatIsSold) {
    record.tier = 1;
    EXPECT_EQ(Code(Slu(2)), "");
    EXPECT_EQ(Code(Amount(Slu(2).drops - 1)), "bad-purchase-value");
    record.tier = 2;
    EXPECT_EQ(Code(), "bad-purchase-tier");
    record.tier = 3;
    EXPECT_EQ(Code(), "bad-purchase-tier");
    record.tier = 0xffff;
    EXPECT_EQ(Code(), "bad-purchase-tier");
}

TEST_F(PurchaseRules, RefundHeightLeavesTheWholeWindow) {
    EXPECT_EQ(Code(), "");
    record.refund_height = record.refund_height - 1;
    EXPECT_EQ(Code(), "bad-purchase-window");
    record.refund_height = Height(kMaxLockHeight);
    EXPECT_EQ(Code(), "");
    MutableTransaction tx = ledger.Build(
        {coin}, {Ledger::RecordOutput(PurchaseRecord{anchor, 0, record.buyer_key, Height(kMaxLockHeight + 1)}),
                 {Slu(5), KeyScript(1)}});
    EXPECT_EQ(ledger.Code(ledger.Sign(tx, kSighashDefault, Ledger::PurchaseAnnex())), "bad-purchase-window");
}

TEST_F(PurchaseRules, PublishExists) {
    record.publish.index += 1;
    const auto effect = ledger.Try(ledger.Purchase(record, Slu(5), coin));
    EXPECT_EQ(effect.error().code, "bad-purchase-publish");
    EXPECT_EQ(effect.error().what, Invalid::What::kMissingInputs);
}

TEST_F(PurchaseRules, BuyerKeyIsOnTheCurve) {
    record.buyer_key = OffCurveKey();
    MutableTransaction tx = ledger.Build({coin}, {Ledger::RecordOutput(record), {Slu(5), KeyScript(1)}});
    EXPECT_EQ(ledger.Code(ledger.Sign(tx, kSighashDefault, Ledger::PurchaseAnnex())), "bad-purchase-key");
}

TEST_F(PurchaseRules, LockIsTheTemplateToTheLetter) {
    EXPECT_EQ(ledger.Code(ledger.Purchase(record, Slu(5), coin, kSellerKey + 1)),
              "bad-purchase-lock");  // another seller
    const auto good = MakeLockTemplate(record.buyer_key, TestKey(kSellerKey).XOnly(), record.refund_height);
    record.refund_height = record.refund_height + 1;  // another height
    MutableTransaction tx = ledger.Build({coin}, {Ledger::RecordOutput(record), {Slu(5), good->output_script}});
    EXPECT_EQ(ledger.Code(ledger.Sign(tx, kSighashDefault, Ledger::PurchaseAnnex())), "bad-purchase-lock");
}

TEST_F(PurchaseRules, FirstInputCarriesAnAnnexOfTheExactLength) {
    const auto lock = MakeLockTemplate(record.buyer_key, TestKey(kSellerKey).XOnly(), record.refund_height);
    const MutableTransaction tx =
        ledger.Build({coin, ledger.Fund(Slu(1))}, {Ledger::RecordOutput(record), {Slu(5), lock->output_script}});
    Bytes annex = Ledger::PurchaseAnnex();
    EXPECT_EQ(ledger.Code(ledger.Sign(tx, kSighashDefault, annex)), "");
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-purchase-annex");
    annex.push_back(0);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx, kSighashDefault, annex)), "bad-purchase-annex");
    annex.resize(kPurchaseAnnexBytes - 1);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx, kSighashDefault, annex)), "bad-purchase-annex");
    MutableTransaction second = ledger.Sign(tx, kSighashDefault, Ledger::PurchaseAnnex())->tx();
    second.inputs[1].witness.push_back(Ledger::PurchaseAnnex());
    EXPECT_EQ(ledger.Code(MakeTransaction(second)), "bad-annex");
}

TEST_F(PurchaseRules, OnlyOneInATransaction) {
    const auto lock = MakeLockTemplate(record.buyer_key, TestKey(kSellerKey).XOnly(), record.refund_height);
    const TxOutput said = Ledger::RecordOutput(record), locked{Slu(5), lock->output_script};
    EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({coin}, {said, locked, said, locked}), kSighashDefault,
                                      Ledger::PurchaseAnnex())),
              "bad-record-repeated");
}

TEST_F(PurchaseRules, StaysPossibleForTheGraceAfterThePublishIsReplaced) {
    ledger.Connect({ledger.Update(ExamplePublish(), MakeClaimId(anchor), anchor, ledger.Fund(Slu(2)))});
    const auto buy = [&] {
        record = ledger.ExamplePurchase(anchor);
        return Code();
    };
    EXPECT_EQ(buy(), "");
    ledger.ConnectEmpty(2);
    EXPECT_EQ(ledger.next_height() - *ledger.state.Get<PublishState>(anchor)->superseded, 3);
    EXPECT_EQ(buy(), "");
    ledger.Connect();
    EXPECT_EQ(buy(), "bad-purchase-publish");
    ledger.Connect();
    EXPECT_EQ(buy(), "bad-purchase-publish");
}

TEST_F(PurchaseRules, FreeContentIsNotSold) {
    PublishRecord free = ExamplePublish();
    free.price = Amount(0);
    free.free_key = Hash256::FromSpan(TestKey(kTitleKey).bytes().first<32>());
    record = ledger.ExamplePurchase(ledger.Published(free));
    EXPECT_EQ(Code(), "bad-purchase-free");
}

class GrantRules : public ::testing::Test {
  protected:
    GrantRules() {
        anchor = ledger.Published(ExamplePublish());
        lock = ledger.Purchased(anchor, Amount(Slu(5).drops + 2'000));
        coin = ledger.Fund(Slu(3));
    }
    Ledger ledger;
    OutPoint anchor, coin;
    Lock lock;
};

TEST_F(GrantRules, PaysThePriceAndEndsThePurchase) {
    ledger.Connect({ledger.Grant(lock, Slu(5), coin)});
    EXPECT_EQ(ledger.state.Get<PurchaseState>(lock.outpoint), std::nullopt);
}

TEST_F(GrantRules, OutlivesThePublishItWasBoughtFrom) {
    ledger.Connect({ledger.Sign(ledger.Build({anchor}, {}))});
    ledger.ConnectEmpty(5);
    ASSERT_EQ(ledger.state.Get<PublishState>(anchor), std::nullopt);
    ledger.Connect({ledger.Grant(lock, Slu(5), coin)});
}

TEST_F(GrantRules, OutputOfTheSameIndexPaysThePayoutExactlyThePrice) {
    EXPECT_EQ(ledger.Code(ledger.Grant(lock, Slu(5), coin)), "");
    EXPECT_EQ(ledger.Code(ledger.Grant(lock, Amount(Slu(5).drops - 1), coin)), "bad-grant-payout");
    EXPECT_EQ(ledger.Code(ledger.Grant(lock, Amount(Slu(5).drops + 1), coin)), "bad-grant-payout");
    MutableTransaction tx = ledger.BuildGrant(lock, Slu(5), coin);
    tx.outputs[0].script = KeyScript(1);
    ledger.SignPay(tx, 0, lock);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-grant-payout");
    tx = ledger.BuildGrant(lock, Slu(5), coin);
    std::swap(tx.inputs[0], tx.inputs[1]);
    ledger.SignPay(tx, 1, lock);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-grant-payout");
}

TEST_F(GrantRules, IsNamedInTheRecord) {
    MutableTransaction tx = ledger.BuildGrant(lock, Slu(5), coin);
    tx.outputs.erase(tx.outputs.begin() + 1);
    ledger.SignPay(tx, 0, lock);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-grant");
}

TEST_F(GrantRules, RecordNamesExactlyThePurchasesInOrder) {
    const Lock second = ledger.Purchased(anchor, Slu(5));
    const auto grant = [&](std::vector<OutPoint> named) {
        MutableTransaction tx =
            ledger.Build({lock.outpoint, second.outpoint, coin}, {{Slu(5), KeyScript(testing::kPayoutKey)},
                                                                  {Slu(5), KeyScript(testing::kPayoutKey)},
                                                                  Ledger::RecordOutput(GrantRecord{std::move(named)})});
        tx.inputs[0].sequence = tx.inputs[1].sequence = kLockSpendSequence;
        ledger.SignPay(tx, 0, lock);
        ledger.SignPay(tx, 1, second);
        return ledger.Code(ledger.Sign(tx));
    };
    EXPECT_EQ(grant({lock.outpoint, second.outpoint}), "");
    EXPECT_EQ(grant({second.outpoint, lock.outpoint}), "bad-grant");
    EXPECT_EQ(grant({lock.outpoint}), "bad-grant");
    EXPECT_EQ(grant({lock.outpoint, second.outpoint, anchor}), "bad-grant");
    EXPECT_EQ(grant({lock.outpoint, second.outpoint, second.outpoint}), "bad-grant");
}

TEST_F(GrantRules, RecordWithoutAGrantIsRefused) {
    EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({coin}, {Ledger::RecordOutput(GrantRecord{{lock.outpoint}})}))),
              "bad-grant");
}

TEST_F(GrantRules, OnlyOneRecordInATransaction) {
    MutableTransaction tx = ledger.BuildGrant(lock, Slu(5), coin);
    tx.outputs.push_back(tx.outputs[1]);
    ledger.SignPay(tx, 0, lock);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-record-repeated");
}

TEST_F(GrantRules, BuyerSignsItsOutputOrAllAndSellerSignsDefault) {
    const auto grant = [&](uint8_t owner_type, uint8_t payee_type) {
        MutableTransaction tx = ledger.BuildGrant(lock, Slu(5), coin);
        ledger.SignPay(tx, 0, lock, owner_type, payee_type);
        return ledger.Code(ledger.Sign(tx));
    };
    for (const uint8_t owner : {0x00, 0x01, 0x83}) EXPECT_EQ(grant(owner, kSighashDefault), "") << int{owner};
    for (const uint8_t owner : {0x02, 0x03, 0x81, 0x82})
        EXPECT_EQ(grant(owner, kSighashDefault), "bad-record-sighash") << int{owner};
    for (const uint8_t payee : {0x01, 0x02, 0x03, 0x81, 0x82, 0x83})
        EXPECT_EQ(grant(0x83, payee), "bad-record-sighash") << int{payee};
}

TEST_F(GrantRules, LeafIsOneOfTheTwo) {
    MutableTransaction tx = ledger.BuildGrant(lock, Slu(5), coin);
    ledger.SignPay(tx, 0, lock);
    MutableTransaction other = tx;
    other.inputs[0].witness[2].push_back(kOpDrop);
    EXPECT_EQ(ledger.Code(ledger.Sign(other)), "bad-purchase-spend");
    other = tx;
    other.inputs[0].witness = {Bytes(64, 1)};
    EXPECT_EQ(ledger.Code(ledger.Sign(other)), "bad-purchase-spend");
    other = tx;
    other.inputs[0].witness[3][0] ^= 1;
    EXPECT_EQ(ledger.Code(ledger.Sign(other)), "mandatory-script-verify-flag-failed");
}

TEST_F(GrantRules, RefundIsInvalidOneBlockBeforeItsHeight) {
    while (ledger.next_height() < lock.height) ledger.Connect();
    const auto refund = ledger.Refund(lock);
    EXPECT_EQ(ledger.Code(refund), "non-final");  // lock times lie below the block's height
    MutableTransaction early = refund->tx();
    early.lock_time -= 1;
    ledger.SignRefund(early, 0, lock);
    EXPECT_EQ(ledger.Code(MakeTransaction(early)), "mandatory-script-verify-flag-failed");
    ledger.Connect();
    ledger.Connect({refund});
    EXPECT_EQ(ledger.state.Get<PurchaseState>(lock.outpoint), std::nullopt);
}

class ChannelRules : public ::testing::Test {
  protected:
    ChannelRules() { coin = ledger.Fund(Slu(20)); }
    Ledger ledger;
    OutPoint coin;
};

TEST_F(ChannelRules, OpensForAtLeastTheWindow) {
    const Height least = ledger.next_height() + ledger.params.channel_window_blocks;
    EXPECT_EQ(ledger.Code(ledger.OpenChannel(least, Slu(4), coin)), "");
    EXPECT_EQ(ledger.Code(ledger.OpenChannel(least - 1, Slu(4), coin)), "bad-channel-window");
    EXPECT_EQ(ledger.Code(ledger.OpenChannel(Height(kMaxLockHeight), Slu(4), coin)), "");
    const Lock lock = ledger.Opened(Slu(4));
    EXPECT_EQ(ledger.state.Get<ChannelState>(lock.outpoint),
              (ChannelState{TestKey(kPayerKey).XOnly(), TestKey(kPayeeKey).XOnly(), lock.height}));
    EXPECT_EQ(ledger.state.Get<Coin>(lock.outpoint)->kind, CoinKind::kChannel);
}

TEST_F(ChannelRules, LockIsTheTemplateAndKeysAreOnTheCurve) {
    const Height expiry = ledger.next_height() + 100;
    const auto open = [&](const XOnlyPubKey& payer, const XOnlyPubKey& payee, Height height, const Script& script) {
        return ledger.Code(ledger.Sign(
            ledger.Build({coin}, {Ledger::RecordOutput(ChannelRecord{payer, payee, height}), {Slu(4), script}})));
    };
    const XOnlyPubKey payer = TestKey(1).XOnly(), payee = TestKey(2).XOnly();
    const Script script = MakeLockTemplate(payer, payee, expiry)->output_script;
    EXPECT_EQ(open(payer, payee, expiry, script), "");
    EXPECT_EQ(open(payer, payee, expiry + 1, script), "bad-channel-lock");
    EXPECT_EQ(open(payee, payer, expiry, script), "bad-channel-lock");
    EXPECT_EQ(open(payer, payee, Height(kMaxLockHeight + 1), script), "bad-channel-window");
    EXPECT_EQ(open(OffCurveKey(), payee, expiry, script), "bad-channel-key");
    EXPECT_EQ(open(payer, OffCurveKey(), expiry, script), "bad-channel-key");
}

TEST_F(ChannelRules, ManyOpenInOneTransaction) {
    const Height expiry = ledger.next_height() + 100;
    std::vector<TxOutput> outputs;
    for (uint32_t i = 0; i < 3; ++i) {
        const ChannelRecord record{TestKey(1).XOnly(), TestKey(2 + i).XOnly(), expiry};
        outputs.push_back(Ledger::RecordOutput(record));
        outputs.push_back({Slu(1), MakeLockTemplate(record.payer_key, record.payee_key, expiry)->output_script});
    }
    const auto tx = ledger.Sign(ledger.Build({coin}, outputs));
    ledger.Connect({tx});
    for (uint32_t i = 0; i < 3; ++i)
        EXPECT_EQ(ledger.state.Get<ChannelState>(tx->Output(2 * i + 1))->payee_key, TestKey(2 + i).XOnly());
}

TEST_F(ChannelRules, SettlesByVoucher) {
    const Lock lock = ledger.Opened(Slu(4));
    ledger.Connect({ledger.Settle(lock, Slu(1), coin)});
    EXPECT_EQ(ledger.state.Get<ChannelState>(lock.outpoint), std::nullopt);
}

TEST_F(ChannelRules, SettleRecordIsOfExactlyTheFirstInputsWhichAreTheChannels) {
    const Lock first = ledger.Opened(Slu(4)), second = ledger.Opened(Slu(4));
    const auto settle = [&](std::vector<uint64_t> served, bool channels_first = true) {
        std::vector<TxOutput> outputs{{Slu(1), KeyScript(2)}, {Slu(1), KeyScript(2)}};
        if (!served.empty()) outputs.push_back(Ledger::RecordOutput(SettleRecord{std::move(served)}));
        std::vector<OutPoint> inputs{first.outpoint, second.outpoint};
        inputs.insert(channels_first ? inputs.end() : inputs.begin(), coin);
        if (!channels_first) outputs.insert(outputs.begin(), {Slu(1), KeyScript(2)});
        MutableTransaction tx = ledger.Build(inputs, outputs);
        const size_t at = channels_first ? 0 : 1;
        tx.inputs[at].sequence = tx.inputs[at + 1].sequence = kLockSpendSequence;
        ledger.SignPay(tx, at, first);
        ledger.SignPay(tx, at + 1, second);
        return ledger.Code(ledger.Sign(tx));
    };
    EXPECT_EQ(settle({1, 2}), "");
    EXPECT_EQ(settle({1}), "bad-settle");
    EXPECT_EQ(settle({1, 2, 3}), "bad-settle");
    EXPECT_EQ(settle({}), "bad-settle");
    EXPECT_EQ(settle({1, 2}, false), "bad-settle");
    EXPECT_EQ(settle({1, 2, 3}, false), "bad-settle");
    EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({coin}, {Ledger::RecordOutput(SettleRecord{{1}})}))), "bad-settle");
}

TEST_F(ChannelRules, PayeeSignsDefault) {
    const Lock lock = ledger.Opened(Slu(4));
    const auto settle = [&](uint8_t payee_type) {
        MutableTransaction tx = ledger.BuildSettle(lock, Slu(1), coin);
        ledger.SignPay(tx, 0, lock, testing::kSingleAnyoneCanPay, payee_type);
        return ledger.Code(ledger.Sign(tx));
    };
    EXPECT_EQ(settle(kSighashDefault), "");
    EXPECT_EQ(settle(testing::kSingleAnyoneCanPay), "bad-record-sighash");  // anyone could redirect the take
}

TEST_F(ChannelRules, RefundComesAfterTheExpiryAndNotBefore) {
    const Lock lock = ledger.Opened(Slu(4));
    while (ledger.next_height() < lock.height) ledger.Connect();
    const auto refund = ledger.Refund(lock);
    EXPECT_EQ(ledger.Code(refund), "non-final");
    ledger.Connect();
    ledger.Connect({refund});
    EXPECT_EQ(ledger.state.Get<ChannelState>(lock.outpoint), std::nullopt);
}

TEST_F(ChannelRules, ChannelIsNotSpentAnotherWay) {
    const Lock lock = ledger.Opened(Slu(4));
    MutableTransaction tx = ledger.BuildSettle(lock, Slu(1), coin);
    tx.inputs[0].witness = {Bytes(64, 1)};
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-channel-spend");
}

TEST(Records, GrantAndSettleShareATransaction) {
    Ledger ledger;
    const Lock purchase = ledger.Purchased(ledger.Published(ExamplePublish()), Slu(5));
    const Lock channel = ledger.Opened(Slu(4));
    MutableTransaction tx = ledger.Build({channel.outpoint, purchase.outpoint, ledger.Fund(Slu(1))},
                                         {{Slu(1), KeyScript(2)},
                                          {Slu(5), KeyScript(testing::kPayoutKey)},
                                          Ledger::RecordOutput(SettleRecord{{5}}),
                                          Ledger::RecordOutput(GrantRecord{{purchase.outpoint}})});
    tx.inputs[0].sequence = tx.inputs[1].sequence = kLockSpendSequence;
    ledger.SignPay(tx, 0, channel);
    ledger.SignPay(tx, 1, purchase);
    ledger.Connect({ledger.Sign(tx)});
}

}  // namespace
}  // namespace sluice::consensus
