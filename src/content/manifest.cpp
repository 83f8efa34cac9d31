#include "content/manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "content/manifest_text.h"
#include "util/check.h"

namespace sluice::content {
namespace {

using storage::OpenMode;

// For error lines: the name without what a terminal would act on.
std::string Quoted(std::string_view path) {
    std::string quoted = "\"";
    for (const char c : path.substr(0, 200)) quoted += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return quoted + (path.size() > 200 ? "...\"" : "\"");
}

constexpr char kFirstOfAll = '\x01';  // in no path

uint64_t RoundUpToSlice(uint64_t bytes) { return (bytes + kSliceBytes - 1) / kSliceBytes * kSliceBytes; }

Status CheckPathPart(std::string_view path, std::string_view part) {
    if (part.empty()) return Fail(fmt::format("the path {} has an empty part", Quoted(path)));
    if (part == "." || part == "..")
        return Fail(fmt::format("the path {} has a part {}: it could leave the folder", Quoted(path), part));
    if (part.size() > kMaxPathPartBytes) {
        return Fail(fmt::format("the path {} has a part of {} bytes, over the limit of {}", Quoted(path), part.size(),
                                kMaxPathPartBytes));
    }
    return {};
}

// No two files, and no file and folder, share a name on a file system that does not tell case apart.
Status CheckClashes(const std::vector<ManifestEntry>& entries) {
    // With '/' before everything else, what lies in a folder follows right after what has the folder's name.
    std::vector<std::pair<std::string, const ManifestEntry*>> folded;
    folded.reserve(entries.size());
    for (const ManifestEntry& entry : entries) {
        std::string name = FoldCase(entry.path);
        std::replace(name.begin(), name.end(), '/', kFirstOfAll);
        folded.emplace_back(std::move(name), &entry);
    }
    std::sort(folded.begin(), folded.end());
    for (size_t i = 1; i < folded.size(); ++i) {
        const std::string& before = folded[i - 1].first;
        const auto& [name, entry] = folded[i];
        if (!name.starts_with(before)) continue;
        if (name.size() == before.size()) {
            return Fail(
                fmt::format("the path {} is there twice, or differs from another only in case: rename one of them",
                            Quoted(entry->path)));
        }
        if (name[before.size()] == kFirstOfAll)
            return Fail(fmt::format("the path {} lies in a folder that has the name of a file", Quoted(entry->path)));
    }
    return {};
}

Result<uint64_t> AddSizes(const Manifest& manifest) {
    uint64_t total = 0;
    for (const ManifestEntry& entry : manifest.entries) {
        if (entry.size_bytes > kMaxContentBytes) {
            return Fail(fmt::format("the file {} has {} bytes, over the limit of {}", Quoted(entry.path),
                                    entry.size_bytes, kMaxContentBytes));
        }
        if (entry.aligned) total = RoundUpToSlice(total);
        total += entry.size_bytes;
        if (total > kMaxContentBytes)
            return Fail(fmt::format("the folder is over the limit of {} bytes: split it", kMaxContentBytes));
    }
    return total;
}

// The manifest, then the files, as one plaintext.
class FolderPlain final : public PlainSource {
  public:
    FolderPlain(storage::FileSystem& files, std::string folder, Manifest manifest, Bytes head)
        : m_files(files),
          m_folder(std::move(folder)),
          m_manifest(std::move(manifest)),
          m_offsets(m_manifest.Offsets()),
          m_head(std::move(head)),
          m_size_bytes(m_head.size() + m_offsets.back()) {}

    uint64_t size_bytes() const override { return m_size_bytes; }

    Status Read(MutableByteSpan into) override {
        while (!into.empty()) {
            ASSIGN_OR_RETURN(const size_t done, ReadSome(into));
            m_done_bytes += done;
            into = into.subspan(done);
        }
        return {};
    }

    Status CheckEnd() override {
        RETURN_IF_ERROR(EndFile());
        // Files without bytes after the last one with some.
        for (; m_next < m_manifest.entries.size(); ++m_next) {
            RETURN_IF_ERROR(OpenFile(m_manifest.entries[m_next]));
            RETURN_IF_ERROR(EndFile());
        }
        return {};
    }

