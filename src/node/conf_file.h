#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file_system.h"
#include "util/result.h"

namespace sluice::node {

// sluice.conf: lines of `key=value`, comments from `#` at a line's start or after a space, blank lines, and sections
// `[chain]` whose lines apply to that chain alone. What stands before the first section applies to every chain.
class ConfFile {
  public:
    static constexpr size_t kMaxBytes = 1 << 20;

    struct Entry {
        std::string section;  // empty: for every chain
        std::string key;
        std::string value;
        size_t line{0};  // from 1
    };

    ConfFile() = default;
    // `name` is the file's name in errors, which also give the line.
    static Result<ConfFile> Parse(std::string_view text, const std::string& name);

    const std::vector<Entry>& entries() const { return m_entries; }
    // Of a key that has one value: the chain's own if there is one, else the common one; the first wins.
    std::optional<std::string> Value(std::string_view key, std::string_view chain) const;
    // Of a key that may be repeated: the chain's own, then the common ones.
    std::vector<std::string> Values(std::string_view key, std::string_view chain) const;

  private:
    std::vector<Entry> m_entries;
};

// The file at `path`; if it does not exist and is not `required`, an empty one.
Result<ConfFile> LoadConfFile(storage::FileSystem& files, const std::string& path, bool required);

// ~/.sluice, or .sluice here if there is no home.
std::string DefaultDataDir();
// A chain's name is also a folder's: 1 to 32 of a-z, 0-9 and '-', first a letter.
Status CheckChainName(std::string_view chain);

}  // namespace sluice::node
