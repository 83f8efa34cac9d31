#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "util/result.h"

// The log: one line per event, with a category (net, chain, sale, swarm, wallet, rpc, ...). Nothing secret and nothing
// a peer chose unescaped is ever logged. Thread-safe.

namespace sluice {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Starts writing to `file` (rotated at 32 MiB, 3 kept) and, if asked, to stderr. Before this, warnings and errors go to
// stderr.
Status StartLog(const std::string& file, LogLevel least, bool to_stderr);
bool LogEnabled(LogLevel level);
void LogLine(LogLevel level, std::string_view category, std::string_view line);
void FlushLog();

template <class... Args>
void Log(LogLevel level, std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
    if (LogEnabled(level)) LogLine(level, category, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void LogDebug(std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
    Log(LogLevel::kDebug, category, format, std::forward<Args>(args)...);
}
template <class... Args>
void LogInfo(std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
    Log(LogLevel::kInfo, category, format, std::forward<Args>(args)...);
}
template <class... Args>
void LogWarning(std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
    Log(LogLevel::kWarning, category, format, std::forward<Args>(args)...);
}
template <class... Args>
void LogError(std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
    Log(LogLevel::kError, category, format, std::forward<Args>(args)...);
}

}  // namespace sluice