  private:
    // Reads a part of what is asked for, at least one byte of it.
    Result<size_t> ReadSome(MutableByteSpan into) {
        if (m_done_bytes < m_head.size()) {
            const size_t take = std::min<uint64_t>(into.size(), m_head.size() - m_done_bytes);
            std::copy_n(m_head.begin() + static_cast<ptrdiff_t>(m_done_bytes), take, into.begin());
            return take;
        }
        if (m_file && m_file_left == 0) RETURN_IF_ERROR(EndFile());
        while (!m_file) {
            CHECK(m_next < m_manifest.entries.size());
            const uint64_t at = m_done_bytes - m_head.size();
            if (at < m_offsets[m_next]) {
                const size_t gap = std::min<uint64_t>(into.size(), m_offsets[m_next] - at);
                std::fill_n(into.begin(), gap, uint8_t{0});
                return gap;
            }
            RETURN_IF_ERROR(OpenFile(m_manifest.entries[m_next]));
            ++m_next;
            if (m_file_left == 0) RETURN_IF_ERROR(EndFile());
        }
        const size_t take = std::min<uint64_t>(into.size(), m_file_left);
        RETURN_IF_ERROR(m_file->Read(into.first(take)));
        m_file_left -= take;
        return take;
    }

    Status OpenFile(const ManifestEntry& entry) {
        const std::string path = m_folder + "/" + entry.path;
        if (entry.size_bytes == 0) {
            ASSIGN_OR_RETURN(const storage::DirectoryEntry now, m_files.Stat(path));
            if (now.size_bytes != 0) return Fail(Changed(path));
            return {};
        }
        ASSIGN_OR_RETURN(m_file, OpenPlainFile(m_files, path));
        if (m_file->size_bytes() != entry.size_bytes) return Fail(Changed(path));
        m_file_left = entry.size_bytes;
        return {};
    }
    Status EndFile() {
        if (!m_file) return {};
        RETURN_IF_ERROR(m_file->CheckEnd());
        m_file.reset();
        return {};
    }
    static std::string Changed(const std::string& path) {
        return fmt::format("{} changed its size while the folder was being sealed: try again when nothing writes to it",
                           path);
    }

