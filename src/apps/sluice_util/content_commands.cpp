#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "apps/sluice_util/commands.h"
#include "content/manifest.h"
#include "content/sealing.h"
#include "p2p/asio_executor.h"
#include "storage/file_system.h"
#include "util/random.h"

// content-root, seal, open: what can be done with content on one's own disk.

namespace sluice::apps {
namespace {

using content::ContentKeys;
using content::Progress;
using storage::DirectoryEntry;

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kKeyFileLimitBytes = 4096;

// One line on stderr that is rewritten, if stderr is a terminal.
Progress ShowProgress(const char* what) {
    if (isatty(STDERR_FILENO) == 0) return {};
    return [what, last = -1](uint64_t done, uint64_t total) mutable {
        const int percent = total == 0 ? 100 : static_cast<int>(done / (total / 100.0));
        if (percent != last) std::fprintf(stderr, "\r%s %d %%%s", what, percent, done == total ? "\n" : "");
        last = percent;
        return true;
    };
}

Result<DirectoryEntry> StatInput(storage::FileSystem& files, const std::string& path) {
    auto entry = files.Stat(path);
    if (entry) return entry;
    if (entry.error().kind != ErrorKind::kNotFound) return entry;
    return Fail(ErrorKind::kNotFound, path + " does not exist: check the path");
}

Result<ContentId> HashFile(storage::FileSystem& files, const std::string& path, const Progress& progress) {
    ASSIGN_OR_RETURN(const DirectoryEntry entry, StatInput(files, path));
    if (entry.kind == DirectoryEntry::Kind::kDirectory)
        return Fail(path + " is a folder: name a file (or seal the folder first)");
    ASSIGN_OR_RETURN(const std::unique_ptr<storage::File> file, files.Open(path, storage::OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    if (size == 0) return Fail(path + " is empty: an empty file has no content root");
    content::ContentHasher hasher;
    Bytes buffer(kReadBytes);
    for (uint64_t at = 0; at < size;) {
        const auto piece = MutableByteSpan(buffer).first(std::min<uint64_t>(buffer.size(), size - at));
        RETURN_IF_ERROR(file->ReadAt(at, piece));
        hasher.Write(piece);
        at += piece.size();
        if (progress) (void)progress(at, size);
    }
    return hasher.Finish();
}

CommandResult ContentRootCommand(const std::string& path, bool json) {
    const auto files = storage::MakePosixFileSystem();
    ASSIGN_OR_RETURN(const ContentId id, HashFile(*files, path, ShowProgress("hashing")));
    if (json) {
        const nlohmann::ordered_json result = {{"root", id.root.Hex()},
                                               {"size", id.size_bytes},
                                               {"leaves", content::LeafCount(id.size_bytes)},
                                               {"chunks", content::ChunkCount(id.size_bytes)}};
        std::printf("%s\n", result.dump(2).c_str());
    } else {
        std::printf("%s\n", id.root.Hex().c_str());
    }
    return 0;
}

// A 32-byte title key from --key or the file of --key-file (the first line, in hex).
Result<std::optional<crypto::SecretKey>> ReadTitleKey(storage::FileSystem& files, const std::string& key,
                                                      const std::string& key_file) {
    std::string hex = key;
    if (!key_file.empty()) {
        ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(files, key_file, kKeyFileLimitBytes));
        hex = ToString(bytes);
        hex.erase(std::find_if(hex.begin(), hex.end(), [](char c) { return c == '\n' || c == '\r'; }), hex.end());
    }
    if (hex.empty() && key_file.empty()) return std::optional<crypto::SecretKey>();
    auto bytes = HexDecode(hex);
    WipeMemory(hex.data(), hex.size());
    if (!bytes || bytes->size() != 32) return Fail("the key is not 64 hexadecimal digits");
    auto secret = crypto::SecretKey::FromBytes(*bytes);
    WipeMemory(bytes->data(), bytes->size());
    if (!secret) return Fail("the key is zero or not below the order of secp256k1: make another");
    return secret;
}

crypto::SecretKey RandomTitleKey(RandomSource& random) {
    for (;;) {
        SecretBytes<32> bytes;
        random.Fill(bytes.span());
        if (auto key = crypto::SecretKey::FromBytes(bytes.span())) return std::move(*key);
    }
}

Result<Salt> ReadSalt(const std::string& hex, RandomSource& random) {
    if (hex.empty()) return Salt(random.Array<32>());
    const auto salt = Salt::FromHex(hex);
    if (!salt) return Fail("the salt is not 64 hexadecimal digits");
    return *salt;
}

size_t Cores() { return std::max<size_t>(1, std::thread::hardware_concurrency()); }

content::FileModes PosixModes() {
    content::FileModes modes;
    modes.is_executable = [](const std::string& path) {
        struct stat info;
        return stat(path.c_str(), &info) == 0 && (info.st_mode & S_IXUSR) != 0;
    };
    modes.make_executable = [](const std::string& path) -> Status {
        if (chmod(path.c_str(), 0700) == 0) return {};
        return Fail(ErrorKind::kEnvironment,
                    "cannot make " + path + " executable: check the permissions of its folder");
    };
    return modes;
}

struct SealOptions {
    std::string input, output, key, key_file, salt;
};

CommandResult SealCommand(const SealOptions& options) {
    const auto files = storage::MakePosixFileSystem();
    SystemRandom random;
    ASSIGN_OR_RETURN(auto given_key, ReadTitleKey(*files, options.key, options.key_file));
    ASSIGN_OR_RETURN(const Salt salt, ReadSalt(options.salt, random));
    const crypto::SecretKey key = given_key ? std::move(*given_key) : RandomTitleKey(random);
    ASSIGN_OR_RETURN(const DirectoryEntry entry, StatInput(*files, options.input));

    content::FolderSource folder;
    if (entry.kind == DirectoryEntry::Kind::kDirectory) {
        ASSIGN_OR_RETURN(const content::Manifest manifest, content::ScanFolder(*files, options.input, PosixModes()));
        ASSIGN_OR_RETURN(folder, content::OpenPlainFolder(*files, options.input, manifest));
    } else {
        ASSIGN_OR_RETURN(folder.source, content::OpenPlainFile(*files, options.input));
    }
    ASSIGN_OR_RETURN(content::PartFile file, content::PartFile::Create(*files, options.output));
    content::FileChunkSink sink(file);
    p2p::ThreadPool pool(Cores(), "seal");
    const content::SealJob job{folder.source.get(), folder.manifest_chunks, {}};
    ASSIGN_OR_RETURN(const content::Sealed sealed, content::Seal(job, ContentKeys::FromTitleKey(key.Clone()), salt,
                                                                 sink, ShowProgress("sealing"), &pool));
    RETURN_IF_ERROR(file.Commit());
    const nlohmann::ordered_json result = {{"key", HexEncode(key.bytes())},
                                           {"public_key", key.Public().Hex()},
                                           {"salt", salt.Hex()},
                                           {"root", sealed.content.root.Hex()},
                                           {"size", sealed.content.size_bytes},
                                           {"manifest_chunks", sealed.layout.manifest_chunks}};
    std::printf("%s\n", result.dump(2).c_str());
    return 0;
}

struct OpenOptions {
    std::string input, output, key, key_file, salt;
    uint32_t manifest_chunks{0};
};

CommandResult OpenCommand(const OpenOptions& options) {
    const auto files = storage::MakePosixFileSystem();
    ASSIGN_OR_RETURN(auto key, ReadTitleKey(*files, options.key, options.key_file));
    if (!key) return Fail("the key is missing: give --key or --key-file");
    const auto salt = Salt::FromHex(options.salt);
    if (!salt) return Fail("the salt is not 64 hexadecimal digits");
    ASSIGN_OR_RETURN(const DirectoryEntry entry, StatInput(*files, options.input));
    if (entry.kind == DirectoryEntry::Kind::kDirectory)
        return Fail(options.input + " is a folder: name the sealed file");
    ASSIGN_OR_RETURN(const auto source, content::OpenSealedFile(*files, options.input));
    ASSIGN_OR_RETURN(auto layout, content::SealedLayout::Whole(source->size_bytes(), options.manifest_chunks));
    content::ChunkCipher cipher(ContentKeys::FromTitleKey(std::move(*key)), *salt, std::move(layout));
    p2p::ThreadPool pool(Cores(), "open");
    if (options.manifest_chunks == 0) {
        RETURN_IF_ERROR(
            content::OpenToFile(*source, std::move(cipher), *files, options.output, ShowProgress("opening"), &pool));
        return 0;
    }
    ASSIGN_OR_RETURN(const size_t written, content::OpenToFolder(*source, std::move(cipher), *files, options.output,
                                                                 PosixModes(), ShowProgress("opening")));
    std::fprintf(stderr, "%zu files written\n", written);
    return 0;
}

}  // namespace

void AddContentCommands(CLI::App& app, int& exit_status) {
    CLI::App* root =
        app.add_subcommand("content-root", "Print the content root (BitTorrent v2 pieces root) of a file.");
    auto path = std::make_shared<std::string>();
    auto json = std::make_shared<bool>(false);
    root->add_option("FILE", *path, "The file")->required();
    root->add_flag("--json", *json, "Print root, size, leaves and chunks as JSON");
    OnCommand(*root, exit_status, [path, json] { return ContentRootCommand(*path, *json); });

    CLI::App* seal =
        app.add_subcommand("seal", "Encrypt a file or folder into a sealed file; prints key, salt, root and size.");
    auto sealing = std::make_shared<SealOptions>();
    seal->add_option("INPUT", sealing->input, "The file or folder")->required();
    seal->add_option("--out", sealing->output, "The sealed file to make")->required();
    CLI::Option* key = seal->add_option(
        "--key", sealing->key, "Title key in hex (other users of this machine may see it; default: a fresh one)");
    seal->add_option("--key-file", sealing->key_file, "File with the title key in hex")->excludes(key);
    seal->add_option("--salt", sealing->salt,
                     "Sealing salt in hex; never the same twice with one key (default: a fresh one)");
    OnCommand(*seal, exit_status, [sealing] { return SealCommand(*sealing); });

    CLI::App* open = app.add_subcommand("open", "Decrypt a sealed file.");
    auto opening = std::make_shared<OpenOptions>();
    open->add_option("SEALED", opening->input, "The sealed file")->required();
    open->add_option("--out", opening->output, "The file or folder to make")->required();
    CLI::Option* open_key =
        open->add_option("--key", opening->key, "Title key in hex (other users of this machine may see it)");
    open->add_option("--key-file", opening->key_file, "File with the title key in hex")->excludes(open_key);
    open->add_option("--salt", opening->salt, "Sealing salt in hex")->required();
    open->add_option("--manifest-chunks", opening->manifest_chunks, "What seal printed; not 0 for a folder");
    OnCommand(*open, exit_status, [opening] { return OpenCommand(*opening); });
}

}  // namespace sluice::apps
