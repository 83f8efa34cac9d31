#pragma once

#include <string>
#include <string_view>

#include "util/result.h"

// The URLs of the content gateway, and what names say about content; pure functions.
//
//   /content/CLAIM            a single file, or the listing of a folder
//   /content/CLAIM/PATH       a file of a folder; each part of PATH percent-encoded
//   /t/TOKEN/content/...      the same with a capability in the path, so that relative links in what is served keep it

namespace sluice::rpc {

inline constexpr size_t kTokenDigits = 64;
inline constexpr size_t kMaxTargetBytes = 8'192;

struct ContentTarget {
    std::string token;  // lower-case hexadecimal; empty: none was given
    std::string claim;  // lower-case hexadecimal, 6 to 64 digits
    std::string path;   // decoded; relative, no part of it is empty, "." or ".."; a folder's ends with '/'
    std::string after;  // of a listing: names after this one (the query `after=`)
};

// Reads the target of a request; kNotFound for what is no such URL. Nothing of a path is resolved: one with "..", an
// empty part, a NUL or an encoded slash is refused.
Result<ContentTarget> ParseContentTarget(std::string_view target);
// The other way round. Precondition: as ParseContentTarget gives it.
std::string FormatContentTarget(const ContentTarget& target);

// RFC 3986: all but unreserved characters of `text` as %XX; '/' stays if `is_path`.
std::string PercentEncode(std::string_view text, bool is_path);

// The media type of what is called `name`, by its extension; application/octet-stream if it says nothing.
std::string_view MediaTypeOf(std::string_view name);
// `mime`, if it is a well-formed type/subtype without parameters, as published; else by `name`.
std::string MediaTypeFor(std::string_view mime, std::string_view name);
// True if a browser would run what a document of this type says.
bool IsActiveDocument(std::string_view media_type);
// True for sound and film, of which a player reads the end early.
bool IsTimedMedia(std::string_view media_type);
// The value of Content-Disposition (RFC 6266), for any name.
std::string InlineDisposition(std::string_view name);

}  // namespace sluice::rpc
