#include "primitives/transaction.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace sluice {
namespace {

MutableTransaction Sample() {
    MutableTransaction tx;
    tx.inputs.resize(2);
    tx.inputs[0].prevout.index = 5;
    tx.inputs[0].witness = {{1, 2, 3}, {}};
    tx.outputs = {{Amount(7), {0x51}}};
    tx.lock_time = 9;
    return tx;
}

std::string Refused(const Bytes& bytes) {
    const auto tx = MutableTransaction::FromBytes(bytes);
    return tx ? "" : tx.error().message;
}

// The signed transaction of BIP341's vectors, whose ids public tools agree on.
TEST(Transaction, SegwitSerializationIsBitcoins) {
    std::ifstream file(std::string(SLUICE_TEST_VECTORS) + "/bip341_sighash.json");
    const auto vector = nlohmann::json::parse(file)["transaction"];
    const Bytes bytes = *HexDecode(vector["signed"].get<std::string>());
    const auto tx = MutableTransaction::FromBytes(bytes);
    ASSERT_TRUE(tx) << tx.error().message;
    EXPECT_EQ(tx->version, 2);
    EXPECT_EQ(tx->inputs.size(), 9u);
    EXPECT_EQ(tx->outputs.size(), 2u);
    EXPECT_EQ(tx->lock_time, 500'000'000u);
    EXPECT_EQ(tx->ToBytes(), bytes);
    EXPECT_EQ(CastHash<Hash256>(tx->ComputeWtxid()), crypto::Sha256d(bytes));
    EXPECT_EQ(CastHash<Hash256>(tx->ComputeTxid()), crypto::Sha256d(tx->ToBytes(false)));
}

TEST(Transaction, HashesAndSizesFollowTheWitness) {
    MutableTransaction tx = Sample();
    const Transaction with(tx);
    EXPECT_EQ(with.total_bytes(), tx.ToBytes().size());
    EXPECT_EQ(with.stripped_bytes(), tx.ToBytes(false).size());
    EXPECT_EQ(with.weight(), 3 * with.stripped_bytes() + with.total_bytes());
    EXPECT_EQ(with.vsize(), (with.weight() + 3) / 4);
    tx.inputs[0].witness[0][0] ^= 1;
    const Transaction changed(tx);
    EXPECT_EQ(changed.txid(), with.txid());
    EXPECT_NE(changed.wtxid(), with.wtxid());
    tx.inputs[0].witness.clear();
    const Transaction without(tx);
    EXPECT_EQ(without.txid(), with.txid());
    EXPECT_EQ(without.wtxid(), CastHash<Wtxid>(without.txid()));
    EXPECT_EQ(without.weight(), 4 * without.stripped_bytes());
}

TEST(Transaction, RoundTripsWithAndWithoutWitness) {
    MutableTransaction tx = Sample();
    EXPECT_EQ(MutableTransaction::FromBytes(tx.ToBytes()).value(), tx);
    tx.inputs[0].witness.clear();
    EXPECT_EQ(MutableTransaction::FromBytes(tx.ToBytes()).value(), tx);
}

TEST(Transaction, OnlyTheCanonicalEncodingIsAccepted) {
    const Bytes good = Sample().ToBytes();
    EXPECT_EQ(Refused(good), "");
    for (size_t size = 0; size < good.size(); ++size)
        EXPECT_NE(Refused(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(size))), "") << size;
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_EQ(Refused(longer), "1 bytes follow the end of the data");
    Bytes flag = good;
    flag[5] = 2;
    EXPECT_EQ(Refused(flag), "a transaction has an unknown extension flag");

    // The marker without any witness.
    MutableTransaction plain = Sample();
    plain.inputs[0].witness.clear();
    Bytes superfluous = plain.ToBytes();
    superfluous.insert(superfluous.begin() + 4, {0, 1});
    superfluous.insert(superfluous.end() - 4, {0, 0});
    EXPECT_EQ(Refused(superfluous), "a transaction has a witness marker but no witness");

    // A count of inputs in a longer form than needed.
    Bytes count = plain.ToBytes();
    count[4] = 0xfd;
    count.insert(count.begin() + 5, {2, 0});
    EXPECT_NE(Refused(count), "");
}

TEST(Transaction, CountsThatDoNotFitAreRefusedBeforeAnythingIsAllocated) {
    for (const std::string hex : {"03000000feffffffff", "03000000fd1127", "030000000001fe00000001"})
        EXPECT_NE(Refused(*HexDecode(hex)), "") << hex;
}

TEST(Transaction, LongerThanItsLimitIsRefused) {
    const Bytes bytes = Sample().ToBytes();
    EXPECT_TRUE(MutableTransaction::FromBytes(bytes, bytes.size()));
    EXPECT_FALSE(MutableTransaction::FromBytes(bytes, bytes.size() - 1));
}

TEST(Transaction, CoinbaseHasOneInputWithoutAnOutpoint) {
    MutableTransaction tx;
    tx.inputs.resize(1);
    EXPECT_FALSE(Transaction(tx).IsCoinbase());
    tx.inputs[0].prevout = kNullOutPoint;
    EXPECT_TRUE(Transaction(tx).IsCoinbase());
    tx.inputs.resize(2);
    EXPECT_FALSE(Transaction(tx).IsCoinbase());
}

TEST(OutPoint, IsWrittenAsTxidAndIndex) {
    const std::string text = std::string(62, '0') + "ab:4294967295";
    const auto outpoint = OutPoint::FromString(text);
    ASSERT_TRUE(outpoint);
    EXPECT_EQ(outpoint->index, 0xffffffff);
    EXPECT_EQ(outpoint->ToString(), text);
    for (const std::string& wrong :
         {std::string("ab:1"), std::string(64, '0'), std::string(64, '0') + ":", std::string(64, '0') + ":4294967296",
          std::string(64, '0') + ":-1", std::string(64, '0') + ":1x", std::string(64, 'g') + ":1"})
        EXPECT_FALSE(OutPoint::FromString(wrong)) << wrong;
}

}  // namespace
}  // namespace sluice
