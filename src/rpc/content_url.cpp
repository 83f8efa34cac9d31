#include "rpc/content_url.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace sluice::rpc {
namespace {

constexpr std::string_view kTokenPrefix = "/t/";
constexpr std::string_view kContentPrefix = "/content/";
constexpr size_t kMinClaimDigits = 6;
constexpr size_t kMaxClaimDigits = 64;

int HexDigit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
std::string Lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = Lower(c);
    return result;
}

bool IsHex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return HexDigit(c) >= 0; });
}

bool IsUnreserved(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

std::optional<std::string> PercentDecode(std::string_view text) {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        if (i + 2 >= text.size() || HexDigit(text[i + 1]) < 0 || HexDigit(text[i + 2]) < 0) return std::nullopt;
        result += static_cast<char>(HexDigit(text[i + 1]) << 4 | HexDigit(text[i + 2]));
        i += 2;
    }
    return result;
}

bool IsSafePart(std::string_view part) {
    return !part.empty() && part != "." && part != ".." && part.find_first_of(std::string_view("/\0", 2)) == part.npos;
}

tl::unexpected<Error> NoSuch() {
    return Fail(ErrorKind::kNotFound, "there is nothing at this URL: the gateway serves /content/CLAIM/PATH");
}

// "a/b%20c/" -> "a/b c/".
std::optional<std::string> DecodePath(std::string_view encoded) {
    std::string path;
    while (!encoded.empty()) {
        const size_t slash = encoded.find('/');
        const auto part = PercentDecode(encoded.substr(0, slash));
        if (!part || !IsSafePart(*part)) return std::nullopt;
        path += *part;
        if (slash == std::string_view::npos) break;
        path += '/';
        encoded.remove_prefix(slash + 1);
    }
    return path;
}

std::string_view ExtensionOf(std::string_view name) {
    const size_t slash = name.find_last_of('/');
    if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
    const size_t dot = name.find_last_of('.');
    return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
    {"aac", "audio/aac"},
    {"apk", "application/vnd.android.package-archive"},
    {"avi", "video/x-msvideo"},
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/vnd.microsoft.icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"m4a", "audio/mp4"},
    {"m4s", "video/iso.segment"},
    {"m4v", "video/mp4"},
    {"md", "text/markdown"},
    {"mjs", "text/javascript"},
    {"mkv", "video/x-matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpd", "application/dash+xml"},
    {"mpeg", "video/mpeg"},
    {"mpg", "video/mpeg"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"srt", "application/x-subrip"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"ts", "video/mp2t"},
    {"txt", "text/plain"},
    {"vtt", "text/vtt"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"webm", "video/webm"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xml", "application/xml"},
    {"zip", "application/zip"},
};

// RFC 9110 5.6.2.
bool IsToken(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

}  // namespace

Result<ContentTarget> ParseContentTarget(std::string_view target) {
    if (target.size() > kMaxTargetBytes) return NoSuch();
    ContentTarget result;
    const size_t question = target.find('?');
    if (question != std::string_view::npos) {
        constexpr std::string_view kAfter = "after=";
        const std::string_view query = target.substr(question + 1);
        target = target.substr(0, question);
        if (query.starts_with(kAfter)) {
            auto after = PercentDecode(query.substr(kAfter.size()));
            if (!after) return NoSuch();
            result.after = std::move(*after);
        }
    }
    if (target.starts_with(kTokenPrefix)) {
        target.remove_prefix(kTokenPrefix.size());
        const std::string_view token = target.substr(0, kTokenDigits);
        if (token.size() != kTokenDigits || !IsHex(token)) return NoSuch();
        result.token = Lower(token);
        target.remove_prefix(kTokenDigits);
    }
    if (!target.starts_with(kContentPrefix)) return NoSuch();
    target.remove_prefix(kContentPrefix.size());
    const size_t slash = target.find('/');
    const std::string_view claim = target.substr(0, slash);
    if (claim.size() < kMinClaimDigits || claim.size() > kMaxClaimDigits || !IsHex(claim)) return NoSuch();
    result.claim = Lower(claim);
    if (slash == std::string_view::npos) return result;
    auto path = DecodePath(target.substr(slash + 1));
    if (!path) return NoSuch();
    result.path = std::move(*path);
    return result;
}

std::string FormatContentTarget(const ContentTarget& target) {
    std::string text;
    if (!target.token.empty()) text = std::string(kTokenPrefix) + target.token;
    text += std::string(kContentPrefix) + target.claim;
    if (!target.path.empty()) text += "/" + PercentEncode(target.path, true);
    if (!target.after.empty()) text += "?after=" + PercentEncode(target.after, false);
    return text;
}

std::string PercentEncode(std::string_view text, bool is_path) {
    static constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        if (IsUnreserved(c) || (is_path && c == '/')) {
            result += c;
            continue;
        }
        const auto byte = static_cast<uint8_t>(c);
        result += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
    return result;
}

std::string_view MediaTypeOf(std::string_view name) {
    const std::string extension = Lower(ExtensionOf(name));
    const auto found = std::lower_bound(std::begin(kTypes), std::end(kTypes), extension,
                                        [](const auto& entry, const std::string& key) { return entry.first < key; });
    if (found == std::end(kTypes) || found->first != extension) return "application/octet-stream";
    return found->second;
}

std::string MediaTypeFor(std::string_view mime, std::string_view name) {
    const size_t slash = mime.find('/');
    if (slash != std::string_view::npos && mime.size() <= 100 && IsToken(mime.substr(0, slash)) &&
        IsToken(mime.substr(slash + 1)))
        return Lower(mime);
    return std::string(MediaTypeOf(name));
}

bool IsActiveDocument(std::string_view media_type) {
    return media_type == "text/html" || media_type == "application/pdf" || media_type.ends_with("/xml") ||
           media_type.ends_with("+xml") || media_type.starts_with("multipart/") || media_type == "text/xsl";
}

bool IsTimedMedia(std::string_view media_type) {
    return media_type.starts_with("video/") || media_type.starts_with("audio/");
}

std::string InlineDisposition(std::string_view name) {
    const size_t slash = name.find_last_of('/');
    if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
    if (name.empty()) return "inline";
    std::string plain;
    for (const char c : name) plain += c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '%' ? c : '_';
    return "inline; filename=\"" + plain + "\"; filename*=UTF-8''" + PercentEncode(name, false);
}

}  // namespace sluice::rpc
