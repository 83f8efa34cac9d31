#include "fuzz_ledger.h"
#include "primitives/address.h"

namespace sluice::fuzz {
namespace {

// ---- transaction: the strict decoder, the one inside blocks, and the hashes and sizes

void RunTransaction(ByteSpan input) {
    const auto decoded = MutableTransaction::FromBytes(input);
    if (!decoded) {
        CHECK(!decoded.error().message.empty());
        return;
    }
    CHECK(decoded->ToBytes() == ToBytes(input));
    const Transaction tx(*decoded);
    CHECK(tx.total_bytes() == input.size());
    CHECK(tx.stripped_bytes() == decoded->ToBytes(false).size());
    CHECK(tx.weight() <= 4 * tx.total_bytes());
    MutableTransaction stripped = *decoded;
    for (TxInput& in : stripped.inputs) in.witness.clear();
    CHECK(stripped.ComputeTxid() == tx.txid());
    CHECK((tx.wtxid().bytes == tx.txid().bytes) == !decoded->HasWitness());
    NoteAccepted();
}

std::vector<Seed> TransactionSeeds() {
    std::vector<Seed> seeds;
    for (const auto& [name, tx] : TheLedgerScene().transactions) seeds.push_back({name, tx->tx().ToBytes()});
    return seeds;
}
const Register kTransaction{{"transaction", RunTransaction, TransactionSeeds}};

// ---- block

void RunBlock(ByteSpan input) {
    const auto decoded = Block::FromBytes(input);
    if (!decoded) return;
    CHECK(decoded->ToBytes() == ToBytes(input));
    CHECK(decoded->weight() <= 4 * input.size());
    (void)consensus::CheckBlock(consensus::testing::TestParams(), *decoded);
    NoteAccepted();
}

std::vector<Seed> BlockSeeds() {
    LedgerScene& scene = TheLedgerScene();
    return {
        {"empty", scene.ledger.MakeBlock({}).ToBytes()},
        {"payments", scene.ledger.MakeBlock({scene.transactions[0].second, scene.transactions[3].second}).ToBytes()}};
}
const Register kBlock{{"block", RunBlock, BlockSeeds}};

void RunHeader(ByteSpan input) { CheckCanonical<BlockHeader>(input); }
std::vector<Seed> HeaderSeeds() { return {{"valid", Encode(ExampleHeader())}}; }
const Register kHeader{{"block_header", RunHeader, HeaderSeeds, 400}};

// ---- record: canonical, and its limits hold

void RunRecord(ByteSpan input) {
    const auto record = DecodeRecord(input);
    if (!record) return;
    CHECK(EncodeRecord(*record) == ToBytes(input));
    CHECK(!RecordTypeName(*record).empty());
    if (const auto* publish = std::get_if<PublishRecord>(&*record)) {
        CHECK(publish->segments.size() <= kMaxSegments);
        CHECK(publish->tags.size() <= kMaxTags);
        CHECK(!publish->title.empty() && publish->title.size() <= kMaxTitleBytes);
    }
    NoteAccepted();
}

std::vector<Seed> RecordSeeds() {
    std::vector<Seed> seeds;
    for (const auto& [name, record] : ExampleRecords()) seeds.push_back({name, EncodeRecord(record)});
    return seeds;
}
const Register kRecord{{"record", RunRecord, RecordSeeds}};

// ---- output scripts and addresses

void RunOutputScript(ByteSpan input) {
    const Script script = ToBytes(input);
    (void)ParseWitnessProgram(script);
    const auto parsed = ParseOutputScript(script);
    if (!parsed) return;
    switch (parsed->kind) {
        case OutputKind::kTaproot:
            CHECK(TaprootScript(parsed->key) == script);
            break;
        case OutputKind::kStake:
            CHECK(StakeScript(parsed->key, parsed->staker) == script);
            break;
        case OutputKind::kRecord:
            CHECK(!parsed->record.empty() && parsed->record.size() <= kMaxRecordBytes);
            CHECK(RecordScript(parsed->record) == script);
            NoteAccepted();
            return;
    }
    const std::string address = EncodeAddress(script, "tslu");
    const auto back = DecodeAddress(address, "tslu");
    CHECK(back && *back == script);
    NoteAccepted();
}

std::vector<Seed> OutputScriptSeeds() {
    return {{"taproot", consensus::testing::KeyScript(1)},
            {"stake", consensus::testing::KeyStakeScript(1)},
            {"record-short", RecordScript(Bytes(5, 1))},
            {"record-255", RecordScript(Bytes(255, 1))},
            {"record-300", RecordScript(Bytes(300, 1))}};
}
const Register kOutputScript{{"output_script", RunOutputScript, OutputScriptSeeds}};

void RunAddress(ByteSpan input) {
    const std::string text = ToString(input);
    if (const auto decoded = Bech32mDecode(text)) {
        std::string lower = text;
        for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        CHECK(Bech32mEncode(decoded->hrp, decoded->groups) == lower);
    }
    const auto script = DecodeAddress(text, "tslu");
    if (!script) {
        CHECK(!script.error().message.empty());
        return;
    }
    CHECK(ParseOutputScript(*script).has_value());
    CHECK(DecodeAddress(EncodeAddress(*script, "tslu"), "tslu") == *script);
    NoteAccepted();
}

std::vector<Seed> AddressSeeds() {
    return {{"taproot", ToBytes(AsBytes(EncodeAddress(consensus::testing::KeyScript(1), "tslu")))},
            {"stake", ToBytes(AsBytes(EncodeAddress(consensus::testing::KeyStakeScript(1), "tslu")))},
            {"bech32m", ToBytes(AsBytes(Bech32mEncode("x", {1, 2, 3, 31})))}};
}
const Register kAddress{{"address", RunAddress, AddressSeeds, 256}};

// ---- small texts that users and peers write: amounts, outpoints, hexadecimal

void RunText(ByteSpan input) {
    const std::string text = ToString(input);
    if (const auto amount = ParseSlu(text, "amount")) {
        CHECK(InMoneyRange(*amount));
        CHECK(ParseSlu(FormatSlu(*amount), "amount") == *amount);
        NoteAccepted();
    }
    if (const auto outpoint = OutPoint::FromString(text))
        CHECK(OutPoint::FromString(outpoint->ToString()) == *outpoint);
    if (const auto bytes = HexDecode(text)) CHECK(HexEncode(*bytes).size() == text.size());
}
std::vector<Seed> TextSeeds() {
    return {{"amount", ToBytes(AsBytes("20999999.99999999"))},
            {"outpoint", ToBytes(AsBytes(OutPoint{{}, 12}.ToString()))}};
}
const Register kText{{"text", RunText, TextSeeds, 128}};

}  // namespace
}  // namespace sluice::fuzz
