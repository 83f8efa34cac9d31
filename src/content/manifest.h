#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "content/sealing.h"
#include "storage/file_system.h"
#include "util/serialize.h"

// Folders. A sealed folder is its manifest (names, sizes, executable bits) in chunks of its own, then all files one
// after the other.
//
//   manifest plaintext = version (1) || count || entry*   padded with zeros to whole slices
//   entry              = path (length-prefixed) || size (8) || executable (1) || aligned (1)
//
// Entries are in the order of their bytes. An `aligned` file starts at a slice, so that a segment with a key of its own
// can begin with it; the gap before it is zeros. A folder exists by the files in it: empty folders are not kept.
//
// Path safety holds on both ends: whoever seals cannot make, and whoever opens cannot be given, a path that leaves the
// folder, hides control characters, or collides with another on some file system.

namespace sluice::content {

inline constexpr size_t kMaxManifestEntries = 100'000;
inline constexpr size_t kMaxPathBytes = 1024;
inline constexpr size_t kMaxPathPartBytes = 255;
inline constexpr size_t kMaxPathParts = 64;  // so that few bytes do not make many folders

struct ManifestEntry {
    std::string path;  // relative, '/' between parts
    uint64_t size_bytes{0};
    bool executable{false};
    bool aligned{false};  // not of a file without bytes

    friend bool operator==(const ManifestEntry&, const ManifestEntry&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive.VarBytes(self.path, kMaxPathBytes);
        archive(self.size_bytes, self.executable, self.aligned);
    }
};

struct Manifest {
    std::vector<ManifestEntry> entries;

    friend bool operator==(const Manifest&, const Manifest&) = default;
    static void Serialize(auto& self, auto& archive) {
        uint8_t version = 1;
        if constexpr (std::remove_cvref_t<decltype(archive)>::kReading) {
            archive(version);
            if (version != 1) archive.SetError("the manifest has version " + std::to_string(version) + ", not 1");
        } else {
            archive(version);
        }
        archive.Vector(self.entries, kMaxManifestEntries, 11);
    }

    // Every rule of this page; the error names the path.
    Status Check() const;
    // Where each file starts in the plaintext after the manifest, and at the end where the last one ends. A file
    // without bytes has the place of the end of the one before.
    std::vector<uint64_t> Offsets() const;
    uint64_t PlainBytes() const { return Offsets().back(); }
    // The entry of a path and its index; nullptr if there is none.
    const ManifestEntry* Find(std::string_view path) const;
};

// An error that says what is wrong with a path, naming it.
Status CheckPath(std::string_view path);
// The manifest of a checked one, padded to whole slices; `slot_bytes` is what the first slice is shorter by.
Result<Bytes> EncodeManifest(const Manifest& manifest, uint32_t slot_bytes);
// Only canonical manifests that pass Check, followed by nothing but zeros.
Result<Manifest> DecodeManifest(ByteSpan padded);

// Executable bits, which the file-system interface does not have. Both are optional.
struct FileModes {
    std::function<bool(const std::string& path)> is_executable;
    std::function<Status(const std::string& path)> make_executable;
};

// A folder's manifest, from the disk, by the bytes of the paths. Symbolic links and special files are refused by name;
// so are folders without a byte in them.
Result<Manifest> ScanFolder(storage::FileSystem& files, const std::string& folder, const FileModes& modes = {});

// A folder as plaintext: manifest, then files. A file that changes its size meanwhile is an error.
struct FolderSource {
    std::unique_ptr<PlainSource> source;
    uint32_t manifest_chunks{0};
};
// `segments` is how many segments it will be sold in (0: as a whole).
Result<FolderSource> OpenPlainFolder(storage::FileSystem& files, const std::string& folder, const Manifest& manifest,
                                     size_t segments = 0);

// The manifest of a sealed folder, checked against the layout: its files and the plaintext have the same size.
Result<Manifest> ReadManifest(PlainReader& reader);
// Opens a sealed folder to `path`, which appears only when it is whole (as `<path>.sluice-part` until then). kInvalid if it
// exists. Files in segments whose keys are missing are left out, kNotFound if that leaves none. Returns how many files
// were written.
Result<size_t> OpenToFolder(const ChunkSource& source, ChunkCipher cipher, storage::FileSystem& files,
                            const std::string& path, const FileModes& modes = {}, const Progress& progress = {});

}  // namespace sluice::content
