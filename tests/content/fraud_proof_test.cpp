#include "content/fraud_proof.h"

#include <gtest/gtest.h>

#include "../consensus/ledger_fixture.h"
#include "content/bundle.h"
#include "content/sale.h"
#include "content/sealing.h"

namespace sluice::content {
namespace {

using namespace consensus::testing;

struct Plain final : PlainSource {
    explicit Plain(Bytes from) : bytes(std::move(from)) {}
    uint64_t size_bytes() const override { return bytes.size(); }
    Status Read(MutableByteSpan into) override {
        std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(at), into.size(), into.begin());
        at += into.size();
        return {};
    }
    Status CheckEnd() override { return {}; }
    Bytes bytes;
    size_t at{0};
};
struct Chunks final : ChunkSink {
    Status Put(ChunkIndex, ByteSpan sealed, std::span<const Hash256> leaves) override {
        chunks.push_back(ToBytes(sealed));
        hashes.push_back(builder.Add(leaves));
        return {};
    }
    std::vector<Bytes> chunks;
    std::vector<Hash256> hashes;
    RootBuilder builder;
};

// A seller who seals `plain` with a key and sells kTitleKey.
struct Case {
    Case(Bytes plain, const crypto::SecretKey& sealing_key, std::vector<BundledTitle> bundle = {}) {
        ledger.params.refund_window_blocks = 30;
        record = ExamplePublish();
        record.bundle = std::move(bundle);
        Plain source(std::move(plain));
        SealJob job;
        job.source = &source;
        const auto result = Seal(job, ContentKeys::FromTitleKey(sealing_key.Clone()), record.sealing_salt, sealed);
        CHECK(result.has_value());
        record.content = result->content;
        const auto publish_tx = ledger.Publish(record, ledger.Fund(Slu(10)));
        ledger.Connect({publish_tx});
        const PurchaseRecord purchase_record = ledger.ExamplePurchase(publish_tx->Output(1));
        const auto purchase_tx = ledger.Purchase(purchase_record, Amount(Slu(5).drops + 10'000), ledger.Fund(Slu(100)));
        ledger.Connect({purchase_tx});
        const LockedPurchase purchase{purchase_tx->Output(1), purchase_tx->outputs()[1],
                                      *ledger.state.Get<consensus::PurchaseState>(purchase_tx->Output(1))};
        std::vector<GrantItem> items;
        items.push_back(
            {purchase, *MakePreSignature(TestKey(kBuyerKey), purchase), TestKey(kTitleKey), TestKey(kSellerKey)});
        const auto grant = BuildGrant(ledger.params, ledger.height, items, {}, Amount(1'000));
        CHECK(grant.has_value());
        proof.publish = publish_tx;
        proof.record_output = 0;
        proof.sale = FraudProof::Sale{purchase_tx, MakeTransaction(grant->tx), grant->spent};
        proof.secret = Hash256::FromSpan(TestKey(kTitleKey).bytes().first<32>());
        SetChunk(0);
    }
    void SetChunk(uint32_t chunk) {
        proof.chunk = ChunkIndex(chunk);
        proof.chunk_bytes = sealed.chunks.at(chunk);
        const uint64_t size = record.content.size_bytes;
        std::vector<std::vector<Hash256>> levels{sealed.hashes};
        if (sealed.hashes.size() == 1)
            levels[0][0] = Hash256::FromSpan(ByteSpan(record.content.root.bytes).first<32>());
        for (uint32_t level = 1; level <= TreeDepth(size); ++level) {
            std::vector<Hash256> above;
            for (uint64_t i = 0; i < NodesAtLevel(size, level); ++i) {
                const auto& below = levels.back();
                const Hash256 right = 2 * i + 1 < below.size() ? below[2 * i + 1] : PaddingHash(level - 1);
                above.push_back(crypto::Sha256Pair(below[2 * i], right));
            }
            levels.push_back(std::move(above));
        }
        const auto made = MakeHashProof(size, {proof.chunk, 1}, [&](const TreeNode& node) -> std::optional<Hash256> {
            if (node.level >= levels.size() || node.index >= levels[node.level].size()) return std::nullopt;
            return levels[node.level][node.index];
        });
        CHECK(made.has_value());
        proof.proof = *made;
    }
    std::string Why() const {
        const auto found = VerifyFraudProof(proof);
        return found ? "" : found.error().message;
    }

    Ledger ledger;
    PublishRecord record;
    Chunks sealed;
    FraudProof proof;
};

Bytes Film() {
    Bytes film(3 * kSliceBytes - 5);
    for (size_t i = 0; i < film.size(); ++i) film[i] = static_cast<uint8_t>(i * 7);
    return film;
}

TEST(FraudProof, ContentUnderAnotherKeyIsProvenFromTheBytesOfTheProofAlone) {
    Case fraud(Film(), TestKey(70));
    for (uint32_t chunk = 0; chunk < 3; ++chunk) {
        fraud.SetChunk(chunk);
        const auto read = FraudProof::FromBytes(fraud.proof.ToBytes());
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(read->ToBytes(), fraud.proof.ToBytes());
        const auto finding = VerifyFraudProof(*read);
        ASSERT_TRUE(finding) << finding.error().message;
        EXPECT_EQ(finding->kind, FraudFinding::Kind::kDoesNotOpen);
        EXPECT_EQ(finding->record, fraud.record);
    }
}

TEST(FraudProof, AnHonestSaleGivesNoProof) {
    Case honest(Film(), TestKey(kTitleKey));
    for (uint32_t chunk = 0; chunk < 3; ++chunk) {
        honest.SetChunk(chunk);
        EXPECT_NE(honest.Why().find("nothing is proven"), std::string::npos) << honest.Why();
    }
}

// [a buyer who frames an honest seller]
TEST(FraudProof, NoChangeOfAnHonestSaleMakesAProof) {
    Case honest(Film(), TestKey(kTitleKey));
    const FraudProof good = honest.proof;
    const auto refused = [&](auto change) {
        honest.proof = good;
        change(honest.proof);
        return !honest.Why().empty();
    };
    EXPECT_TRUE(refused([](FraudProof& p) { p.chunk_bytes[100] ^= 1; }));
    EXPECT_TRUE(refused([](FraudProof& p) { p.chunk_bytes.pop_back(); }));
    EXPECT_TRUE(refused([](FraudProof& p) { p.chunk = ChunkIndex(1); }));
    EXPECT_TRUE(refused([](FraudProof& p) { p.chunk = ChunkIndex(3); }));
    EXPECT_TRUE(refused([](FraudProof& p) { p.proof.hashes[0].bytes[0] ^= 1; }));
    EXPECT_TRUE(refused([](FraudProof& p) { p.secret.bytes[31] ^= 1; }));
    EXPECT_TRUE(refused([](FraudProof& p) { p.tier = 1; }));
    EXPECT_TRUE(refused([](FraudProof& p) { p.sale.reset(); }));
    EXPECT_TRUE(refused([](FraudProof& p) { p.record_output = 1; }));
}

TEST(FraudProof, TheSaleHasToBeOfThisPublishAndSignedByTheSeller) {
    Case fraud(Film(), TestKey(70));
    const FraudProof good = fraud.proof;
    const auto why = [&](auto change) {
        fraud.proof = good;
        change(fraud.proof);
        return fraud.Why();
    };
    EXPECT_EQ(why([](FraudProof&) {}), "");
    EXPECT_NE(why([](FraudProof& p) { p.sale->purchase = p.publish; }), "");
    EXPECT_NE(why([](FraudProof& p) { p.sale->grant = p.sale->purchase; }), "");
    EXPECT_NE(why([](FraudProof& p) { p.sale->spent[0].value.drops += 1; }), "");
    EXPECT_NE(why([](FraudProof& p) { p.sale->spent.push_back({}); }), "");
    const auto changed_grant = [](FraudProof& p, auto change) {
        MutableTransaction tx = p.sale->grant->tx();
        change(tx);
        p.sale->grant = MakeTransaction(std::move(tx));
    };
    EXPECT_NE(why([&](FraudProof& p) { changed_grant(p, [](auto& tx) { tx.outputs[0].value.drops += 1; }); }), "");
    EXPECT_NE(why([&](FraudProof& p) { changed_grant(p, [](auto& tx) { tx.inputs[0].witness[0][5] ^= 1; }); }), "");
    EXPECT_NE(why([&](FraudProof& p) { changed_grant(p, [](auto& tx) { tx.inputs[0].witness[1][5] ^= 1; }); }), "");
    EXPECT_NE(why([&](FraudProof& p) { changed_grant(p, [](auto& tx) { tx.lock_time = 1; }); }), "");
    // A publish that says another salt is another publish: the purchase does not name it.
    EXPECT_NE(why([&](FraudProof& p) {
                  PublishRecord other = fraud.record;
                  other.sealing_salt.bytes[0] ^= 1;
                  p.publish = fraud.ledger.Publish(other, fraud.ledger.Fund(Slu(10)));
              }),
              "");
}

TEST(FraudProof, BytesThatAreCutOrLongerAreNoProof) {
    const Bytes bytes = Case(Bytes(1'000, 1), TestKey(70)).proof.ToBytes();
    for (size_t size = 0; size < bytes.size(); size += 13)
        EXPECT_FALSE(FraudProof::FromBytes(ByteSpan(bytes).first(size))) << size;
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(FraudProof::FromBytes(longer));
}

TEST(FraudProof, ABundleThatHoldsAnotherKeyIsProvenAndAnHonestOneIsNot) {
    std::vector<BundledTitle> titles(2);
    titles[0].key = TestKey(80).Public();
    titles[1].key = TestKey(81).Public();
    titles[1].claim.bytes[0] = 7;
    std::vector<crypto::SecretKey> good, bad;
    good.push_back(TestKey(80)), good.push_back(TestKey(81));
    bad.push_back(TestKey(80)), bad.push_back(TestKey(82));
    Case honest(EncodeBundle(good), TestKey(kTitleKey), titles);
    EXPECT_NE(honest.Why(), "");
    Case fraud(EncodeBundle(bad), TestKey(kTitleKey), titles);
    const auto finding = VerifyFraudProof(fraud.proof);
    ASSERT_TRUE(finding) << finding.error().message;
    EXPECT_EQ(finding->kind, FraudFinding::Kind::kFalseBundle);
    EXPECT_NE(finding->what.find(titles[1].claim.Hex()), std::string::npos);
}

TEST(Bundle, EachKeyIsComparedWithWhatWasPromised) {
    std::vector<BundledTitle> titles(3);
    std::vector<crypto::SecretKey> keys;
    for (uint32_t i = 0; i < 3; ++i) {
        titles[i].key = TestKey(90 + i).Public();
        keys.push_back(TestKey(i == 1 ? 5 : 90 + i));
    }
    const Bytes content = EncodeBundle(keys);
    const auto opened = OpenBundle(titles, content);
    ASSERT_EQ(opened.size(), 3u);
    EXPECT_TRUE(opened[0].key && opened[2].key);
    EXPECT_FALSE(opened[1].key);
    for (const BundledKey& key : OpenBundle(titles, ByteSpan(content).first(content.size() - 1))) EXPECT_FALSE(key.key);
    for (const BundledKey& key : OpenBundle(titles, {})) EXPECT_FALSE(key.key);
}

}  // namespace
}  // namespace sluice::content
