#include "content/torrent.h"

#include <fmt/format.h>

#include <algorithm>

#include "content/manifest.h"
#include "util/check.h"

namespace sluice::content {
namespace {

constexpr size_t kMaxTorrentBytes = size_t{256} << 20;

// ---- bencode (BEP 3)

void AppendText(Bytes& out, std::string_view text) {
    const std::string head = fmt::format("{}:", text.size());
    out.insert(out.end(), head.begin(), head.end());
    out.insert(out.end(), text.begin(), text.end());
}
void AppendRaw(Bytes& out, std::string_view raw) { out.insert(out.end(), raw.begin(), raw.end()); }
void AppendNumber(Bytes& out, uint64_t number) { AppendRaw(out, fmt::format("i{}e", number)); }
std::string_view TextOf(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Reads bencoded values that are where they are expected. The first surprise makes it fail for good.
class BencodeReader {
  public:
    explicit BencodeReader(ByteSpan bytes) : m_left(TextOf(bytes)) {}
    bool ok() const { return m_ok; }
    bool AtEnd() const { return m_left.empty(); }
    void Expect(char c) { (!m_left.empty() && m_left[0] == c) ? m_left.remove_prefix(1) : Refuse(); }
    bool Peek(char c) const { return m_ok && !m_left.empty() && m_left[0] == c; }
    uint64_t Digits(char end) {
        uint64_t number = 0;
        size_t digits = 0;
        while (m_ok && digits < m_left.size() && m_left[digits] >= '0' && m_left[digits] <= '9' && digits < 19)
            number = number * 10 + static_cast<uint64_t>(m_left[digits++] - '0');
        if (digits == 0 || (digits > 1 && m_left[0] == '0')) return Refuse(), 0;
        m_left.remove_prefix(digits);
        Expect(end);
        return number;
    }
    uint64_t Number() { return Expect('i'), Digits('e'); }
    std::string_view Text() {
        const uint64_t size = Digits(':');
        if (!m_ok || size > m_left.size()) return Refuse(), std::string_view();
        const std::string_view text = m_left.substr(0, size);
        m_left.remove_prefix(size);
        return text;
    }
    void Skip(int depth = 0) {
        if (depth > 16) return Refuse();
        if (Peek('i')) {
            Number();
        } else if (Peek('l') || Peek('d')) {
            const bool dictionary = Peek('d');
            m_left.remove_prefix(1);
            while (m_ok && !Peek('e')) {
                if (dictionary) Text();
                Skip(depth + 1);
            }
            Expect('e');
        } else {
            Text();
        }
    }
    // Calls `on_value` with each key; it reads the value.
    template <class OnValue>
    void Dictionary(OnValue on_value) {
        Expect('d');
        while (m_ok && !Peek('e')) on_value(Text());
        Expect('e');
    }
    void Refuse() {
        m_ok = false;
        m_left = {};
    }

  private:
    std::string_view m_left;
    bool m_ok{true};
};

Bytes EncodeInfo(const ContentId& content, const std::string& name) {
    Bytes info;
    AppendRaw(info, "d");
    AppendText(info, "file tree");
    AppendRaw(info, "d");
    AppendText(info, name);
    AppendRaw(info, "d0:d");
    AppendText(info, "length");
    AppendNumber(info, content.size_bytes);
    AppendText(info, "pieces root");
    AppendText(info, TextOf(content.root.bytes));
    AppendRaw(info, "eee");
    AppendText(info, "meta version");
    AppendNumber(info, 2);
    AppendText(info, "name");
    AppendText(info, name);
    AppendText(info, "piece length");
    AppendNumber(info, kChunkBytes);
    AppendRaw(info, "e");
    return info;
}

std::string EscapeForUri(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        escaped += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
    }
    return escaped;
}

// The root over chunks' hashes, of a file of several.
Hash256 RootOf(std::vector<Hash256> row) {
    for (uint32_t level = 0; row.size() > 1; ++level) {
        if (row.size() % 2 != 0) row.push_back(PaddingHash(level));
        for (size_t i = 0; i < row.size() / 2; ++i) row[i] = crypto::Sha256Pair(row[2 * i], row[2 * i + 1]);
        row.resize(row.size() / 2);
    }
    return row[0];
}

// The proof of a span from all chunk hashes.
Status AddAllHashes(StoredContent& stored, const std::vector<Hash256>& chunk_hashes) {
    const uint64_t size = stored.id().size_bytes;
    std::vector<std::vector<Hash256>> levels{chunk_hashes};
    while (levels.back().size() > 1) {
        std::vector<Hash256> row = levels.back();
        if (row.size() % 2 != 0) row.push_back(PaddingHash(static_cast<uint32_t>(levels.size() - 1)));
        std::vector<Hash256> above(row.size() / 2);
        for (size_t i = 0; i < above.size(); ++i) above[i] = crypto::Sha256Pair(row[2 * i], row[2 * i + 1]);
        levels.push_back(std::move(above));
    }
    const auto lookup = [&](const TreeNode& node) -> std::optional<Hash256> {
        if (node.level >= levels.size() || node.index >= levels[node.level].size()) return std::nullopt;
        return levels[node.level][node.index];
    };
    for (uint32_t first = 0; first < chunk_hashes.size();) {
        const HashSpan span = HashSpanAround(size, ChunkIndex(first), kMaxHashSpan);
        const auto proof = MakeHashProof(size, span, lookup);
        CHECK(proof.has_value());
        RETURN_IF_ERROR(stored.AddHashes(span, *proof));
        first = span.first.value + span.count;
    }
    return {};
}

// Reads what chunks a file has, in order; one that the file ends in is not there.
class FileChunks {
  public:
    FileChunks(const storage::File& file, uint64_t file_bytes, uint64_t size_bytes)
        : m_file(file), m_file_bytes(file_bytes), m_size_bytes(size_bytes), m_buffer(kChunkBytes) {}
    bool Has(ChunkIndex chunk) const { return ChunkOffset(chunk) + ChunkBytes(m_size_bytes, chunk) <= m_file_bytes; }
    Result<ByteSpan> Read(ChunkIndex chunk) {
        const auto into = MutableByteSpan(m_buffer).first(ChunkBytes(m_size_bytes, chunk));
        RETURN_IF_ERROR(m_file.ReadAt(ChunkOffset(chunk), into));
        return ByteSpan(into);
    }