    storage::FileSystem& m_files;
    const std::string m_folder;
    const Manifest m_manifest;
    const std::vector<uint64_t> m_offsets;
    const Bytes m_head;
    const uint64_t m_size_bytes;
    uint64_t m_done_bytes{0};
    size_t m_next{0};  // the entry after the open one
    std::unique_ptr<PlainSource> m_file;
    uint64_t m_file_left{0};
};

}  // namespace

Status CheckPath(std::string_view path) {
    if (path.empty()) return Fail("a path is empty");
    if (path.size() > kMaxPathBytes) {
        return Fail(
            fmt::format("the path {} has {} bytes, over the limit of {}", Quoted(path), path.size(), kMaxPathBytes));
    }
    if (path.front() == '/')
        return Fail(fmt::format("the path {} is absolute: paths start inside the folder", Quoted(path)));
    if (path.find('\\') != std::string_view::npos)
        return Fail(fmt::format("the path {} has a backslash: rename it", Quoted(path)));
    if (!IsPlainText(path)) {
        return Fail(fmt::format("the path {} is not UTF-8 without control characters: rename it", Quoted(path)));
    }
    if (static_cast<size_t>(std::count(path.begin(), path.end(), '/')) >= kMaxPathParts)
        return Fail(fmt::format("the path {} has over {} parts", Quoted(path), kMaxPathParts));
    for (size_t start = 0;;) {
        const size_t slash = path.find('/', start);
        RETURN_IF_ERROR(
            CheckPathPart(path, path.substr(start, slash == std::string_view::npos ? slash : slash - start)));
        if (slash == std::string_view::npos) return {};
        start = slash + 1;
    }
}

Status Manifest::Check() const {
    if (entries.empty()) return Fail("the folder has no files: there is nothing to seal");
    if (entries.size() > kMaxManifestEntries) {
        return Fail(fmt::format("the folder has {} files, over the limit of {}", entries.size(), kMaxManifestEntries));
    }
    for (const ManifestEntry& entry : entries) {
        RETURN_IF_ERROR(CheckPath(entry.path));
        if (entry.aligned && entry.size_bytes == 0)
            return Fail(fmt::format("the file {} has no bytes that could be aligned", Quoted(entry.path)));
    }
    RETURN_IF_ERROR(CheckClashes(entries));
    ASSIGN_OR_RETURN(const uint64_t total, AddSizes(*this));
    if (total == 0) return Fail("the folder's files are all empty: there is nothing to seal");
    return {};
}

std::vector<uint64_t> Manifest::Offsets() const {
    std::vector<uint64_t> offsets;
    offsets.reserve(entries.size() + 1);
    uint64_t end = 0;
    for (const ManifestEntry& entry : entries) {
        if (entry.aligned) end = RoundUpToSlice(end);
        offsets.push_back(end);
        end += entry.size_bytes;
    }
    offsets.push_back(end);
    return offsets;
}

const ManifestEntry* Manifest::Find(std::string_view path) const {
    const auto found =
        std::find_if(entries.begin(), entries.end(), [&](const ManifestEntry& entry) { return entry.path == path; });
    return found != entries.end() ? &*found : nullptr;
}

Result<Bytes> EncodeManifest(const Manifest& manifest, uint32_t slot_bytes) {
    RETURN_IF_ERROR(manifest.Check());
    Bytes bytes = Encode(manifest);
    if (bytes.size() > kMaxManifestBytes) {
        return Fail(
            fmt::format("the folder's names take {} bytes, over the limit of {}", bytes.size(), kMaxManifestBytes));
    }
    bytes.resize(RoundUpToSlice(bytes.size() + slot_bytes) - slot_bytes);
    return bytes;
}

Result<Manifest> DecodeManifest(ByteSpan padded) {
    if (padded.size() > kMaxManifestBytes + kSliceBytes) {
        return Fail(fmt::format("the manifest has {} bytes, over the limit of {}", padded.size(), kMaxManifestBytes));
    }
    Reader reader(padded);
    Manifest manifest;
    reader(manifest);
    if (!reader.Ok()) return Fail("the manifest is damaged: " + reader.error());
    const ByteSpan padding = reader.Rest();
    if (padding.size() >= kSliceBytes ||
        std::any_of(padding.begin(), padding.end(), [](uint8_t b) { return b != 0; })) {
        return Fail("the manifest is damaged: more than zeros up to the next slice follows it");
    }
    RETURN_IF_ERROR(manifest.Check());
    return manifest;
}

Result<Manifest> ScanFolder(storage::FileSystem& files, const std::string& folder, const FileModes& modes) {
    Manifest manifest;
    std::vector<std::string> waiting{""};
    while (!waiting.empty()) {
        const std::string prefix = std::move(waiting.back());
        waiting.pop_back();
        ASSIGN_OR_RETURN(const auto found, files.List(folder + "/" + prefix));
        for (const storage::DirectoryEntry& entry : found) {
            const std::string path = prefix + entry.name;
            RETURN_IF_ERROR(CheckPath(path));
            if (entry.kind == storage::DirectoryEntry::Kind::kOther) {
                return Fail(fmt::format("{} is a symbolic link or a special file: only files and folders can be sealed",
                                        Quoted(path)));
            }
            if (entry.kind == storage::DirectoryEntry::Kind::kDirectory) {
                waiting.push_back(path + "/");
                continue;
            }
            const bool executable = modes.is_executable && modes.is_executable(folder + "/" + path);
            manifest.entries.push_back({path, entry.size_bytes, executable});
        }
        if (manifest.entries.size() + waiting.size() > kMaxManifestEntries) {
            return Fail(fmt::format("the folder has over {} files and folders: split it", kMaxManifestEntries));
        }
    }
    std::sort(manifest.entries.begin(), manifest.entries.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    RETURN_IF_ERROR(manifest.Check());
    return manifest;
}

Result<FolderSource> OpenPlainFolder(storage::FileSystem& files, const std::string& folder, const Manifest& manifest,
                                     size_t segments) {
    if (segments > kMaxSegments)
        return Fail(fmt::format("{} segments are over the limit of {}", segments, kMaxSegments));
    const auto slot_bytes = static_cast<uint32_t>(segments * kManifestSlotBytes);
    ASSIGN_OR_RETURN(Bytes head, EncodeManifest(manifest, slot_bytes));
    const auto chunks = static_cast<uint32_t>((head.size() + slot_bytes) / kSliceBytes);
    return FolderSource{std::make_unique<FolderPlain>(files, folder, manifest, std::move(head)), chunks};
}

Result<Manifest> ReadManifest(PlainReader& reader) {
    if (reader.cipher().layout().manifest_chunks == 0) return Fail("this is a single file: it has no manifest");
    ASSIGN_OR_RETURN(const Bytes bytes, reader.ReadManifest());
    ASSIGN_OR_RETURN(Manifest manifest, DecodeManifest(bytes));
    if (manifest.PlainBytes() != reader.size_bytes()) {
        return Fail(fmt::format("the manifest's files have {} bytes together, but {} were sealed",
                                manifest.PlainBytes(), reader.size_bytes()));
    }
    return manifest;
}

}  // namespace sluice::content
