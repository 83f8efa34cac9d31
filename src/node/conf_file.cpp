#include "node/conf_file.h"

#include <fmt/format.h>

#include <cstdlib>

namespace sluice::node {
namespace {

std::string_view Trim(std::string_view text) {
    const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
    while (!text.empty() && space(text.front())) text.remove_prefix(1);
    while (!text.empty() && space(text.back())) text.remove_suffix(1);
    return text;
}

std::string_view WithoutComment(std::string_view line) {
    for (size_t i = 0; i < line.size(); ++i)
        if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return line.substr(0, i);
    return line;
}

}  // namespace

Result<ConfFile> ConfFile::Parse(std::string_view text, const std::string& name) {
    if (text.size() > kMaxBytes) return Fail(fmt::format("{} is larger than {} bytes", name, kMaxBytes));
    ConfFile file;
    std::string section;
    size_t number = 0;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::string_view line = Trim(WithoutComment(text.substr(0, end)));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        ++number;
        if (line.empty()) continue;
        if (line.front() == '[') {
            if (line.back() != ']' || line.size() < 3)
                return Fail(
                    fmt::format("{}:{}: '{}' is not a section: write [regtest]", name, number, line.substr(0, 80)));
            section = Trim(line.substr(1, line.size() - 2));
            continue;
        }
        const size_t equals = line.find('=');
        const std::string_view key = Trim(line.substr(0, equals));
        if (equals == std::string_view::npos || key.empty())
            return Fail(fmt::format("{}:{}: '{}' is not key=value", name, number, line.substr(0, 80)));
        if (key.front() == '-')
            return Fail(fmt::format("{}:{}: write '{}' without the dash", name, number, key.substr(0, 80)));
        file.m_entries.push_back({section, std::string(key), std::string(Trim(line.substr(equals + 1))), number});
    }
    return file;
}

std::vector<std::string> ConfFile::Values(std::string_view key, std::string_view chain) const {
    std::vector<std::string> values;
    for (const bool common : {false, true})
        for (const Entry& entry : m_entries)
            if (entry.key == key && (common ? entry.section.empty() : !entry.section.empty() && entry.section == chain))
                values.push_back(entry.value);
    return values;
}

std::optional<std::string> ConfFile::Value(std::string_view key, std::string_view chain) const {
    const std::vector<std::string> values = Values(key, chain);
    return values.empty() ? std::nullopt : std::optional(values.front());
}

Result<ConfFile> LoadConfFile(storage::FileSystem& files, const std::string& path, bool required) {
    const auto bytes = storage::ReadWholeFile(files, path, ConfFile::kMaxBytes);
    if (!bytes && bytes.error().kind == ErrorKind::kNotFound && !required) return ConfFile();
    if (!bytes) return Fail(bytes.error());
    return ConfFile::Parse(ToString(*bytes), path);
}

std::string DefaultDataDir() {
    const char* home = std::getenv("HOME");
    return home && *home ? std::string(home) + "/.sluice" : ".sluice";
}

Status CheckChainName(std::string_view chain) {
    const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
    bool good = !chain.empty() && chain.size() <= 32 && letter(chain.front());
    for (const char c : chain) good = good && (letter(c) || (c >= '0' && c <= '9') || c == '-');
    if (!good)
        return Fail(fmt::format("chain '{}' is not a name of a chain: give regtest, or custom with -genesis=FILE",
                                chain.substr(0, 40)));
    return {};
}

}  // namespace sluice::node
