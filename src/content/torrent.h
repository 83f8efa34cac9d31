#pragma once

#include <string>

#include "content/chunk_store.h"

// Sealed content for BitTorrent v2 (BEP 52), whose tree is ours: pieces are chunks, so that any such client can check,
// fetch and seed a sealed file without knowing of us.
//
//   torrent = { "info": info, "piece layers": { root: chunk hashes } }      the layers only for several chunks
//   info    = { "file tree": { name: { "": { "length": n, "pieces root": root } } },
//               "meta version": 2, "name": name, "piece length": 262144 }
//
// Keys of a dictionary rise. The infohash is the SHA-256 of the bencoded info.

namespace sluice::content {

inline constexpr size_t kMaxTorrentNameBytes = 255;

struct Torrent {
    Bytes bytes;  // of the .torrent file
    Hash256 infohash;
    std::string magnet;  // magnet:?xt=urn:btmh:1220<infohash>&dn=<name>&xl=<size>
};

// `chunk_hashes` are all of the content's (of one chunk: not looked at). kInvalid if they do not give its root, or if
// `name` is not one part of a path (see CheckPath).
Result<Torrent> MakeTorrent(const ContentId& content, const std::string& name, std::span<const Hash256> chunk_hashes);
// With the hashes from the store: kUnavailable while some are unknown.
Result<Torrent> MakeTorrent(const StoredContent& stored, const std::string& name);

// What a torrent says of its one file: what is needed to compare. Only version 2, one file, our piece length.
struct TorrentFile {
    ContentId content;
    std::string name;
};
Result<TorrentFile> ReadTorrent(ByteSpan bytes);

struct ImportOutcome {
    uint32_t added{0};     // chunks that were taken
    uint32_t already{0};   // that were here before
    uint32_t refused{0};   // whose bytes in the file are not the content's: holes of a partial download, or damage
    uint32_t unproven{0};  // whose hash nobody has told yet
};
// Takes chunks of `stored` from a sealed file at the same places in it, whole or partial (a client that has fetched a
// part leaves holes). Nothing that is not the content's is taken: a file that gives the root proves its own hashes;
// of another one, chunks are taken whose hashes are known here. Reads the file twice at most; 32 bytes of memory a
// chunk. kInvalid if the file is longer than the content.
Result<ImportOutcome> ImportChunks(StoredContent& stored, const storage::File& file, const Progress& progress = {});

}  // namespace sluice::content
