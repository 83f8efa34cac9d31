#include "content/sealing.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/hash.h"
#include "util/check.h"

namespace sluice::content {

using crypto::CounterNonce;
using crypto::kAeadTagBytes;

uint64_t PlainSize(uint64_t sealed_bytes) {
    const uint64_t rest = sealed_bytes % kChunkBytes;
    if (rest != 0 && rest <= kAeadTagBytes) return 0;
    return sealed_bytes - (sealed_bytes / kChunkBytes + (rest != 0 ? 1 : 0)) * kAeadTagBytes;
}

uint64_t SealedSize(uint64_t plain_bytes) {
    return plain_bytes + (plain_bytes / kSliceBytes + (plain_bytes % kSliceBytes != 0 ? 1 : 0)) * kAeadTagBytes;
}

Result<SealedLayout> SealedLayout::FromRecord(const PublishRecord& record) {
    SealedLayout layout;
    layout.sealed_bytes = record.content.size_bytes;
    layout.manifest_chunks = record.manifest_chunks;
    for (const Segment& segment : record.segments) layout.segment_starts.emplace_back(segment.first_chunk);
    RETURN_IF_ERROR(layout.Check());
    return layout;
}

Result<SealedLayout> SealedLayout::Whole(uint64_t sealed_bytes, uint32_t manifest_chunks) {
    SealedLayout layout{sealed_bytes, manifest_chunks, {}};
    RETURN_IF_ERROR(layout.Check());
    return layout;
}

Status SealedLayout::Check() const {
    RETURN_IF_ERROR(CheckContentSize(sealed_bytes));
    if (PlainSize(sealed_bytes) == 0) {
        return Fail(fmt::format("no sealed file has {} bytes: its last chunk would be empty", sealed_bytes));
    }
    if (manifest_chunks >= chunks() || manifest_chunks > kMaxManifestChunks) {
        return Fail(fmt::format("manifest_chunks is {}: it must be below the {} chunks of the content and at most {}",
                                manifest_chunks, chunks(), kMaxManifestChunks));
    }
    if (segment_starts.empty()) return {};
    if (segment_starts.size() > kMaxSegments) {
        return Fail(fmt::format("there are {} segments, over the limit of {}", segment_starts.size(), kMaxSegments));
    }
    if (segment_starts.front().value != manifest_chunks) {
        return Fail(fmt::format("segment 0 begins at chunk {}: it must begin right after the manifest, at {}",
                                segment_starts.front().value, manifest_chunks));
    }
    for (size_t i = 1; i < segment_starts.size(); ++i) {
        if (segment_starts[i] <= segment_starts[i - 1]) {
            return Fail(fmt::format("segment {} begins at chunk {}, not after the segment before it", i,
                                    segment_starts[i].value));
        }
    }
    if (segment_starts.back().value >= chunks()) {
        return Fail(fmt::format("the last segment begins at chunk {}, but the content has {}",
                                segment_starts.back().value, chunks()));
    }
    return {};
}

uint32_t SealedLayout::SegmentOf(ChunkIndex chunk) const {
    if (segment_starts.empty()) return 0;
    const auto after = std::upper_bound(segment_starts.begin(), segment_starts.end(), chunk);
    CHECK(after != segment_starts.begin());
    return static_cast<uint32_t>(after - segment_starts.begin() - 1);
}

uint32_t SealedLayout::SliceBytes(ChunkIndex chunk) const {
    const uint32_t bytes = ChunkBytes(sealed_bytes, chunk);
    if (bytes == 0) return 0;
    return bytes - kAeadTagBytes - (chunk.value == 0 ? SlotBytes() : 0);
}

uint64_t SealedLayout::PlainBytes() const {
    return sealed_bytes - ChunkOffset(ChunkIndex(manifest_chunks)) -
           uint64_t{chunks() - manifest_chunks} * kAeadTagBytes;
}

ChunkCipher::ChunkCipher(ContentKeys keys, Salt sealing_salt, SealedLayout layout)
    : m_keys(std::move(keys)), m_salt(sealing_salt), m_layout(std::move(layout)) {}

size_t ChunkCipher::Seal(ChunkIndex chunk, ByteSpan plain, MutableByteSpan into) {
    const size_t slot_bytes = chunk.value == 0 ? m_layout.SlotBytes() : 0;
    const size_t sealed_bytes = slot_bytes + plain.size() + kAeadTagBytes;
    CHECK(!plain.empty() && sealed_bytes <= kChunkBytes && into.size() >= sealed_bytes);
    const MutableByteSpan slots = into.first(slot_bytes);
    crypto::Aead* aead = nullptr;
    if (m_layout.IsManifest(chunk)) {
        if (!slots.empty()) WriteSlots(slots);
        const auto manifest = ManifestAead(chunk, slots);
        CHECK(manifest.has_value());
        aead = *manifest;
    } else {
        aead = SegmentAead(m_layout.SegmentOf(chunk));
    }
    CHECK(aead != nullptr);
    aead->Seal(CounterNonce(chunk.value), slots, plain, into.subspan(slot_bytes, plain.size() + kAeadTagBytes));
    return sealed_bytes;
}

Result<size_t> ChunkCipher::Open(ChunkIndex chunk, ByteSpan sealed, MutableByteSpan into) {
    const uint32_t slice_bytes = m_layout.SliceBytes(chunk);
    const size_t slot_bytes = chunk.value == 0 ? m_layout.SlotBytes() : 0;
    CHECK(into.size() >= slice_bytes);
    if (slice_bytes == 0 || sealed.size() != slot_bytes + slice_bytes + kAeadTagBytes) {
        return Fail(
            fmt::format("chunk {} has {} bytes, {} were expected: the sealed data is not what the record describes",
                        chunk.value, sealed.size(), ChunkBytes(m_layout.sealed_bytes, chunk)));
    }
    const ByteSpan slots = sealed.first(slot_bytes);
    crypto::Aead* aead = nullptr;
    if (m_layout.IsManifest(chunk)) {
        ASSIGN_OR_RETURN(aead, ManifestAead(chunk, slots));
    } else {
        const uint32_t segment = m_layout.SegmentOf(chunk);
        aead = SegmentAead(segment);
        if (aead == nullptr) {
            return Fail(ErrorKind::kNotFound,
                        fmt::format("the key of segment {} (chunk {}) is missing: buy that segment or the whole title",
                                    segment, chunk.value));
        }
    }
    if (!aead->Open(CounterNonce(chunk.value), slots, sealed.subspan(slot_bytes), into.first(slice_bytes))) {
        return Fail(fmt::format(
            "chunk {} does not open: the key or the salt is not the one it was sealed with, or the data is damaged",
            chunk.value));
    }
    return slice_bytes;
}

bool ChunkCipher::HasKeyOf(ChunkIndex chunk) const {
    if (m_keys.title_key()) return true;
    if (!m_layout.IsManifest(chunk)) return m_keys.SegmentKey(m_layout.SegmentOf(chunk)).has_value();
    for (uint32_t segment = 0; segment < m_layout.segment_starts.size(); ++segment) {
        if (m_keys.SegmentKey(segment)) return true;
    }
    return false;
}

crypto::Aead* ChunkCipher::SegmentAead(uint32_t segment) {
    if (const auto found = m_segments.find(segment); found != m_segments.end()) return &found->second;
    const auto key = m_keys.SegmentKey(segment);
    if (!key) return nullptr;
    return &m_segments.emplace(segment, crypto::Aead(DeriveChunkKey(*key, m_salt))).first->second;
}

Result<crypto::Aead*> ChunkCipher::ManifestAead(ChunkIndex chunk, ByteSpan slots) {
    if (m_manifest) return &*m_manifest;
    if (m_keys.title_key()) return &m_manifest.emplace(DeriveManifestKey(*m_keys.title_key(), m_salt));
    if (chunk.value != 0) {
        return Fail(ErrorKind::kUnavailable, fmt::format("chunk {} of the manifest opens after chunk 0", chunk.value));
    }
    for (uint32_t segment = 0; segment < m_layout.segment_starts.size(); ++segment) {
        const auto segment_key = m_keys.SegmentKey(segment);
        if (!segment_key) continue;
        crypto::Aead slot(DeriveManifestSlotKey(*segment_key, m_salt));
        crypto::AeadKey key;
        if (!slot.Open(CounterNonce(segment), {}, slots.subspan(segment * kManifestSlotBytes, kManifestSlotBytes),
                       key.span())) {
            return Fail(fmt::format(
                "the manifest (chunk 0) does not open with the key of segment {}: the key or the salt is not the one "
                "it was sealed with, or the data is damaged",
                segment));
        }
        return &m_manifest.emplace(key);
    }
    return Fail(ErrorKind::kNotFound, "the manifest's key is missing: buy a segment or the whole title");
}

void ChunkCipher::WriteSlots(MutableByteSpan slots) const {
    CHECK(m_keys.title_key().has_value());
    const crypto::AeadKey manifest_key = DeriveManifestKey(*m_keys.title_key(), m_salt);
    for (uint32_t segment = 0; segment < m_layout.segment_starts.size(); ++segment) {
        crypto::Aead slot(DeriveManifestSlotKey(DeriveSegmentKey(*m_keys.title_key(), segment), m_salt));
        slot.Seal(CounterNonce(segment), {}, manifest_key.span(),
                  slots.subspan(segment * kManifestSlotBytes, kManifestSlotBytes));
    }
}

PlainReader::PlainReader(const ChunkSource& source, ChunkCipher cipher)
    : m_source(source),
      m_cipher(std::move(cipher)),
      m_plain_bytes(m_cipher.layout().PlainBytes()),
      m_sealed(kChunkBytes),
      m_slice(kSliceBytes) {}

Status PlainReader::Load(ChunkIndex chunk) {
    if (m_loaded == chunk) return {};
    const SealedLayout& layout = m_cipher.layout();
    if (m_source.size_bytes() != layout.sealed_bytes) {
        return Fail(fmt::format("the sealed data has {} bytes, but its record says {}", m_source.size_bytes(),
                                layout.sealed_bytes));
    }
    m_loaded.reset();
    const MutableByteSpan sealed = MutableByteSpan(m_sealed).first(ChunkBytes(layout.sealed_bytes, chunk));
    RETURN_IF_ERROR(m_source.Read(chunk, sealed));
    ASSIGN_OR_RETURN(m_slice_bytes, m_cipher.Open(chunk, sealed, m_slice));
    m_loaded = chunk;
    return {};
}

Status PlainReader::Read(uint64_t offset, MutableByteSpan into) {
    if (offset > m_plain_bytes || into.size() > m_plain_bytes - offset) {
        return Fail(fmt::format("the range of {} bytes at {} reaches beyond the end at {}", into.size(), offset,
                                m_plain_bytes));
    }
    while (!into.empty()) {
        RETURN_IF_ERROR(Load(ChunksOf(offset, 1).first));
        const size_t skip = offset % kSliceBytes;
        const size_t take = std::min(into.size(), m_slice_bytes - skip);
        std::copy_n(m_slice.begin() + static_cast<ptrdiff_t>(skip), take, into.begin());
        into = into.subspan(take);
        offset += take;
    }
    return {};
}

Result<Bytes> PlainReader::ReadManifest() {
    Bytes manifest;
    for (ChunkIndex chunk(0); m_cipher.layout().IsManifest(chunk); ++chunk) {
        RETURN_IF_ERROR(Load(chunk));
        manifest.insert(manifest.end(), m_slice.begin(), m_slice.begin() + static_cast<ptrdiff_t>(m_slice_bytes));
    }
    return manifest;
}

std::pair<ChunkIndex, ChunkIndex> PlainReader::ChunksOf(uint64_t offset, uint64_t length) const {
    CHECK(offset < m_plain_bytes);
    const uint64_t end = offset + std::clamp<uint64_t>(length, 1, m_plain_bytes - offset) - 1;
    const uint32_t first_data = m_cipher.layout().manifest_chunks;
    return {ChunkIndex(static_cast<uint32_t>(first_data + offset / kSliceBytes)),
            ChunkIndex(static_cast<uint32_t>(first_data + end / kSliceBytes))};
}

}  // namespace sluice::content
