#include "apps/sluice_cli/format.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::apps {

using rpc::Json;

namespace {

// The code point that starts at `text[at]` and its length in bytes; length 0 if it is not UTF-8.
std::pair<uint32_t, size_t> CodePointAt(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(at);
    if (lead < 0x80) return {lead, 1};
    const size_t length = lead >= 0xf0 && lead < 0xf5   ? 4
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                                                        : 0;
    if (length == 0 || at + length > text.size()) return {0, 0};
    uint32_t code = lead & (0xff >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
        if ((byte(at + i) & 0xc0) != 0x80) return {0, 0};
        code = code << 6 | (byte(at + i) & 0x3f);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {0, 0};
    return {code, length};
}

bool IsHarmless(uint32_t code, bool lines) {
    if (lines && (code == '\n' || code == '\t')) return true;
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
    const bool reorders = code == 0x200e || code == 0x200f || code == 0x061c || (code >= 0x202a && code <= 0x202e) ||
                          (code >= 0x2066 && code <= 0x2069);
    return !control && !reorders;
}

size_t WidthOf(const std::string& text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

std::string LabelOf(std::string name) {
    std::replace(name.begin(), name.end(), '_', ' ');
    if (!name.empty() && name.front() >= 'a' && name.front() <= 'z')
        name.front() = static_cast<char>(name.front() - 'a' + 'A');
    return Printable(name);
}

bool IsSize(const std::string& name) { return name == "size" || name.ends_with("_bytes") || name == "size_bytes"; }

std::string LineOf(const std::string& name, const Json& value) {
    if (value.is_null() || ((value.is_string() || value.is_array() || value.is_object()) && value.empty())) return {};
    if (value.is_string() && value.get_ref<const std::string&>().empty()) return {};
    const std::string text =
        IsSize(name) && value.is_number_unsigned() ? FormatSize(value.get<uint64_t>()) : FormatValue(value);
    return fmt::format("{:<18} {}\n", LabelOf(name) + ":", text);
}

}  // namespace

std::string Printable(std::string_view text, bool lines) {
    std::string result;
    result.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const auto [code, length] = CodePointAt(text, at);
        if (length > 0 && IsHarmless(code, lines))
            result.append(text.substr(at, length));
        else
            result += '?';
        at += std::max<size_t>(length, 1);
    }
    return result;
}

std::string FormatSize(uint64_t bytes) {
    static constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return fmt::format("{} B", bytes);
    double value = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string FormatDuration(uint64_t seconds) {
    if (seconds < 60) return fmt::format("{} s", seconds);
    if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

std::string FormatValue(const Json& value) {
    if (value.is_null()) return "-";
    if (value.is_string()) return Printable(value.get<std::string>());
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (!value.is_array() && !value.is_object()) return value.dump();
    std::string text;
    for (const auto& [name, one] : value.items()) {
        if (!text.empty()) text += ", ";
        if (value.is_object()) text += Printable(name) + " ";
        text += one.is_structured() ? Printable(one.dump(-1, ' ', false, Json::error_handler_t::replace))
                                    : FormatValue(one);
    }
    return text.empty() ? "none" : text;
}

std::string FormatObject(const Json& object, const std::vector<std::string>& first) {
    if (!object.is_object()) return FormatResult(object);
    std::string text;
    for (const std::string& name : first)
        if (object.contains(name)) text += LineOf(name, object[name]);
    for (const auto& [name, value] : object.items())
        if (std::find(first.begin(), first.end(), name) == first.end()) text += LineOf(name, value);
    return text;
}

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line.append(widths[i] - WidthOf(row[i]) + 2, ' ');
        }
        text += line + "\n";
    }
    return text;
}

std::string FormatResult(const Json& result) {
    if (result.is_null()) return {};
    std::string text = result.is_string() ? Printable(result.get<std::string>(), true)
                                          : Printable(result.dump(2, ' ', false, Json::error_handler_t::replace), true);
    if (text.empty() || text.back() != '\n') text += '\n';
    return text;
}

Json Member(const Json& object, std::initializer_list<const char*> names) {
    if (object.is_object())
        for (const char* name : names)
            if (const auto found = object.find(name); found != object.end()) return *found;
    return {};
}

uint64_t NumberMember(const Json& object, std::initializer_list<const char*> names) {
    const Json value = Member(object, names);
    return value.is_number_unsigned() ? value.get<uint64_t>() : 0;
}

std::string TextMember(const Json& object, std::initializer_list<const char*> names) {
    const Json value = Member(object, names);
    return value.is_null() ? std::string() : FormatValue(value);
}

unsigned PercentOf(const Json& job) {
    const Json progress = Member(job, {"progress"});
    const uint64_t total = NumberMember(progress, {"total", "total_bytes"});
    const uint64_t done = std::min(NumberMember(progress, {"done", "done_bytes"}), total);
    if (total == 0) return 0;
    return static_cast<unsigned>(static_cast<double>(done) / static_cast<double>(total) * 100);
}

std::string FormatProgress(const Json& job) {
    const Json progress = Member(job, {"progress"});
    const uint64_t total = NumberMember(progress, {"total", "total_bytes"});
    const uint64_t done = std::min(NumberMember(progress, {"done", "done_bytes"}), total);
    const uint64_t rate = NumberMember(progress, {"rate_bytes_per_s", "bytes_per_s"});
    const uint64_t peers = NumberMember(progress, {"peers"});
    const std::string paid = TextMember(progress, {"paid"});
    const std::string phase = TextMember(progress, {"phase"});
    const std::string waiting = TextMember(progress, {"waiting_for"});
    std::string text = fmt::format("{:>3} %", PercentOf(job));
    if (!phase.empty()) text += "  " + phase;
    if (total > 0) text += fmt::format("  {} of {}", FormatSize(done), FormatSize(total));
    if (rate > 0) text += fmt::format("  {}/s", FormatSize(rate));
    if (rate > 0 && done < total) text += fmt::format("  {} left", FormatDuration((total - done + rate - 1) / rate));
    if (peers > 0) text += fmt::format("  {} peer{}", peers, peers == 1 ? "" : "s");
    if (!paid.empty() && paid != "0") text += fmt::format("  paid {} SLU", paid);
    if (!waiting.empty()) text += "  waiting for " + waiting;
    return text;
}

}  // namespace sluice::apps