  private:
    const storage::File& m_file;
    const uint64_t m_file_bytes;
    const uint64_t m_size_bytes;
    Bytes m_buffer;
};

}  // namespace

Result<Torrent> MakeTorrent(const ContentId& content, const std::string& name, std::span<const Hash256> chunk_hashes) {
    RETURN_IF_ERROR(CheckPath(name));
    if (name.find('/') != std::string::npos || name.size() > kMaxTorrentNameBytes)
        return Fail(fmt::format("the torrent's name must be a file name of at most {} bytes", kMaxTorrentNameBytes));
    const bool several = ChunkCount(content.size_bytes) > 1;
    if (several) {
        if (chunk_hashes.size() != ChunkCount(content.size_bytes) ||
            RootOf({chunk_hashes.begin(), chunk_hashes.end()}) != CastHash<Hash256>(content.root))
            return Fail("the chunks' hashes are not the content's");
    }
    const Bytes info = EncodeInfo(content, name);
    Torrent torrent;
    torrent.infohash = crypto::Sha256Of(info);
    torrent.magnet = fmt::format("magnet:?xt=urn:btmh:1220{}&dn={}&xl={}", torrent.infohash.Hex(), EscapeForUri(name),
                                 content.size_bytes);
    AppendRaw(torrent.bytes, "d");
    AppendText(torrent.bytes, "info");
    torrent.bytes.insert(torrent.bytes.end(), info.begin(), info.end());
    AppendText(torrent.bytes, "piece layers");
    AppendRaw(torrent.bytes, "d");
    if (several) {
        AppendText(torrent.bytes, TextOf(content.root.bytes));
        AppendRaw(torrent.bytes, fmt::format("{}:", chunk_hashes.size() * Hash256::kSize));
        for (const Hash256& hash : chunk_hashes) AppendRaw(torrent.bytes, TextOf(hash.bytes));
    }
    AppendRaw(torrent.bytes, "ee");
    return torrent;
}

Result<Torrent> MakeTorrent(const StoredContent& stored, const std::string& name) {
    const uint64_t size = stored.id().size_bytes;
    const uint32_t chunks = ChunkCount(size);
    if (uint64_t{chunks} * Hash256::kSize > kMaxTorrentBytes)
        return Fail(
            fmt::format("the content has {} chunks: a torrent of it would be over {} bytes", chunks, kMaxTorrentBytes));
    std::vector<Hash256> hashes;
    while (chunks > 1 && hashes.size() < chunks) {
        const HashSpan span = HashSpanAround(size, ChunkIndex(static_cast<uint32_t>(hashes.size())), kMaxHashSpan);
        const auto proof = stored.ProofOf(span);
        if (!proof)
            return Fail(ErrorKind::kUnavailable,
                        "some hashes of the content are not here yet: fetch it first ('seed' or 'get')");
        hashes.insert(hashes.end(), proof->hashes.begin(), proof->hashes.end());
    }
    return MakeTorrent(stored.id(), name, hashes);
}

Result<TorrentFile> ReadTorrent(ByteSpan bytes) {
    TorrentFile file;
    uint64_t version = 0, piece_length = 0;
    size_t files = 0;
    BencodeReader reader(bytes);
    const auto read_file = [&] {
        reader.Expect('d');
        if (!reader.Text().empty()) return reader.Refuse();  // a folder: more than one file, or in another place
        reader.Dictionary([&](std::string_view key) {
            if (key == "length") {
                file.content.size_bytes = reader.Number();
            } else if (key == "pieces root") {
                const std::string_view root = reader.Text();
                if (root.size() == 32) std::copy(root.begin(), root.end(), file.content.root.begin());
            } else {
                reader.Skip();
            }
        });
        reader.Expect('e');
    };
    reader.Dictionary([&](std::string_view key) {
        if (key != "info") return reader.Skip();
        reader.Dictionary([&](std::string_view field) {
            if (field == "file tree") {
                reader.Dictionary([&](std::string_view name) {
                    file.name = std::string(name);
                    ++files;
                    read_file();
                });
            } else if (field == "meta version") {
                version = reader.Number();
            } else if (field == "piece length") {
                piece_length = reader.Number();
            } else {
                reader.Skip();
            }
        });
    });
    if (!reader.ok() || !reader.AtEnd()) return Fail("this is not a torrent of one sealed file");
    if (version != 2) return Fail("the torrent is not of BitTorrent version 2");
    if (files != 1) return Fail(fmt::format("the torrent has {} files, not one", files));
    if (piece_length != kChunkBytes)
        return Fail(fmt::format("the torrent's piece length is {}, not {}", piece_length, kChunkBytes));
    RETURN_IF_ERROR(CheckContentSize(file.content.size_bytes));
    RETURN_IF_ERROR(CheckPath(file.name));
    return file;
}

Result<ImportOutcome> ImportChunks(StoredContent& stored, const storage::File& file, const Progress& progress) {
    const uint64_t size = stored.id().size_bytes;
    const uint32_t chunks = ChunkCount(size);
    ASSIGN_OR_RETURN(const uint64_t file_bytes, file.Size());
    if (file_bytes > size)
        return Fail(fmt::format("the file has {} bytes, more than the content's {}: it is not its sealed file",
                                file_bytes, size));
    FileChunks source(file, file_bytes, size);
    const auto tell = [&](uint64_t done) -> Status {
        if (progress && !progress(done, 2 * size)) return Fail(ErrorKind::kUnavailable, "stopped before the end");
        return {};
    };
    if (file_bytes == size && chunks > 1) {
        std::vector<Hash256> hashes;
        hashes.reserve(chunks);
        for (ChunkIndex chunk(0); chunk.value < chunks; ++chunk) {
            ASSIGN_OR_RETURN(const ByteSpan bytes, source.Read(chunk));
            hashes.push_back(ChunkHash(LeafHashes(bytes), false));
            RETURN_IF_ERROR(tell(ChunkOffset(chunk)));
        }
        if (RootOf(hashes) == CastHash<Hash256>(stored.id().root)) RETURN_IF_ERROR(AddAllHashes(stored, hashes));
    }
    ImportOutcome outcome;
    for (ChunkIndex chunk(0); chunk.value < chunks; ++chunk) {
        RETURN_IF_ERROR(tell(size + ChunkOffset(chunk)));
        if (stored.HasChunk(chunk)) {
            ++outcome.already;
        } else if (!source.Has(chunk)) {
            ++outcome.refused;
        } else if (!stored.HashOf(chunk)) {
            ++outcome.unproven;
        } else {
            ASSIGN_OR_RETURN(const ByteSpan bytes, source.Read(chunk));
            const Status added = stored.AddChunk(chunk, bytes);
            if (!added && added.error().kind != ErrorKind::kInvalid) return Fail(added.error());
            ++(added ? outcome.added : outcome.refused);
        }
    }
    RETURN_IF_ERROR(stored.Flush());
    return outcome;
}

}  // namespace sluice::content
