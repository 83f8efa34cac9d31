#include <fmt/format.h>

#include <algorithm>

#include "content/manifest.h"
#include "content/part_name.h"
#include "util/check.h"

// Opening a sealed folder onto the disk.

namespace sluice::content {
namespace {

using storage::OpenMode;

// Removes a folder with all that is in it. Symbolic links in it are removed, not followed.
Status RemoveTree(storage::FileSystem& files, const std::string& path) {
    std::vector<std::string> folders{path};
    for (size_t i = 0; i < folders.size(); ++i) {
        const std::string folder = folders[i];
        ASSIGN_OR_RETURN(const auto entries, files.List(folder));
        for (const storage::DirectoryEntry& entry : entries) {
            const std::string name = folder + "/" + entry.name;
            if (entry.kind == storage::DirectoryEntry::Kind::kDirectory) {
                folders.push_back(name);
            } else {
                RETURN_IF_ERROR(files.Remove(name));
            }
        }
    }
    for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) RETURN_IF_ERROR(files.Remove(*folder));
    return {};
}

// A folder that has its name only once it is whole.
class PartFolder {
  public:
    static Result<PartFolder> Create(storage::FileSystem& files, const std::string& path) {
        if (files.Exists(path)) return Fail(fmt::format("{} exists already: choose another name or remove it", path));
        const std::string part = path + kPartSuffix;
        // What an earlier, interrupted run left.
        if (files.Exists(part)) {
            ASSIGN_OR_RETURN(const storage::DirectoryEntry old, files.Stat(part));
            RETURN_IF_ERROR(old.kind == storage::DirectoryEntry::Kind::kDirectory ? RemoveTree(files, part)
                                                                                  : files.Remove(part));
        }
        RETURN_IF_ERROR(files.CreateDirectories(part));
        return PartFolder(files, path);
    }
    PartFolder(PartFolder&& other) noexcept
        : m_files(other.m_files), m_path(std::move(other.m_path)), m_open(std::exchange(other.m_open, false)) {}
    PartFolder& operator=(PartFolder&&) = delete;
    ~PartFolder() {
        if (m_open)
            (void)RemoveTree(m_files, part());  // what remains after a failed removal is replaced by the next run
    }
    std::string part() const { return m_path + kPartSuffix; }
    Status Commit() {
        if (m_files.Exists(m_path))
            return Fail(fmt::format("{} appeared meanwhile: choose another name or remove it", m_path));
        RETURN_IF_ERROR(m_files.Rename(part(), m_path));
        m_open = false;
        return {};
    }

  private:
    PartFolder(storage::FileSystem& files, std::string path) : m_files(files), m_path(std::move(path)) {}
    storage::FileSystem& m_files;
    std::string m_path;
    bool m_open{true};
};

bool HasKeysOf(const PlainReader& reader, uint64_t offset, uint64_t size) {
    if (size == 0) return true;
    const auto [first, last] = reader.ChunksOf(offset, size);
    const SealedLayout& layout = reader.cipher().layout();
    for (uint32_t segment = layout.SegmentOf(first); segment <= layout.SegmentOf(last); ++segment) {
        const ChunkIndex chunk = layout.segment_starts.empty() ? first : layout.segment_starts[segment];
        if (!reader.cipher().HasKeyOf(chunk)) return false;
    }
    return true;
}

class FolderWriter {
  public:
    FolderWriter(PlainReader& reader, storage::FileSystem& files, const FileModes& modes, const Progress& progress)
        : m_reader(reader), m_files(files), m_modes(modes), m_progress(progress), m_buffer(kSliceBytes) {}

    Status Write(const std::string& path, const ManifestEntry& entry, uint64_t offset) {
        if (const size_t slash = entry.path.rfind('/'); slash != std::string::npos) {
            RETURN_IF_ERROR(m_files.CreateDirectories(path.substr(0, path.size() - entry.path.size() + slash)));
        }
        ASSIGN_OR_RETURN(const std::unique_ptr<storage::File> file, m_files.Open(path, OpenMode::kCreateNew));
        for (uint64_t done = 0; done < entry.size_bytes;) {
            const auto piece =
                MutableByteSpan(m_buffer).first(std::min<uint64_t>(m_buffer.size(), entry.size_bytes - done));
            RETURN_IF_ERROR(m_reader.Read(offset + done, piece));
            RETURN_IF_ERROR(file->WriteAt(done, piece));
            done += piece.size();
            if (m_progress && !m_progress(offset + done, m_reader.size_bytes())) {
                return Fail(ErrorKind::kUnavailable, "stopped before the end: nothing was kept");
            }
        }
        RETURN_IF_ERROR(file->Sync());
        if (entry.executable && m_modes.make_executable) RETURN_IF_ERROR(m_modes.make_executable(path));
        return {};
    }

  private:
    PlainReader& m_reader;
    storage::FileSystem& m_files;
    const FileModes& m_modes;
    const Progress& m_progress;
    Bytes m_buffer;
};

}  // namespace

Result<size_t> OpenToFolder(const ChunkSource& source, ChunkCipher cipher, storage::FileSystem& files,
                            const std::string& path, const FileModes& modes, const Progress& progress) {
    PlainReader reader(source, std::move(cipher));
    ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(reader));
    const std::vector<uint64_t> offsets = manifest.Offsets();
    ASSIGN_OR_RETURN(PartFolder folder, PartFolder::Create(files, path));
    FolderWriter writer(reader, files, modes, progress);
    size_t written = 0;
    bool any_bytes = false;
    for (size_t i = 0; i < manifest.entries.size(); ++i) {
        const ManifestEntry& entry = manifest.entries[i];
        if (!HasKeysOf(reader, offsets[i], entry.size_bytes)) continue;
        RETURN_IF_ERROR(writer.Write(folder.part() + "/" + entry.path, entry, offsets[i]));
        any_bytes = any_bytes || entry.size_bytes > 0;
        ++written;
    }
    if (!any_bytes)
        return Fail(ErrorKind::kNotFound, "the keys open no file of this folder: buy a segment or the whole title");
    RETURN_IF_ERROR(folder.Commit());
    return written;
}

}  // namespace sluice::content
