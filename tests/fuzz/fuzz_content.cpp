#include "consensus/ledger_fixture.h"
#include "content/manifest.h"
#include "content/messages.h"
#include "content/sale.h"
#include "content/voucher.h"
#include "fuzz.h"

namespace sluice::fuzz {
namespace {

using namespace content;

crypto::SecretKey TitleKey() { return consensus::testing::TestKey(uint32_t{5}); }
const Salt kSalt(std::array<uint8_t, 32>{9});

// A tree with chunk hashes made from their numbers, for a file of some chunks.
struct Tree {
    explicit Tree(uint64_t size) : size_bytes(size) {
        RootBuilder builder;
        levels.emplace_back();
        for (uint32_t c = 0; c < ChunkCount(size); ++c) {
            std::vector<Hash256> leaves(LeavesOfChunk(size, ChunkIndex(c)), crypto::Sha256Of(Encode(c)));
            levels[0].push_back(builder.Add(leaves));
        }
        id = {*builder.Finish(), size};
        if (levels[0].size() == 1) levels[0][0] = CastHash<Hash256>(id.root);
        for (uint32_t level = 0; level < TreeDepth(size); ++level) {
            std::vector<Hash256> above;
            for (size_t i = 0; i < levels[level].size(); i += 2) {
                const Hash256& right = i + 1 < levels[level].size() ? levels[level][i + 1] : PaddingHash(level);
                above.push_back(crypto::Sha256Pair(levels[level][i], right));
            }
            levels.push_back(std::move(above));
        }
    }
    HashProof Prove(const HashSpan& span) const {
        return *MakeHashProof(size_bytes, span,
                              [&](const TreeNode& node) { return std::optional(levels[node.level][node.index]); });
    }
    uint64_t size_bytes;
    ContentId id;
    std::vector<std::vector<Hash256>> levels;
};
const Tree& TheTree() {
    static const auto* tree = new Tree(uint64_t{37} * kChunkBytes + 5);
    return *tree;
}

// ---- hash proofs: only the true hashes are ever proven

void RunHashProof(ByteSpan bytes) {
    Input input(bytes);
    ContentId id = TheTree().id;
    if (input.Flag()) id.size_bytes = input.Integer<uint64_t>();
    const HashSpan span{ChunkIndex(input.Integer<uint32_t>()), input.Integer<uint32_t>()};
    const auto proof = Decode<HashProof>(input.Rest());
    if (!proof || !CheckContentSize(id.size_bytes) || !CheckHashSpan(id.size_bytes, span)) return;
    CHECK(ProofHashes(id.size_bytes, span) <= kMaxHashSpan && ProofUncles(id.size_bytes, span) <= 32);
    const auto proven = ProvenNodes(id, span, *proof);
    CHECK(proven.has_value() == VerifyHashProof(id, span, *proof));
    if (!proven) return;
    for (const auto& [node, hash] : *proven) CHECK(TheTree().levels.at(node.level).at(node.index) == hash);
    NoteAccepted();
}
std::vector<Seed> HashProofSeeds() {
    std::vector<Seed> seeds;
    for (const HashSpan span : {HashSpan{ChunkIndex(0), 1}, HashSpan{ChunkIndex(8), 8}, HashSpan{ChunkIndex(32), 32}}) {
        Output output;
        output.Integer(uint8_t{0}).Integer(span.first.value).Integer(span.count).Raw(Encode(TheTree().Prove(span)));
        seeds.push_back({"span-" + std::to_string(span.count), output.Take()});
    }
    return seeds;
}
const Register kHashProof{{"hash_proof", RunHashProof, HashProofSeeds}};

// ---- manifests: what decodes is safe to unpack, and has one encoding

void RunManifest(ByteSpan input) {
    const auto manifest = DecodeManifest(input);
    if (!manifest) {
        CHECK(!manifest.error().message.empty());
        return;
    }
    CHECK(manifest->Check().has_value());
    for (const ManifestEntry& entry : manifest->entries) {
        CHECK(CheckPath(entry.path).has_value());
        CHECK(entry.path.front() != '/' && entry.path.find("..") != 0 && entry.path.find("/../") == std::string::npos);
        CHECK(entry.path.find('\0') == std::string::npos && entry.path.size() <= kMaxPathBytes);
        CHECK(manifest->Find(entry.path) == &entry);
    }
    const Bytes plain = Encode(*manifest);
    CHECK(plain.size() <= input.size() && std::equal(plain.begin(), plain.end(), input.begin()));
    for (const uint64_t offset : manifest->Offsets()) CHECK(offset <= manifest->PlainBytes());
    NoteAccepted();
}
std::vector<Seed> ManifestSeeds() {
    Manifest manifest;
    manifest.entries = {
        {"Season 1/01.mkv", 1'000'000, false}, {"Season 1/02.mkv", 2'000'000, false}, {"play", 100, true}};
    Manifest aligned;
    aligned.entries = {{"a", 1, false, true}, {"b/\xc3\xa9", 2, false, true}};
    Bytes padded = Encode(manifest);
    padded.resize(padded.size() + 100);
    return {{"files", Encode(manifest)}, {"aligned", Encode(aligned)}, {"padded", padded}};
}
const Register kManifest{{"manifest", RunManifest, ManifestSeeds, 2048}};

// ---- sealed chunks: opening any bytes, under a layout with a manifest and segments

SealedLayout Layout(uint64_t sealed_bytes) { return {sealed_bytes, 1, {ChunkIndex(1), ChunkIndex(2)}}; }

void RunSealedChunk(ByteSpan bytes) {
    Input input(bytes);
    const uint64_t last_bytes = input.Integer<uint32_t>();
    const ChunkIndex chunk(input.Integer() % 4);
    const bool segment_key_only = input.Flag();
    const SealedLayout layout = Layout(2 * uint64_t{kChunkBytes} + last_bytes);
    if (!layout.Check()) return;
    auto keys = segment_key_only ? ContentKeys::FromSegmentKey(1, DeriveSegmentKey(TitleKey(), 1))
                                 : ContentKeys::FromTitleKey(TitleKey());
    ChunkCipher cipher(std::move(keys), kSalt, layout);
    if (chunk.value >= layout.chunks()) return;
    static Bytes into(kChunkBytes);
    const auto opened = cipher.Open(chunk, input.Rest(), into);
    if (!opened) {
        CHECK(!opened.error().message.empty());
        return;
    }
    CHECK(*opened == layout.SliceBytes(chunk));
    CHECK(cipher.HasKeyOf(chunk));
    NoteAccepted();
}
std::vector<Seed> SealedChunkSeeds() {
    // The last chunk is short; whole ones are too large for a corpus.
    const uint32_t plain_bytes = 300, last_bytes = plain_bytes + crypto::kAeadTagBytes;
    ChunkCipher cipher(ContentKeys::FromTitleKey(TitleKey()), kSalt, Layout(2 * uint64_t{kChunkBytes} + last_bytes));
    Bytes into(kChunkBytes);
    into.resize(cipher.Seal(ChunkIndex(2), Bytes(plain_bytes, 7), into));
    std::vector<Seed> seeds;
    for (const uint8_t segment_only : {0, 1}) {
        seeds.push_back({segment_only != 0 ? "segment-key" : "title-key",
                         Output().Integer(last_bytes).Integer(uint8_t{2}).Integer(segment_only).Raw(into).Take()});
    }
    return seeds;
}
const Register kSealedChunk{{"sealed_chunk", RunSealedChunk, SealedChunkSeeds, 1024}};

// ---- layouts: of any publish record

void RunLayout(ByteSpan bytes) {
    const auto record = DecodeRecord(bytes);
    if (!record || !std::holds_alternative<PublishRecord>(*record)) return;
    const auto layout = SealedLayout::FromRecord(std::get<PublishRecord>(*record));
    if (!layout) return;
    CHECK(layout->Check().has_value());
    CHECK(layout->PlainBytes() < layout->sealed_bytes);
    for (const uint32_t c : {uint32_t{0}, layout->manifest_chunks, layout->chunks() - 1}) {
        if (c >= layout->chunks()) continue;
        CHECK(layout->SliceBytes(ChunkIndex(c)) <= kSliceBytes);
        if (!layout->IsManifest(ChunkIndex(c))) CHECK(layout->SegmentOf(ChunkIndex(c)) <= kMaxSegments);
    }
    NoteAccepted();
}
std::vector<Seed> LayoutSeeds() {
    PublishRecord film = consensus::testing::ExamplePublish();
    PublishRecord series = film;
    series.content.size_bytes = uint64_t{10} * kChunkBytes;
    series.manifest_chunks = 1;
    series.segments = {{1, TitleKey().Public(), Amount(5)}, {4, TitleKey().Public(), Amount(5)}};
    return {{"film", EncodeRecord(film)}, {"series", EncodeRecord(series)}};
}
const Register kLayout{{"layout", RunLayout, LayoutSeeds}};

// ---- the annex of a purchase, which a stranger wrote

LockedPurchase ThePurchase() {
    using namespace consensus::testing;
    LockedPurchase purchase;
    purchase.lock = {{}, 1};
    purchase.terms.buyer_key = TestKey(kBuyerKey).XOnly();
    purchase.terms.seller_key = TestKey(kSellerKey).XOnly();
    purchase.terms.key = TestKey(kTitleKey).Public();
    purchase.terms.price = Slu(5);
    purchase.terms.payout_script = KeyScript(kPayoutKey);
    purchase.terms.refund_height = Height(20'000);
    const auto lock =
        consensus::MakeLockTemplate(purchase.terms.buyer_key, purchase.terms.seller_key, purchase.terms.refund_height);
    purchase.output = {Slu(6), lock->output_script};
    return purchase;
}
crypto::X25519SecretKey UnsealKey() {
    crypto::X25519SecretKey key;
    std::fill(key.span().begin(), key.span().end(), uint8_t{4});
    return key;
}

void RunAnnex(ByteSpan input) {
    static const LockedPurchase purchase = ThePurchase();
    const auto pre_signature = OpenPreSignature(input, UnsealKey());
    if (!pre_signature) {
        CHECK(!pre_signature.error().message.empty());
        return;
    }
    if (!VerifyPreSignature(purchase, *pre_signature)) return;
    NoteAccepted();
    // What verifies can be granted, and pays.
    const crypto::SecretKey sold = consensus::testing::TestKey(consensus::testing::kTitleKey);
    const auto completed = crypto::AdaptorComplete(*pre_signature, sold);
    CHECK(completed.has_value());
}
std::vector<Seed> AnnexSeeds() {
    const auto pre_signature =
        MakePreSignature(consensus::testing::TestKey(consensus::testing::kBuyerKey), ThePurchase());
    crypto::X25519SecretKey ephemeral;
    std::fill(ephemeral.span().begin(), ephemeral.span().end(), uint8_t{6});
    return {{"annex", SealPreSignature(*pre_signature, crypto::X25519Public(UnsealKey()), ephemeral)}};
}
const Register kAnnex{{"purchase_annex", RunAnnex, AnnexSeeds, 256}};

// ---- content messages

void RunContentMessage(ByteSpan input) {
    const auto message = DecodeContentMessage(input);
    if (!message) {
        CHECK(!message.error().message.empty());
        return;
    }
    const Bytes again = std::visit(
        []<class T>(const T& m) {
            if constexpr (std::is_same_v<T, Leaf>) {
                CHECK(m.bytes.size() <= kLeafBytes);
                return EncodeLeaf(m.content, m.chunk, m.leaf, m.bytes);
            } else {
                return EncodeContentMessage(m);
            }
        },
        *message);
    CHECK(again == ToBytes(input));
    CHECK(input.size() <= std::max(kMaxControlPayloadBytes, kMaxLeafPayloadBytes));
    NoteAccepted();
}

std::vector<Seed> ContentMessageSeeds() {
    using namespace consensus::testing;
    const Tree& tree = TheTree();
    const ContentId small{tree.id.root, 1000};
    const HashSpan span{ChunkIndex(8), 8};
    ChannelAccept accept{{{}, 1}, true, false, Slu(1), SchnorrSignature(), 5, 0};
    return {
        {"have-query", EncodeContentMessage(HaveQuery{tree.id})},
        {"have-all", EncodeContentMessage(Have{tree.id, Amount(5), true, {}, {}})},
        {"have-some", EncodeContentMessage(Have{tree.id, Amount(0), false, ChunkIndex(8), {1, 2}})},
        {"have-update", EncodeContentMessage(HaveUpdate{tree.id, ChunkIndex(3)})},
        {"get-hashes", EncodeContentMessage(GetHashes{tree.id, span})},
        {"hashes", EncodeContentMessage(Hashes{tree.id, span, tree.Prove(span)})},
        {"request", EncodeContentMessage(RequestChunks{tree.id, {}, {{ChunkIndex(1), kAllLeaves}, {ChunkIndex(2), 3}}})},
        {"leaf-hashes", EncodeContentMessage(ChunkLeafHashes{tree.id, ChunkIndex(1), std::vector<Hash256>(16)})},
        {"leaf", EncodeLeaf(small, ChunkIndex(0), 0, Bytes(1000, 1))},
        {"cancel", EncodeContentMessage(CancelChunks{tree.id, {ChunkIndex(1)}})},
        {"refuse", EncodeContentMessage(Refuse{tree.id, ChunkIndex(1), RefuseReason::kBusy})},
        {"terms-request", EncodeContentMessage(TermsRequest{tree.id})},
        {"terms",
         EncodeContentMessage(ChannelTerms{tree.id, TestKey(kPayeeKey).XOnly(), {}, Amount(5), Amount(400), 1000})},
        {"open", EncodeContentMessage(ChannelOpen{{{}, 1},
                                                  TestKey(kPayerKey).XOnly(),
                                                  TestKey(kPayeeKey).XOnly(),
                                                  {},
                                                  Height(50'000),
                                                  Slu(2),
                                                  KeyScript(2),
                                                  {}})},
        {"accept", EncodeContentMessage(accept)},
        {"reject", EncodeContentMessage(ChannelReject{{{}, 1}, ChannelRejectReason::kTerms})},
        {"voucher", EncodeContentMessage(Voucher{{{}, 1}, Slu(1), {}})},
        {"closed", EncodeContentMessage(ChannelClosed{{{}, 1}})},
        {"get-leaf-hashes", EncodeContentMessage(GetLeafHashes{tree.id, ChunkIndex(1)})},
        {"choke", EncodeContentMessage(Choke{})},
        {"unchoke", EncodeContentMessage(Unchoke{})}};
}
const Register kContentMessage{{"content_message", RunContentMessage, ContentMessageSeeds}};

// ---- channels as the disk gives them back, and vouchers as a payer gives them

ChannelLock TheChannel() {
    using namespace consensus::testing;
    return {{{}, 1}, TestKey(kPayerKey).XOnly(), TestKey(kPayeeKey).XOnly(), Height(50'000), Slu(2), KeyScript(2)};
}

void RunVoucher(ByteSpan bytes) {
    Input input(bytes);
    if (input.Flag()) {
        CheckCanonical<PayeeChannel>(input.Rest());
        return;
    }
    static const ChannelLock lock = TheChannel();
    const auto voucher = Decode<Voucher>(input.Rest());
    if (!voucher || !VerifyVoucher(lock, *voucher)) return;
    CHECK(voucher->returned >= kMinReturned && voucher->returned <= lock.capacity &&
          voucher->outpoint == lock.outpoint);
    NoteAccepted();
}
std::vector<Seed> VoucherSeeds() {
    const ChannelLock lock = TheChannel();
    const auto voucher =
        SignVoucher(lock, consensus::testing::TestKey(consensus::testing::kPayerKey), consensus::testing::Slu(1));
    PayeeChannel channel;
    channel.lock = lock;
    channel.returned = voucher->returned;
    channel.signature = voucher->signature;
    return {{"voucher", Output().Integer(uint8_t{0}).Raw(Encode(*voucher)).Take()},
            {"channel", Output().Integer(uint8_t{1}).Raw(Encode(channel)).Take()}};
}
const Register kVoucher{{"voucher", RunVoucher, VoucherSeeds, 512}};

}  // namespace
}  // namespace sluice::fuzz
